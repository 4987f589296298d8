"""The seven depth metrics of the field, masked, as functions that can be jitted.

Eigen et al., "Depth Map Prediction from a Single Image using a Multi-Scale Deep Network" (2014),
section 4.3; median scaling after Zhou et al. (2017).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.geometry.median import masked_median
from radepth_jax.runs.protocol import Protocol

METRICS = ("abs_rel", "sq_rel", "rmse", "rmse_log", "d1", "d2", "d3")
# Rows and columns that Garg et al. (2016) evaluate on KITTI, as fractions of the image.
GARG_CROP = (0.40810811, 0.99189189, 0.03594771, 0.96405229)
# Rows 45..470 and columns 41..600 of NYUv2's 640x480 images (Eigen et al., 2014).
NYU_CROP = (45, 471, 41, 601)


def valid_mask(depth: jax.Array, size: jax.Array, protocol: Protocol) -> jax.Array:
    """Which ground-truth pixels count.

    Args:
        depth: [H, W] in metres. 0 means unknown.
        size: int32 [2], the true (h, w) inside the canvas.
        protocol: the range of depth and the crop.

    Returns:
        bool [H, W].
    """
    mask = (depth > protocol.min_depth) & (depth < protocol.max_depth)
    if protocol.crop == "none":
        return mask
    bounds: Any = NYU_CROP
    if protocol.crop == "garg":
        bounds = [
            _floor_table(fraction, depth.shape[axis])[size[axis]]
            for fraction, axis in zip(GARG_CROP, (0, 0, 1, 1), strict=True)
        ]
    top, bottom, left, right = bounds
    rows = jnp.arange(depth.shape[0])[:, None]
    columns = jnp.arange(depth.shape[1])[None, :]
    return mask & (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)


def _floor_table(fraction: float, longest: int) -> jax.Array:
    """`floor(fraction * side)` for side = 0..longest, computed in float64 as published.

    In float32, 0.99189189 * 370 would round up to 367.
    """
    return jnp.asarray(np.floor(fraction * np.arange(longest + 1)).astype(np.int32))


def depth_metrics(
    predicted: jax.Array,
    truth: jax.Array,
    size: jax.Array,
    protocol: Protocol,
    factor: jax.Array | float | None = None,
) -> dict[str, jax.Array]:
    """The metrics of one image.

    Args:
        predicted: depth [H, W], in metres or up to scale. It has to be positive and finite wherever
            the truth counts.
        truth: depth [H, W] in metres. 0 means unknown.
        size: int32 [2], the true (h, w) inside the canvas.
        protocol: the range of depth and the crop.
        factor: [] metres per unit of `predicted`. By default it is the ratio of the medians.

    Returns:
        Arrays [] by name. `METRICS`, `scale` and `median_ratio` are float32, and NaN if no pixel
        counts or the factor is NaN. `scale` is what the prediction was multiplied by, and
        `median_ratio` is the truth's median over the prediction's. `known` is the number of pixels
        at which the truth counts. `pixels` is how many of them were compared, which is 0 if the
        factor is NaN. `not_finite` and `not_positive` are at how many of them the prediction is NaN
        or infinite, and 0 or negative. If there are any, `METRICS` are NaN.
    """
    mask = valid_mask(truth, size, protocol)
    not_finite = (mask & ~jnp.isfinite(predicted)).sum()
    not_positive = (mask & jnp.isfinite(predicted) & (predicted <= 0)).sum()
    ratio = masked_median(truth, mask) / masked_median(predicted, mask)
    scale = ratio if factor is None else jnp.asarray(factor, jnp.float32)
    predicted = jnp.clip(predicted * scale, protocol.min_depth, protocol.max_depth)
    # Outside the mask both are 1, which adds nothing to any error.
    p, t = jnp.where(mask, predicted, 1.0), jnp.where(mask, truth, 1.0)
    known = mask.sum()
    pixels = jnp.where(jnp.isfinite(scale), known, 0)
    count = jnp.where((pixels > 0) & (not_finite + not_positive == 0), pixels, jnp.nan)

    def mean(values: jax.Array) -> jax.Array:
        # Row by row: one long float32 sum would lose the sixth digit.
        return jnp.where(mask, values, 0.0).sum(1).sum() / count

    ratios = jnp.maximum(p / t, t / p)
    return {
        "abs_rel": mean(jnp.abs(p - t) / t),
        "sq_rel": mean((p - t) ** 2 / t),
        "rmse": jnp.sqrt(mean((p - t) ** 2)),
        "rmse_log": jnp.sqrt(mean((jnp.log(p) - jnp.log(t)) ** 2)),
        "d1": mean(ratios < 1.25),
        "d2": mean(ratios < 1.25**2),
        "d3": mean(ratios < 1.25**3),
        "scale": scale,
        "median_ratio": ratio,
        "pixels": pixels,
        "known": known,
        "not_finite": not_finite,
        "not_positive": not_positive,
    }
