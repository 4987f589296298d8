"""Structural similarity with 3x3 windows (Wang et al., 2004), as self-supervised depth uses it."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.losses.region import Region

_C1 = 0.01**2
_C2 = 0.03**2


def ssim(
    a: Float[Array, "... H W C"], b: Float[Array, "... H W C"], *, region: Region | None = None
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

    mean_a, mean_b = mean(a), mean(b)
    squared_a, squared_b, product = mean_a**2, mean_b**2, mean_a * mean_b
    variance_a = mean(a**2) - squared_a
    variance_b = mean(b**2) - squared_b
    covariance = mean(a * b) - product
    numerator = (2 * product + _C1) * (2 * covariance + _C2)
    denominator = (squared_a + squared_b + _C1) * (variance_a + variance_b + _C2)
    return numerator / denominator


def window_mean(
    x: Float[Array, "... H W C"], *, region: Region | None = None
) -> Float[Array, "... H W C"]:
    """Mean over each pixel's 3x3 neighbourhood, reflected at the region's borders.

    Args:
      x: [..., H, W, C].
      region: the whole canvas by default.

    Returns:
      [..., H, W, C].
    """
    height, width = x.shape[-3:-1]
    top, left, rows, columns = region if region is not None else (0, 0, height, width)
    x = _sum_of_three(x, x.ndim - 3, top, top + rows - 1)
    x = _sum_of_three(x, x.ndim - 2, left, left + columns - 1)
    return x / 9


def _sum_of_three(x: Array, axis: int, first: Any, last: Any) -> Array:
    """Each element plus its two neighbours along `axis`; `first` and `last` have one, twice.

    Reflection by weights instead of padding: the same for a static and a traced region, and its
    gradient is shifted sums again.
    """
    index = jnp.arange(x.shape[axis])
    shape = [1] * x.ndim
    shape[axis] = -1
    ones = jnp.ones(x.shape[axis], x.dtype)
    before_weight = jnp.where(index == first, 0, jnp.where(index == last, 2, ones)).reshape(shape)
    after_weight = jnp.where(index == last, 0, jnp.where(index == first, 2, ones)).reshape(shape)
    return x + before_weight * jnp.roll(x, 1, axis) + after_weight * jnp.roll(x, -1, axis)
