"""Cross-scale depth consistency (RA-Depth, section 3.4): views must agree on the same scene.

Sizes and crops are drawn per sample, so what one view shows of another is traced; it is compared on
the middle view's canvas, whose size is static.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from radepth_jax.geometry.resize import resample, resize_weights
from radepth_jax.losses.photometric import photometric_error
from radepth_jax.losses.region import Region, masked_mean


def consistency_high(
    middle: Float[Array, "H W 1"],
    high: Float[Array, "H W 1"],
    mask: Bool[Array, "H W"],
    size: Int[Array, "2"],
    offset: Int[Array, "2"],
    *,
    ssim_weight: float = 0.85,
) -> Float[Array, ""]:
    """Disagreement of the middle view with the high one, in the part that both show.

    Args:
      middle: [H, W, 1] disparity.
      high: [H, W, 1] disparity.
      mask: [H, W] the middle view's pixels that count.
      size: [2] (h, w) of the whole frame at the high view's scale.
      offset: [2] (y, x) of the high view in it.
      ssim_weight: see `photometric.photometric_error`.

    Returns:
      The loss, a scalar; 0 where no pixel counts.
    """
    canvas = middle.shape[:2]
    top, height = _span(canvas[0], size[0], offset[0])
    left, width = _span(canvas[1], size[1], offset[1])
    region = Region(top, left, height, width)
    rows = _linear_weights(jnp.arange(canvas[0]) - top, canvas[0], height, canvas[0])
    columns = _linear_weights(jnp.arange(canvas[1]) - left, canvas[1], width, canvas[1])
    shown = resample(high, rows, columns)
    error = photometric_error(middle, shown, ssim_weight=ssim_weight, region=region)
    return masked_mean(error, mask & region.mask(canvas))


def consistency_low(
    middle: Float[Array, "H W 1"],
    low: Float[Array, "H W 1"],
    mask: Bool[Array, "H W"],
    size: Int[Array, "2"],
    *,
    ssim_weight: float = 0.85,
) -> Float[Array, ""]:
    """Disagreement of the middle view with the low one, whose filler strips are left out.

    Args:
      middle: [H, W, 1] disparity.
      low: [H, W, 1] disparity.
      mask: [H, W] the middle view's pixels that count.
      size: [2] (h, w) of the whole frame at the low view's scale.
      ssim_weight: see `photometric.photometric_error`.

    Returns:
      The loss, a scalar; 0 where no pixel counts.
    """
    canvas = middle.shape[:2]
    rows, columns = (
        _linear_weights(jnp.arange(length), size[axis], length, length)
        for axis, length in enumerate(canvas)
    )
    shown = resample(low, rows, columns)
    return masked_mean(photometric_error(middle, shown, ssim_weight=ssim_weight), mask)


def _span(canvas: int, size: Array, offset: Array) -> tuple[Array, Array]:
    """First pixel and length of the crop, in the middle view's pixels along one axis."""
    first = round_ratio(canvas * offset, size)
    length = round_ratio(canvas * canvas, size)
    # Both are rounded, so together they may reach one pixel too far.
    return first, jnp.minimum(length, canvas - first)


def round_ratio(numerator: Int[Array, "..."] | int, denominator: Int[Array, "..."]) -> Array:
    """`numerator / denominator` to the nearest integer, halves to even, exact in integers."""
    quotient, rest = numerator // denominator, numerator % denominator
    up = (2 * rest > denominator) | ((2 * rest == denominator) & (quotient % 2 == 1))
    return quotient + up.astype(quotient.dtype)


def _linear_weights(coordinates: Array, size: Any, resized: Any, length: int) -> Array:
    return resize_weights(coordinates, size, resized, length, kernel="linear", antialias=False)
