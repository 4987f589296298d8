"""Direct image alignment: the camera's motion that explains two images best, given the depth.

Inverse compositional Gauss-Newton (Baker & Matthews, Lucas-Kanade 20 Years On, IJCV 2004), as
direct visual odometry does it (Wang et al., Learning Depth from Monocular Videos using Direct
Methods, CVPR 2018): the target's gradients serve every step, so a step costs one warp.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from radepth_jax.geometry import camera, se3
from radepth_jax.geometry.resize import shrink
from radepth_jax.geometry.sampling import sample

# Steps, as `factors` of `align`, that find a motion from nothing in images of about 192x64.
COARSE_TO_FINE = (4, 4, 2, 2, 1, 1)
# A grey difference of this size counts half. Grey goes from 0 to 1. Moving objects and occlusions
# have larger differences.
_TOLERANCE = 0.05
# This share of the normal equations' diagonal is added to it. A motion that the images hardly tell
# from another then stays as it was.
_DAMPING = 1e-2


class _Level(NamedTuple):
    """What is aligned, at one size."""

    target: Float[Array, "h w 1"]  # grey
    source: Float[Array, "h w 1"]
    depth: Float[Array, "h w 1"]
    intrinsics: Float[Array, "3 3"]


def align(
    target: Float[Array, "H W 3"],
    source: Float[Array, "H W 3"],
    depth: Float[Array, "H W 1"],
    intrinsics: Float[Array, "3 3"],
    source_T_target: Float[Array, "4 4"],
    *,
    factors: Sequence[int],
    turns: Bool[Array, ""] | bool = True,
) -> Float[Array, "4 4"]:
    """Improve a motion by a few Gauss-Newton steps, from coarse images to fine ones.

    Args:
      target: [H, W, 3] in [0, 1].
      source: [H, W, 3] in [0, 1], of the same camera.
      depth: [H, W, 1] of the target.
      intrinsics: [3, 3] of both.
      source_T_target: [4, 4] to start from.
      factors: for each step, by how much the images are shrunk; each divides H and W.
      turns: whether the rotation is improved too, or the translation alone.

    Returns:
      [4, 4] the motion after the steps, or the one to start from where that fits better. It is a
      constant, so no gradient flows back through it. At the best motion that gradient is 0 anyway,
      because a small change of the motion changes the error only to second order.
    """
    target, source, depth, intrinsics, start = jax.lax.stop_gradient(
        (target, source, depth, intrinsics, source_T_target)
    )
    levels = {f: _level(target, source, depth, intrinsics, f) for f in dict.fromkeys(factors)}
    moved = start
    for factor in factors:
        moved = _step(levels[factor], moved, jnp.asarray(turns))
    judge = levels[sorted(levels)[len(levels) // 2]]
    return jnp.where(_misfit(judge, moved) < _misfit(judge, start), moved, start)


def misfit(
    target: Float[Array, "H W 3"],
    source: Float[Array, "H W 3"],
    depth: Float[Array, "H W 1"],
    intrinsics: Float[Array, "3 3"],
    source_T_target: Float[Array, "4 4"],
) -> Float[Array, ""]:
    """The mean robust error that `align` makes small, at full size. The arguments are `align`'s."""
    return _misfit(_level(target, source, depth, intrinsics, 1), source_T_target)


def _level(target: Array, source: Array, depth: Array, intrinsics: Array, factor: int) -> _Level:
    """The grey images and the depth, shrunk by a factor. Depth is averaged as its inverse."""
    grey = [jnp.mean(image, axis=-1, keepdims=True) for image in (target, source)]
    size = target.shape[:2]
    small = (size[0] // factor, size[1] // factor)
    return _Level(
        shrink(grey[0], factor),
        shrink(grey[1], factor),
        1 / shrink(1 / depth, factor),
        camera.resize_intrinsics(intrinsics, size, small),
    )


def _step(
    level: _Level, source_T_target: Float[Array, "4 4"], turns: Bool[Array, ""]
) -> Float[Array, "4 4"]:
    """One Gauss-Newton step."""
    difference, inside = _compare(level, source_T_target)
    weight = inside / (1 + jnp.square(difference / _TOLERANCE))
    free = jnp.concatenate([jnp.full(3, turns), jnp.ones(3, bool)])
    slopes = _slopes(level) * free[None, None]
    weighted = weight[..., None] * slopes
    normal = jnp.einsum("yxi,yxj->ij", weighted, slopes, precision=se3.HIGHEST)
    right = jnp.einsum("yxi,yx->i", weighted, difference, precision=se3.HIGHEST)
    damped = normal + jnp.diag(_DAMPING * jnp.diagonal(normal) + 1e-6)
    motion = jnp.linalg.solve(damped, right)
    change = se3.transform_from_pose(motion[:3], motion[3:])
    return jnp.matmul(source_T_target, se3.invert(change), precision=se3.HIGHEST)


def _compare(
    level: _Level, source_T_target: Float[Array, "4 4"]
) -> tuple[Float[Array, "h w"], Bool[Array, "h w"]]:
    """Every target pixel's grey in the source minus its own, and whether the source shows it."""
    points = camera.back_project(level.depth, level.intrinsics)
    moved = camera.transform_points(source_T_target, points)
    seen = camera.project(moved, level.intrinsics)
    height, width = level.target.shape[:2]
    u, v = seen[..., 0], seen[..., 1]
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1) & (moved[..., 2] > 0)
    return (sample(level.source, seen) - level.target)[..., 0], inside


def _slopes(level: _Level) -> Float[Array, "h w 6"]:
    """The target's change of grey, at each pixel, with a small rotation (3) and translation (3)."""
    target, inverse = level.target[..., 0], 1 / level.depth[..., 0]
    height, width = target.shape
    (fx, skew, cx), (_, fy, cy), _ = level.intrinsics
    y = jnp.broadcast_to((jnp.arange(height)[:, None] - cy) / fy, target.shape)
    x = (jnp.arange(width)[None] - cx - skew * y) / fx
    down, right = jnp.gradient(target)
    zero = jnp.zeros_like(x)
    # The point is (x, y, 1) / inverse, and these say how its x and y change.
    x_moves = jnp.stack([-x * y, 1 + x * x, -y, inverse, zero, -x * inverse], axis=-1)
    y_moves = jnp.stack([-1 - y * y, x * y, x, zero, inverse, -y * inverse], axis=-1)
    u_moves = fx * x_moves + skew * y_moves
    return right[..., None] * u_moves + down[..., None] * fy * y_moves


def _misfit(level: _Level, source_T_target: Float[Array, "4 4"]) -> Float[Array, ""]:
    """The mean robust error. A pixel that the source does not show has the tolerance's error."""
    difference, inside = _compare(level, source_T_target)
    return jnp.mean(jnp.log1p(jnp.where(inside, jnp.square(difference / _TOLERANCE), 1.0)))
