"""Convolutions in forms that XLA's CPU backend compiles and differentiates fast."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Padding = Sequence[tuple[int, int]]

# That backend computes a kernel's derivative slowly if the batch is not a multiple of four and the
# channels are more than 16 and not a multiple of 64. For the 18, 32 and 72 channels of
# RA-Depth and three views, a fourth view of zeros makes it three times as fast.
_BATCH, _FEW_CHANNELS, _CHANNELS = 4, 16, 64


def convolve(
    x: Float[Array, "N H W C"],
    kernel: Float[Array, "h w C D"],
    strides: tuple[int, int],
    padding: Padding | str,
    *,
    precision: Any = None,
    **others: Any,
) -> Float[Array, "N H2 W2 D"]:
    """The values of `jax.lax.conv_general_dilated`, with the arguments that `nn.Conv` gives.

    Args:
        x: images or features.
        kernel: the weights.
        strides: the strides of rows and columns.
        padding: how many zeros there are before and after the rows and the columns, or a name.
        precision: as for `jax.lax`.
        **others: the other arguments that `nn.Conv` passes. A convolution that is dilated, in
            groups or padded by name is left to JAX.
    """
    plain = {"lhs_dilation": (1, 1), "rhs_dilation": (1, 1), "feature_group_count": 1}
    special = any(others.get(name, value) != value for name, value in plain.items())
    if special or isinstance(padding, str):
        return jax.lax.conv_general_dilated(
            x, kernel, strides, padding, precision=precision, **others
        )
    if kernel.shape[:2] == (1, 1) and not _padded(padding):
        # A matrix product compiles and differentiates faster.
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
    convolution = partial(
        jax.lax.conv_general_dilated,
        window_strides=strides,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        precision=precision,
    )
    if _padded(padding):
        return convolution(x, kernel, padding=padding)
    # Without any padding that backend takes two to four times as long, so one row is added.
    return convolution(x, kernel, padding=((0, strides[0]), (0, 0)))[:, :-1]


def _padded(padding: Padding) -> bool:
    return any(map(any, padding))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _spatial(x, kernel, strides, padding, precision):
    return _convolve(x, kernel, strides, padding, precision)


def _spatial_forward(x, kernel, strides, padding, precision):
    return _convolve(x, kernel, strides, padding, precision), (x, kernel)


def _spatial_backward(strides, padding, precision, residuals, cotangent):
    x, kernel = residuals
    features, extra = kernel.shape[-1], -x.shape[0] % _BATCH
    if features <= _FEW_CHANNELS or features % _CHANNELS == 0:
        extra = 0
    convolution = partial(_convolve, strides=strides, padding=padding, precision=precision)
    (d_x,) = jax.linear_transpose(lambda x: convolution(x, kernel), x)(cotangent)
    if extra:
        zeros = ((0, extra), (0, 0), (0, 0), (0, 0))
        x, cotangent = jnp.pad(x, zeros), jnp.pad(cotangent, zeros)
    (d_kernel,) = jax.linear_transpose(lambda kernel: convolution(x, kernel), kernel)(cotangent)
    return d_x, d_kernel


_spatial.defvjp(_spatial_forward, _spatial_backward)
