"""Depth carried from one frame to the next by the camera's motion, and compared there.

The points of the earlier frame are moved into the later camera. Their depth there is compared with
the later frame's depth at the places where they appear, so nothing is splatted.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from radepth_jax.geometry import camera
from radepth_jax.geometry.sampling import sample

# A point is hidden if another point of its frame is this share nearer, at the same place. A road
# that is seen at a flat angle gets as much nearer from row to row only near the horizon.
_NEARER = 0.1
# Places may be this many pixels beyond the last ones. Without motion, rounding would lose them.
_SLACK = 1e-3


class Carried(NamedTuple):
    """The points that an earlier frame's pixels [H, W] see, in the later camera.

    Attributes:
      depth: [H, W] their distance along the later camera's axis, in the earlier depth's unit.
      place: [H, W, 2] the pixel coordinates (u, v) at which the later camera sees them.
      inside: [H, W] whether the pixel is part of the earlier image and the place of the later one.
    """

    depth: Float[Array, "H W"]
    place: Float[Array, "H W 2"]
    inside: Bool[Array, "H W"]


def carry(
    depth: Float[Array, "H W"],
    intrinsics: Float[Array, "3 3"],
    later_T_earlier: Float[Array, "4 4"],
    *,
    size: Any = None,
) -> Carried:
    """Move the points of a frame into the next camera.

    Args:
      depth: [H, W] of the earlier frame, positive.
      intrinsics: [3, 3] of both frames, in this map's pixels.
      later_T_earlier: [4, 4] in the depth's unit.
      size: (h, w) of the valid top-left part, static or traced. All of it by default.
    """
    height, width = depth.shape
    rows, columns = (height, width) if size is None else (size[0], size[1])
    points = camera.back_project(depth[..., None], intrinsics)
    moved = camera.transform_points(later_T_earlier, points)
    place = camera.project(moved, intrinsics)
    u, v, z = place[..., 0], place[..., 1], moved[..., 2]
    own = (jnp.arange(height)[:, None] < rows) & (jnp.arange(width)[None] < columns)
    across = (u >= -_SLACK) & (u <= columns - 1 + _SLACK)
    down = (v >= -_SLACK) & (v <= rows - 1 + _SLACK)
    return Carried(z, place, own & across & down & (z > 0))


def sample_depth(
    depth: Float[Array, "H W"], place: Float[Array, "h w 2"], *, size: Any = None
) -> Float[Array, "h w"]:
    """Depth at pixel coordinates. Its inverse is interpolated, which is exact on a plane.

    Args:
      depth: [H, W], positive in its valid part.
      place: [h, w, 2] pixel coordinates (u, v).
      size: (h, w) of the valid top-left part of `depth`. All of it by default.
    """
    return 1 / sample((1 / depth)[..., None], place, size=size)[..., 0]


def in_front(carried: Carried) -> Bool[Array, "H W"]:
    """Which points no other point of their own frame hides from the later camera.

    A point is hidden if another one, which is a tenth nearer, falls on its pixel or on one beside
    it. The later frame's depth is not asked, so that depth which flickers cannot pass for hidden.
    What enters the view, or moves by itself, hides points without being noticed.

    Returns:
      [H, W], False outside the later image.
    """
    height, width = carried.depth.shape
    u, v = jnp.round(carried.place[..., 0]), jnp.round(carried.place[..., 1])
    pixel = jnp.where(carried.inside, v * width + u, height * width).astype(jnp.int32)
    nearest = jnp.full(height * width, jnp.inf).at[pixel.ravel()].min(
        carried.depth.ravel(), mode="drop"
    )  # fmt: skip
    around = jax.lax.reduce_window(
        nearest.reshape(height, width), jnp.inf, jax.lax.min, (3, 3), (1, 1), "SAME"
    )
    there = jnp.take(around.ravel(), pixel, mode="clip")
    return carried.inside & (there > (1 - _NEARER) * carried.depth)


def log_difference(
    carried: Carried, later_depth: Float[Array, "H W"], *, size: Any = None
) -> Float[Array, "H W"]:
    """`log(carried depth) - log(later depth)` at the places of the points; 0 outside the image.

    Args:
      carried: from `carry`.
      later_depth: [H, W] of the later frame, in the same unit.
      size: (h, w) of the valid top-left part. All of it by default.
    """
    later = sample_depth(later_depth, carried.place, size=size)
    ratio = jnp.where(carried.inside, carried.depth, 1.0) / jnp.where(carried.inside, later, 1.0)
    return jnp.log(ratio)
