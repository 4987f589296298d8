"""Structural similarity with 3x3 windows (Wang et al., 2004), as self-supervised depth uses it."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.losses.region import Region

_C1 = 0.01**2
_C2 = 0.03**2


def ssim(
    a: Float[Array, "... H W C"],
    b: Float[Array, "... H W C"],
    *,
    region: Region | None = None,
) -> Float[Array, "... H W C"]:
    """SSIM of every pixel's 3x3 neighbourhood, with uniform weights and biased variances.

    Args:
      a: [..., H, W, C] in [0, 1]; leading axes broadcast against those of `b`.
      b: [..., H, W, C].
      region: at whose borders windows reflect; the whole canvas by default. Values outside it
        mean nothing (but are finite).

    Returns:
      [..., H, W, C] in [-1, 1], 1 where the neighbourhoods are equal.
    """

    def mean(x: Array) -> Array:
        return window_mean(x, region=region)

    # Planes: with three channels last, neighbouring pixels are too far apart for vector units.
    a, b = jnp.moveaxis(a, -1, -3), jnp.moveaxis(b, -1, -3)
    mean_a, mean_b = mean(a), mean(b)
    squared_a, squared_b, product = mean_a**2, mean_b**2, mean_a * mean_b
    variance_a = mean(a**2) - squared_a
    variance_b = mean(b**2) - squared_b
    covariance = mean(a * b) - product
    numerator = (2 * product + _C1) * (2 * covariance + _C2)
    denominator = (squared_a + squared_b + _C1) * (variance_a + variance_b + _C2)
    return jnp.moveaxis(numerator / denominator, -3, -1)


def window_mean(
    x: Float[Array, "... H W"], *, region: Region | None = None
) -> Float[Array, "... H W"]:
    """Mean over each pixel's 3x3 neighbourhood, reflected at the region's borders.

    Args:
      x: [..., H, W].
      region: the whole canvas by default.

    Returns:
      [..., H, W].
    """
    height, width = x.shape[-2:]
    top, left, rows, columns = region if region is not None else (0, 0, height, width)
    x = _neighbour_sum(x, x.ndim - 2, top, top + rows - 1)
    x = _neighbour_sum(x, x.ndim - 1, left, left + columns - 1)
    return x / 9


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _neighbour_sum(x: Array, axis: int, first: Any, last: Any) -> Array:
    """Each element plus the one before and the one after along an axis.

    At `first` the one after counts for the one before too, and at `last` the other way round.
    """
    return _with_ends(_element, _placed, x, axis, first, last)


# The sum is linear, so this is the sum once more. Its pieces are those whose transposes are the
# pieces above: where JAX transposes those, XLA's CPU backend computes with single numbers instead
# of vectors.
@_neighbour_sum.defjvp
def _neighbour_sum_jvp(axis, primals, tangents):
    x, first, last = primals
    tangent = _with_ends(_selected_element, _written, tangents[0], axis, first, last)
    return _neighbour_sum(x, axis, first, last), tangent


def _with_ends(
    element: Callable[..., Array],
    placed: Callable[..., Array],
    x: Array,
    axis: int,
    first: Any,
    last: Any,
) -> Array:
    """The sum, from a function that takes an element and its transpose, which puts it back."""
    end = x.shape[axis] - 1
    at_first = element(x, axis, first + 1) - (first > 0) * element(x, axis, first - 1)
    at_last = element(x, axis, last - 1) - (last < end) * element(x, axis, last + 1)
    result = _windows_of_three(x, axis)
    return result + placed(at_first, x, axis, first) + placed(at_last, x, axis, last)


def _windows_of_three(x: Array, axis: int) -> Array:
    """Sum of every three neighbours along an axis, zeros beyond its ends."""
    window, padding = [1] * x.ndim, [(0, 0)] * x.ndim
    window[axis], padding[axis] = 3, (1, 1)
    return jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1,) * x.ndim, padding)


def _element(x: Array, axis: int, index: Any) -> Array:
    """One element along an axis, the nearest where there is none at `index`."""
    return jax.lax.dynamic_index_in_dim(x, index, axis)


def _placed(values: Array, like: Array, axis: int, index: Any) -> Array:
    """`values` (one along the axis) at `index`, zeros elsewhere, of the shape of `like`."""
    return _is_at(like, axis, index) * values


def _selected_element(x: Array, axis: int, index: Any) -> Array:
    """As `_element`, but 0 where there is none; its transpose is `_placed`."""
    return jnp.sum(_is_at(x, axis, index) * x, axis, keepdims=True)


def _written(values: Array, like: Array, axis: int, index: Any) -> Array:
    """As `_placed`; its transpose is `_element`."""
    return jax.lax.dynamic_update_index_in_dim(jnp.zeros_like(like), values, index, axis)


def _is_at(like: Array, axis: int, index: Any) -> Array:
    """True at `index` of an axis, of a shape that broadcasts to that of `like`."""
    shape = [1] * like.ndim
    shape[axis] = like.shape[axis]
    return (jnp.arange(like.shape[axis]) == index).reshape(shape)
