"""Ray casting of street worlds: exact depth, analytic texture filtering, smooth edges.

Every solid is intersected in closed form. The image is cut into tiles, and a tile's rays meet only
the solids whose corners reach into its pyramid. A pixel's colour is a mean of five rays: its
centre with weight 1/2, and its corners with 1/8 each, which neighbours share. Its depth is that of
the centre ray alone.
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street.appearance import Appearance
from radepth_jax.street.intersect import (
    FAR,
    NEAR,
    Rays,
    enter_box,
    enter_round,
    fold_reached,
    local,
)
from radepth_jax.street.light import expose
from radepth_jax.street.road import Road
from radepth_jax.street.shade import GROUND, SKY, shade
from radepth_jax.street.solids import Solids

TILE = (32, 32)  # pixels


class FrameBuffers(NamedTuple):
    """What the renderer computes of T frames."""

    image: Array  # uint8 [T, H, W, 3]
    depth: Array  # float32 [T, H, W] metres along the optical axis, 0 for the sky
    hit: Array  # int32 [T, H, W] index of the solid, or GROUND or SKY


@partial(jax.jit, static_argnames=("size", "boxes"))
def render(
    road: Road,
    solids: Solids,
    world_T_camera: Array,
    intrinsics: Array,
    appearance: Appearance,
    *,
    size: tuple[int, int],
    boxes: int,
) -> FrameBuffers:
    """Render T frames.

    Args:
      road: the road, the same for all frames.
      solids: arrays with a leading axis T, at most 254 solids. Boxes come first, then cylinders and
        ellipsoids.
      world_T_camera: float32 [T, 4, 4].
      intrinsics: float32 [3, 3] in pixels of the rendered size, without skew.
      appearance: the world's light and ground.
      size: (h, w).
      boxes: how many of the solids are boxes.

    Returns:
      `FrameBuffers`.
    """
    if solids.yaw.shape[1] > GROUND:
        raise ValueError(f"at most {GROUND} solids, got {solids.yaw.shape[1]}")

    def frame(args: tuple[Solids, Array]) -> FrameBuffers:
        return _frame(road, args[0], args[1], intrinsics, appearance, size, boxes)

    return jax.lax.map(frame, (solids, world_T_camera))


def _frame(
    road: Road,
    solids: Solids,
    pose: Array,
    K: Array,
    appearance: Appearance,
    size: tuple[int, int],
    boxes: int,
) -> FrameBuffers:
    th, tw = TILE
    rows, columns = -(-size[0] // th), -(-size[1] // tw)
    corners = _corners(solids, pose)

    def tile(index: Array) -> tuple[Array, Array, Array]:
        v0 = (index // columns * th).astype(jnp.float32)
        u0 = (index % columns * tw).astype(jnp.float32)
        u, v = _tile_pixels(u0, v0)
        reach = _reaches(corners, K, u0 - 0.5, v0 - 0.5)
        rays = _rays(pose, K, u, v)
        colour, depth, hit = _cast(road, solids, pose, K, appearance, rays, reach, boxes)
        centre, corner = colour[:, : th * tw], colour[:, th * tw :]
        centre = centre.reshape(3, th, tw)
        corner = corner.reshape(3, th + 1, tw + 1)
        around = corner[:, :-1, :-1] + corner[:, 1:, :-1] + corner[:, :-1, 1:] + corner[:, 1:, 1:]
        image = (0.5 * centre + 0.125 * around).transpose(1, 2, 0)
        return image, depth[: th * tw].reshape(th, tw), hit[: th * tw].reshape(th, tw)

    def join(tiles: Array) -> Array:
        rest = tiles.shape[3:]
        out = tiles.reshape(rows, columns, th, tw, *rest)
        out = jnp.moveaxis(out, 2, 1).reshape(rows * th, columns * tw, *rest)
        return out[: size[0], : size[1]]

    image, depth, hit = jax.lax.map(tile, jnp.arange(rows * columns))
    return FrameBuffers(expose(appearance, join(image), pose), join(depth), join(hit))


def _tile_pixels(u0: Array, v0: Array) -> tuple[Array, Array]:
    """Pixel coordinates of a tile's rays: the centres, then the corners."""
    th, tw = TILE
    vc, uc = jnp.meshgrid(jnp.arange(th) + 0.0, jnp.arange(tw) + 0.0, indexing="ij")
    ve, ue = jnp.meshgrid(jnp.arange(th + 1) - 0.5, jnp.arange(tw + 1) - 0.5, indexing="ij")
    u = jnp.concatenate([uc.ravel(), ue.ravel()]) + u0
    v = jnp.concatenate([vc.ravel(), ve.ravel()]) + v0
    return u, v


