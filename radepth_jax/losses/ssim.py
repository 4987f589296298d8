"""Structural similarity with 3x3 windows (Wang et al., 2004), as self-supervised depth uses it."""

from typing import Any

import jax
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
    x = _shifted_rows(x, *_neighbour_weights(height, top, top + rows - 1))
    # XLA's CPU backend does not vectorise shifts along the last axis: a product with a band matrix
    # is several times faster there, in spite of all its zeros.
    weights = _neighbour_weights(width, left, left + columns - 1)
    x = jax.lax.platform_dependent(x, *weights, cpu=_banded_columns, default=_shifted_columns)
    return x / 9


def _neighbour_weights(length: int, first: Any, last: Any) -> tuple[Array, Array]:
    """How often the element before and the one after count: reflection takes one of them twice."""
    index = jnp.arange(length)
    before = jnp.where(index == first, 0.0, jnp.where(index == last, 2.0, 1.0))
    after = jnp.where(index == last, 0.0, jnp.where(index == first, 2.0, 1.0))
    return before, after


def _shifted_rows(x: Array, before: Array, after: Array) -> Array:
    """Each row plus its weighted neighbours."""
    height = x.shape[-2]
    shape = (1,) * (x.ndim - 2) + (height, 1)
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 2) + [(1, 1), (0, 0)])
    above, below = padded[..., :height, :], padded[..., 2:, :]
    return x + before.reshape(shape) * above + after.reshape(shape) * below


def _shifted_columns(x: Array, before: Array, after: Array) -> Array:
    """Each column plus its weighted neighbours."""
    width = x.shape[-1]
    shape = (1,) * (x.ndim - 1) + (width,)
    padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 1)])
    left, right = padded[..., :width], padded[..., 2:]
    return x + before.reshape(shape) * left + after.reshape(shape) * right


def _banded_columns(x: Array, before: Array, after: Array) -> Array:
    """The same as `_shifted_columns`, as a matrix product."""
    width = x.shape[-1]
    column, row = jnp.arange(width)[None, :], jnp.arange(width)[:, None]
    band = jnp.where(row == column, 1.0, 0.0)
    band += jnp.where(row == column - 1, before[None, :], 0.0)
    band += jnp.where(row == column + 1, after[None, :], 0.0)
    return jnp.matmul(x, band, precision=jax.lax.Precision.HIGHEST)
