"""Cross-scale depth consistency (RA-Depth, section 3.4): views must agree on the same scene.

Sizes and crops are drawn per sample, so what one view shows of another is traced; it is compared on
the middle view's canvas, whose size is static.
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from radepth_jax.geometry.resize import resample, resize_weights
from radepth_jax.losses.photometric import photometric_error
from radepth_jax.losses.region import Region, masked_mean


class Overlap(NamedTuple):
    """What the middle view and another one both show.

    Attributes:
      region: in the middle view's pixels.
      size: (h, w) of the top-left part of the other view that shows it.
    """

    region: Region
    size: tuple[Array, Array]


def overlap(canvas: tuple[int, int], size: Int[Array, "2"], offset: Int[Array, "2"]) -> Overlap:
    """What the middle view and another one both show.

    Of a larger frame (as of the high view) that is the whole crop; of a smaller one (as of the low
    view) it is the whole frame, without the strips that fill the canvas beyond it.

    Args:
      canvas: (h, w) of both views.
      size: [2] (h, w) that the other view's whole frame was resized to.
      offset: [2] (y, x) of the other view's canvas in that frame.
    """
    (top, height), (left, width) = (_span(canvas[i], size[i], offset[i]) for i in range(2))
    shown = tuple(jnp.minimum(size[i] - offset[i], canvas[i]) for i in range(2))
    return Overlap(Region(top, left, height, width), (shown[0], shown[1]))


def consistency(
    middle: Float[Array, "H W 1"],
    other: Float[Array, "H W 1"],
    mask: Bool[Array, "H W"],
    shared: Overlap,
    *,
    ssim_weight: float = 0.85,
) -> Float[Array, ""]:
    """Disagreement of the middle view's disparity with another view's, in the part that both show.

    The other view's part is resampled (bilinear, not antialiased) to the middle view's pixels.

    Args:
      middle: [H, W, 1] disparity.
      other: [H, W, 1] disparity.
      mask: [H, W] the middle view's pixels that count.
      shared: by the two views, see `overlap`.
      ssim_weight: see `photometric.photometric_error`.

    Returns:
      The loss, a scalar; 0 where no pixel counts.
    """
    height, width = middle.shape[:2]
    region, (rows, columns) = shared
    resampled = resample(
        other,
        _linear_weights(jnp.arange(height) - region.top, rows, region.height, height),
        _linear_weights(jnp.arange(width) - region.left, columns, region.width, width),
    )
    error = photometric_error(middle, resampled, ssim_weight=ssim_weight, region=region)
    return masked_mean(error, mask & region.mask((height, width)))


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