def _rays(pose: Array, K: Array, u: Array, v: Array) -> Rays:
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    return Rays(*(pose[i, 0] * x + pose[i, 1] * y + pose[i, 2] for i in range(3)))


def _corners(solids: Solids, pose: Array) -> Array:
    """The corners of the solids' boxes in camera coordinates, [3, N, 8]."""
    signs = jnp.array([[i & 1, i >> 1 & 1, i >> 2] for i in range(8)], jnp.float32) * 2 - 1
    local = solids.half[:, None] * signs[None]  # [N, 8, 3]
    c, s = jnp.cos(solids.yaw)[:, None], jnp.sin(solids.yaw)[:, None]
    x = solids.centre[:, None, 0] + c * local[..., 0] + s * local[..., 2] - pose[0, 3]
    y = solids.centre[:, None, 1] + local[..., 1] - pose[1, 3]
    z = solids.centre[:, None, 2] - s * local[..., 0] + c * local[..., 2] - pose[2, 3]
    return jnp.stack([pose[0, i] * x + pose[1, i] * y + pose[2, i] * z for i in range(3)])


def _reaches(corners: Array, K: Array, u0: Array, v0: Array) -> Array:
    """Which solids may show in the tile whose top left corner is (u0, v0), bool [N]."""
    x, y, z = corners
    left, right = (u0 - K[0, 2]) / K[0, 0], (u0 + TILE[1] - K[0, 2]) / K[0, 0]
    top, low = (v0 - K[1, 2]) / K[1, 1], (v0 + TILE[0] - K[1, 2]) / K[1, 1]
    # A convex body misses the pyramid if all its corners lie outside one of the planes.
    inside = [x > left * z, x < right * z, y > top * z, y < low * z, z > NEAR]
    return jnp.all(jnp.stack([i.any(1) for i in inside]), 0)


def _cast(
    road: Road,
    solids: Solids,
    pose: Array,
    K: Array,
    appearance: Appearance,
    rays: Rays,
    reach: Array,
    boxes: int,
) -> tuple[Array, Array, Array]:
    """Colour [3, S], depth [S] and hit [S] of a tile's rays."""
    eye = pose[:3, 3]
    to_ground = -eye[1] / rays.y
    ground = (rays.y > 0) & (to_ground < FAR)
    first = _tag(jnp.where(ground, to_ground, 2 * FAR), jnp.where(ground, GROUND, SKY))

    def nearest(first: Array, t: Array, index: Array) -> Array:
        return jnp.minimum(first, _tag(t, index))

    first = fold_reached(nearest, first, solids, boxes, reach, eye, rays)
    hit = first & 255

    # The search keeps only the winner's index. Depth and surface are computed once, precisely.
    index = jnp.minimum(hit, reach.shape[0] - 1)
    own = jax.tree.map(lambda leaf: leaf.T[..., index], solids)  # with the sample axis last
    ray = local(own, eye, rays)
    t_box, t_round = enter_box(own.half, *ray)[0], enter_round(own.half, own.ellipsoid, *ray)
    t = jnp.where(hit >= boxes, t_round, t_box)
    # A ray that grazes a hill may miss it in this second computation, because it rounds
    # differently. The search's depth is kept then.
    t = jnp.where(t > 2 * FAR, jax.lax.bitcast_convert_type(first & ~255, jnp.float32), t)
    t = jnp.where(hit == GROUND, to_ground, t)
    depth = jnp.where(hit == SKY, 0.0, t)
    t = jnp.where(hit == SKY, 1.0, t)
    return shade(road, appearance, solids, boxes, pose, K, rays, own, t, hit), depth, hit


def _tag(t: Array, index: Array) -> Array:
    """Depth and index in one int32 that sorts by depth. The index takes the eight lowest bits."""
    return (jax.lax.bitcast_convert_type(t, jnp.int32) & ~255) | index
