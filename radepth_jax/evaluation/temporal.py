"""Flicker as a number: how well the depth of consecutive frames agrees along the camera's motion.

The points of frame t, as its depth says, are moved into the camera of frame t + 1. The depth that
they have there is compared with the depth of frame t + 1 at the places where they appear. Depth
that is right up to one factor for the whole sequence has no error, nor has any other depth that
belongs to one rigid scene.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.geometry.carry import carry, in_front, log_difference
from radepth_jax.geometry.median import masked_median
from radepth_jax.geometry.sampling import sample

# Logarithms of the true depth differ by less than this where two frames see the same surface.
SAME_SURFACE = 0.02
# Depth maps with less are those of a laser.
DENSE = 0.25
_THINNED = 4  # in the search for a scale every fourth pixel of both axes counts
_LARGEST = 0.5  # a larger difference of logarithms counts as this in that search
_LEAST_SEEN = 0.3  # the share of the pixels that both frames have to see in that search


class PairErrors(NamedTuple):
    """The errors of two consecutive frames, as means of |difference of log depth| over pixels.

    Attributes:
        one_scale: [] with one scale for the whole sequence.
        own_scale: [] after the median difference is taken away, as if each frame had its own scale.
        pixels: [] how many pixels were compared. The errors are NaN if there are none.
    """

    one_scale: jax.Array
    own_scale: jax.Array
    pixels: jax.Array


@jax.jit
def pair_errors(
    depth: jax.Array,
    later_depth: jax.Array,
    intrinsics: jax.Array,
    later_T_earlier: jax.Array,
    size: jax.Array,
    seen: jax.Array,
) -> PairErrors:
    """The errors of a frame and the next one.

    Args:
        depth: [H, W] of the earlier frame, positive, in the unit of the motion.
        later_depth: [H, W] of the later frame, in the same unit.
        intrinsics: [3, 3] of both, in these maps' pixels.
        later_T_earlier: [4, 4].
        size: int32 [2], the true (h, w) inside the canvas.
        seen: bool [H, W], the pixels of the earlier frame whose surface both frames see.
    """
    carried = carry(depth, intrinsics, later_T_earlier, size=size)
    difference = log_difference(carried, later_depth, size=size)
    mask = seen & carried.inside
    pixels = mask.sum()

    def mean(values: jax.Array) -> jax.Array:
        # Row by row: one long float32 sum would lose digits.
        total = jnp.where(mask, jnp.abs(values), 0.0).sum(1).sum()
        return jnp.where(pixels > 0, total / jnp.maximum(pixels, 1), jnp.nan)

    return PairErrors(mean(difference), mean(difference - masked_median(difference, mask)), pixels)


@jax.jit
def unhidden(
    depth: jax.Array, intrinsics: jax.Array, later_T_earlier: jax.Array, size: jax.Array
) -> jax.Array:
    """The pixels [H, W] that the next camera sees too, from the earlier depth alone (`in_front`).

    The arguments are those of `pair_errors`.
    """
    return in_front(carry(depth, intrinsics, later_T_earlier, size=size))


@jax.jit
def same_surface(
    truth: jax.Array,
    later_truth: jax.Array,
    intrinsics: jax.Array,
    later_T_earlier: jax.Array,
    size: jax.Array,
) -> jax.Array:
    """The pixels [H, W] of the earlier frame at which both frames see the same surface, in truth.

    The true depth is carried along the true motion and has to agree within 2 %. So what is hidden,
    edges between near and far, and what moves by itself by more are left out. The same pixels count
    for every prediction.

    Args:
        truth: [H, W] of the earlier frame in metres. 0 means unknown.
        later_truth: [H, W] of the later frame.
        intrinsics: [3, 3] of both, in these maps' pixels.
        later_T_earlier: [4, 4] in metres.
        size: int32 [2], the true (h, w) inside the canvas.
    """
    known, later_known = truth > 0, later_truth > 0
    carried = carry(jnp.where(known, truth, 1.0), intrinsics, later_T_earlier, size=size)
    difference = log_difference(carried, jnp.where(later_known, later_truth, 1.0), size=size)
    around = sample(later_known.astype(jnp.float32)[..., None], carried.place, size=size)[..., 0]
    return known & carried.inside & (around > 0.999) & (jnp.abs(difference) < SAME_SURFACE)


def is_dense(truth: np.ndarray, size: np.ndarray) -> bool:
    """Whether a true depth map [H, W] has values at a quarter of its (h, w) pixels."""
    h, w = (int(side) for side in size)
    return bool((truth[:h, :w] > 0).mean() >= DENSE)


def fit_scale(
    depths: np.ndarray, intrinsics: np.ndarray, later_T_earlier: np.ndarray, sizes: np.ndarray
) -> float:
    """The factor of the depth with which it agrees best along the motion, by least squares.

    The mean square of the difference of log depth over all frames is smallest with it, where a
    difference of more than 0.5 counts as 0.5. Factors are tried for which the median depth is 1 to
    1,000 times the camera's usual step, in three rounds that get finer. A road alone has no factor:
    it looks the same at every speed.

    Args:
        depths: [N, H, W] of consecutive frames, positive, up to one scale.
        intrinsics: [N, 3, 3], in these maps' pixels.
        later_T_earlier: [N - 1, 4, 4] in any unit.
        sizes: int32 [N, 2], the true (h, w) inside the canvas.

    Returns:
        Units of the motion per unit of depth. 1 if the camera never moves, because any factor is as
        good then.
    """
    step = float(np.median(np.linalg.norm(later_T_earlier[:, :3, 3], axis=1)))
    middle = float(
        np.median([np.median(d[:h, :w]) for d, (h, w) in zip(depths, sizes, strict=True)])
    )
    if not step > 1e-6 * middle:
        return 1.0
    # Every fourth pixel: pixel u of the thinned map is pixel 4 u of the map.
    thin = depths[:, ::_THINNED, ::_THINNED]
    K = np.asarray(intrinsics, np.float32) / np.array([[_THINNED], [_THINNED], [1]], np.float32)
    small = -(-np.asarray(sizes) // _THINNED)
    logs = np.log(step / middle) + np.linspace(0, np.log(1000.0), 41)
    for _ in range(3):
        errors = [
            float(
                np.mean(
                    [
                        _squares(thin[i], thin[i + 1], K[i], motion, small[i], np.exp(log))
                        for i, motion in enumerate(later_T_earlier)
                    ]
                )
            )
            for log in logs
        ]
        best = int(np.argmin(errors))
        logs = np.linspace(logs[max(best - 1, 0)], logs[min(best + 1, len(logs) - 1)], 11)
    return float(np.exp(logs[len(logs) // 2]))


@jax.jit
def _squares(
    depth: jax.Array,
    later_depth: jax.Array,
    intrinsics: jax.Array,
    later_T_earlier: jax.Array,
    size: jax.Array,
    scale: jax.Array,
) -> jax.Array:
    carried = carry(scale * depth, intrinsics, later_T_earlier, size=size)
    seen = in_front(carried)
    difference = log_difference(carried, scale * later_depth, size=size)
    squared = jnp.square(jnp.clip(difference, -_LARGEST, _LARGEST))
    # A factor with which most of the view is lost is wrong, however well the rest agrees.
    share = seen.sum() / (size[0] * size[1])
    error = jnp.where(seen, squared, 0.0).sum() / jnp.maximum(seen.sum(), 1)
    return jnp.where(share < _LEAST_SEEN, _LARGEST**2, error)
