"""Convolution in forms that compile and differentiate fast on the CPU too.

For `nn.Conv(conv_general_dilated=convolve)`; the values are those of `lax.conv_general_dilated`.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Padding = tuple[tuple[int, int], ...]

# Where XLA's CPU backend differentiates by the kernel slowly: from a batch that is no multiple of
# four, for more than 16 channels, if they are no multiple of 64. For the 18, 32 and 72 channels of
# RA-Depth and three views, a view of zeros makes it three times as fast (experiments/cpu_notes.md).
_CPU_BATCH, _CPU_FEW_CHANNELS, _CPU_CHANNELS = 4, 16, 64


def convolve(
    x: Float[Array, "N H W C"],
    kernel: Float[Array, "h w C D"],
    strides: tuple[int, int],
    padding: Padding,
    *,
    precision: Any = None,
    portable: bool = False,
    **unused: Any,
) -> Float[Array, "N H2 W2 D"]:
    """Convolve; `unused` is what `nn.Conv` passes besides: no dilation, one group, NHWC.

    With `portable` the program holds no choice between platforms.
    """
    del unused
    if kernel.shape[:2] == (1, 1):
        # As a matrix product it compiles and differentiates faster.
        if strides != (1, 1):
            x = jax.lax.slice(x, (0, 0, 0, 0), x.shape, (1, *strides, 1))
        return _pointwise(x, kernel[0, 0], precision)
    form = _convolve if portable else _spatial
    return form(x, kernel, tuple(strides), tuple(padding), precision)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _pointwise(x: Float[Array, "N H W C"], kernel: Float[Array, "C D"], precision: Any) -> Array:
    return jnp.einsum("nhwc,cd->nhwd", x, kernel, precision=precision)


def _pointwise_forward(x, kernel, precision):
    return _pointwise(x, kernel, precision), (x, kernel)


def _pointwise_backward(precision, residuals, cotangent):
    x, kernel = residuals
    d_x = jnp.einsum("nhwd,cd->nhwc", cotangent, kernel, precision=precision)
    # In this order: XLA's CPU backend transposes the first factor. It would compute all that
    # `cotangent` comes from once more to transpose that.
    return d_x, jnp.einsum("nhwc,nhwd->cd", x, cotangent, precision=precision)


_pointwise.defvjp(_pointwise_forward, _pointwise_backward)


def _convolve(x, kernel, strides, padding, precision):
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=strides,
        padding=padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )


def _convolve_on_cpu(x, kernel, strides, padding, precision):
    if _padded(padding):
        return _convolve(x, kernel, strides, padding, precision)
    # Without any padding XLA's CPU backend takes two to four times as long. So one row more.
    y = _convolve(x, kernel, strides, ((0, strides[0]), (0, 0)), precision)
    return y[:, :-1]


def _padded(padding: Padding) -> bool:
    return any(map(any, padding))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _spatial(x, kernel, strides, padding, precision):
    how = {"strides": strides, "padding": padding, "precision": precision}
    if _padded(padding):
        return _convolve(x, kernel, **how)
    on_cpu, plain = (partial(form, **how) for form in (_convolve_on_cpu, _convolve))
    return jax.lax.platform_dependent(x, kernel, cpu=on_cpu, default=plain)


def _spatial_forward(x, kernel, strides, padding, precision):
    return _spatial(x, kernel, strides, padding, precision), (x, kernel)


def _spatial_backward(strides, padding, precision, residuals, cotangent):
    x, kernel = residuals
    features, extra = kernel.shape[-1], -x.shape[0] % _CPU_BATCH
    if features <= _CPU_FEW_CHANNELS or features % _CPU_CHANNELS == 0:
        extra = 0

    def derivatives(x, kernel, cotangent, form, extra):
        convolution = partial(form, strides=strides, padding=padding, precision=precision)
        (d_x,) = jax.linear_transpose(lambda x: convolution(x, kernel), x)(cotangent)
        if extra:
            zeros = ((0, extra), (0, 0), (0, 0), (0, 0))
            x, cotangent = jnp.pad(x, zeros), jnp.pad(cotangent, zeros)
        (d_kernel,) = jax.linear_transpose(lambda kernel: convolution(x, kernel), kernel)(cotangent)
        return d_x, d_kernel

    plain = partial(derivatives, form=_convolve, extra=0)
    if _padded(padding) and not extra:
        return plain(x, kernel, cotangent)
    on_cpu = partial(derivatives, form=_convolve_on_cpu, extra=extra)
    return jax.lax.platform_dependent(x, kernel, cotangent, cpu=on_cpu, default=plain)


_spatial.defvjp(_spatial_forward, _spatial_backward)
