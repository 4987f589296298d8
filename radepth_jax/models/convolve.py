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
# RA-Depth and three views, a view of zeros makes it three times as fast (docs/performance.md).
_CPU_BATCH, _CPU_FEW_CHANNELS, _CPU_CHANNELS = 4, 16, 64


def convolve(
    x: Float[Array, "N H W C"],
    kernel: Float[Array, "h w C D"],
    strides: tuple[int, int],
    padding: Padding,
    *,
    precision: Any = None,
    **unused: Any,
) -> Float[Array, "N H2 W2 D"]:
    """Convolve; `unused` is what `nn.Conv` passes besides: no dilation, one group, NHWC."""
    del unused
    if kernel.shape[:2] == (1, 1):
        # As a matrix product it compiles and differentiates faster.
        if strides != (1, 1):
            x = jax.lax.slice(x, (0, 0, 0, 0), x.shape, (1, *strides, 1))
        return _pointwise(x, kernel[0, 0], precision)
    return _spatial(x, kernel, tuple(strides), tuple(padding), precision)


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


_spatial = jax.custom_vjp(_convolve, nondiff_argnums=(2, 3, 4))


def _spatial_forward(x, kernel, strides, padding, precision):
    return _convolve(x, kernel, strides, padding, precision), (x, kernel)


def _spatial_backward(strides, padding, precision, residuals, cotangent):
    x, kernel = residuals
    convolution = partial(_convolve, strides=strides, padding=padding, precision=precision)
    (d_x,) = jax.linear_transpose(lambda x: convolution(x, kernel), x)(cotangent)

    def d_kernel(x, cotangent):
        like = jax.ShapeDtypeStruct(kernel.shape, kernel.dtype)
        return jax.linear_transpose(lambda kernel: convolution(x, kernel), like)(cotangent)[0]

    features, extra = kernel.shape[-1], -x.shape[0] % _CPU_BATCH
    if not extra or features <= _CPU_FEW_CHANNELS or features % _CPU_CHANNELS == 0:
        return d_x, d_kernel(x, cotangent)

    def d_kernel_padded(x, cotangent):
        zeros = ((0, extra), (0, 0), (0, 0), (0, 0))
        return d_kernel(jnp.pad(x, zeros), jnp.pad(cotangent, zeros))

    return d_x, jax.lax.platform_dependent(x, cotangent, cpu=d_kernel_padded, default=d_kernel)


_spatial.defvjp(_spatial_forward, _spatial_backward)
