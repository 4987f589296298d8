"""Ray casting of street worlds: exact depth, analytic texture filtering, smooth edges.

Every solid is intersected in closed form. The image is cut into tiles, and a tile's rays meet only
the solids whose corners reach into its pyramid. Colours are the quincunx of five rays a pixel
(its centre, weight 1/2, and its corners, 1/8 each, shared with the neighbours); depth is that of
the centre ray alone.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.data.street import texture
from radepth_jax.data.street.road import Road
from radepth_jax.data.street.solids import Solids

GROUND, SKY = 254, 255  # what a pixel shows, besides the index of a solid
TILE = (32, 32)
UNROLL = 4
NEAR = 0.05  # metres
FAR = 2000.0  # ground beyond this is drawn as sky
SUN = (0.48, -0.72, -0.50)  # unit vector towards the sun
AMBIENT = 0.55


class Rendered(NamedTuple):
    """Frames as rendered."""

    image: Array  # uint8 [T, H, W, 3]
    depth: Array  # float32 [T, H, W] metres along the optical axis, 0 for the sky
    hit: Array  # int32 [T, H, W] index of the solid, or GROUND or SKY


class _Rays(NamedTuple):
    """World directions with unit advance along the optical axis, so that distance is depth; [S]."""

    x: Array
    y: Array
    z: Array


@partial(jax.jit, static_argnames=("size", "boxes"))
def render(
    road: Road,
    solids: Solids,
    world_T_camera: Array,
    intrinsics: Array,
    *,
    size: tuple[int, int],
    boxes: int,
) -> Rendered:
    """Render T frames.

    Args:
      road: the road, the same for all frames.
      solids: arrays with a leading axis T; boxes first, then cylinders and ellipsoids, at most 254.
      world_T_camera: float32 [T, 4, 4].
      intrinsics: float32 [3, 3] in pixels of the rendered size; no skew.
      size: (h, w).
      boxes: how many of the solids are boxes.

    Returns:
      `Rendered`.
    """
    if solids.yaw.shape[1] > GROUND:
        raise ValueError(f"at most {GROUND} solids, got {solids.yaw.shape[1]}")

    def frame(args: tuple[Solids, Array]) -> Rendered:
        return _frame(road, args[0], args[1], intrinsics, size, boxes)

    return jax.lax.map(frame, (solids, world_T_camera))


def _frame(
    road: Road, solids: Solids, pose: Array, K: Array, size: tuple[int, int], boxes: int
) -> Rendered:
    th, tw = TILE
    rows, columns = -(-size[0] // th), -(-size[1] // tw)
    corners = _corners(solids, pose)

    def tile(index: Array) -> tuple[Array, Array, Array]:
        v0 = (index // columns * th).astype(jnp.float32)
        u0 = (index % columns * tw).astype(jnp.float32)
        u, v = _tile_pixels(u0, v0)
        reach = _reaches(corners, K, u0 - 0.5, v0 - 0.5)
        rays = _rays(pose, K, u, v)
        colour, depth, hit = _cast(road, solids, pose, K, rays, reach, boxes)
        centre, corner = colour[:, : th * tw], colour[:, th * tw :]
        centre = centre.reshape(3, th, tw)
        corner = corner.reshape(3, th + 1, tw + 1)
        around = corner[:, :-1, :-1] + corner[:, 1:, :-1] + corner[:, :-1, 1:] + corner[:, 1:, 1:]
        image = jnp.clip(0.5 * centre + 0.125 * around, 0.0, 1.0)
        image = jnp.round(255.0 * image).astype(jnp.uint8).transpose(1, 2, 0)
        return image, depth[: th * tw].reshape(th, tw), hit[: th * tw].reshape(th, tw)

    def join(tiles: Array) -> Array:
        rest = tiles.shape[3:]
        out = tiles.reshape(rows, columns, th, tw, *rest)
        out = jnp.moveaxis(out, 2, 1).reshape(rows * th, columns * tw, *rest)
        return out[: size[0], : size[1]]

    image, depth, hit = jax.lax.map(tile, jnp.arange(rows * columns))
    return Rendered(join(image), join(depth), join(hit))


def _tile_pixels(u0: Array, v0: Array) -> tuple[Array, Array]:
    """Pixel coordinates of a tile's rays: the centres, then the corners."""
    th, tw = TILE
    vc, uc = jnp.meshgrid(jnp.arange(th) + 0.0, jnp.arange(tw) + 0.0, indexing="ij")
    ve, ue = jnp.meshgrid(jnp.arange(th + 1) - 0.5, jnp.arange(tw + 1) - 0.5, indexing="ij")
    u = jnp.concatenate([uc.ravel(), ue.ravel()]) + u0
    v = jnp.concatenate([vc.ravel(), ve.ravel()]) + v0
    return u, v


def _rays(pose: Array, K: Array, u: Array, v: Array) -> _Rays:
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    return _Rays(*(pose[i, 0] * x + pose[i, 1] * y + pose[i, 2] for i in range(3)))


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
    rays: _Rays,
    reach: Array,
    boxes: int,
) -> tuple[Array, Array, Array]:
    """Colour [3, S], depth [S] and hit [S] of the rays of a tile."""
    eye = pose[:3, 3]
    to_ground = -eye[1] / rays.y
    ground = (rays.y > 0) & (to_ground < FAR)
    first = _tag(jnp.where(ground, to_ground, 2 * FAR), jnp.where(ground, GROUND, SKY))
    first = _nearest(first, solids, eye, rays, reach, 0, boxes, _hit_box)
    first = _nearest(first, solids, eye, rays, reach, boxes, reach.shape[0], _hit_round)
    hit = first & 255

    # Only the winner's index is kept: its depth and surface follow once, in full precision.
    table = jnp.concatenate([leaf.reshape(leaf.shape[0], -1) for leaf in solids[:-1]], 1)
    index = jnp.minimum(hit, table.shape[0] - 1)
    own = _columns(table.T[:, index], solids.seed[index])
    origin, direction = _local(own, eye, rays)
    t_box, axis = _enter_box(own.half, origin, direction)
    t_round, _ = _enter_round(own.half, own.ellipsoid, origin, direction)
    is_round = hit >= boxes
    t = jnp.where(is_round, t_round, t_box)
    t = jnp.where(hit == GROUND, to_ground, t)
    depth = jnp.where(hit == SKY, 0.0, t)
    t = jnp.where(hit == SKY, 1.0, t)
    colour = _shade(road, own, pose, K, rays, origin, direction, t, hit, axis, is_round)
    return colour, depth, hit


def _tag(t: Array, index: Array) -> Array:
    """Depth and index in one int32 that sorts by depth: the index takes the eight lowest bits."""
    return (jax.lax.bitcast_convert_type(t, jnp.int32) & ~255) | index


def _nearest(
    first: Array,
    solids: Solids,
    eye: Array,
    rays: _Rays,
    reach: Array,
    start: int,
    stop: int,
    intersect: Any,
) -> Array:
    """The nearest of `first` [S] and the hits of the solids from `start` to `stop` in reach."""
    reach = reach[start:stop]
    order = start + jnp.argsort(~reach)
    order = jnp.concatenate([order, jnp.full((UNROLL,), start)])

    def body(step: Array, first: Array) -> Array:
        for k in range(UNROLL):
            i = order[step * UNROLL + k]
            one = jax.tree.map(lambda a, i=i: a[i], solids)
            t = intersect(one, eye, rays)
            first = jnp.minimum(first, _tag(t, i))
        return first

    return jax.lax.fori_loop(0, (reach.sum() + UNROLL - 1) // UNROLL, body, first)


def _columns(rows: Array, seed: Array) -> Solids:
    """Solids with the sample axis last ([3, S], [S]) from the stacked columns of their table."""
    widths = dict(centre=3, half=3, yaw=1, ellipsoid=1, base=3, second=3, grid=5, cell=1, contrast=1)
    fields, start = {}, 0
    for name, width in widths.items():
        fields[name] = rows[start : start + width] if width > 1 else rows[start]
        start += width
    return Solids(**fields, seed=seed)


def _local(solid: Solids, eye: Array, rays: _Rays) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Origin and direction of the rays in the solid's own axes."""
    c, s = jnp.cos(solid.yaw), jnp.sin(solid.yaw)
    x, y, z = (eye[i] - solid.centre[i] for i in range(3))
    return (c * x - s * z, y, s * x + c * z), (
        c * rays.x - s * rays.z,
        rays.y,
        s * rays.x + c * rays.z,
    )


def _enter_box(half: Array, origin: Any, direction: Any) -> tuple[Array, Array]:
    """Where rays enter a box [S] (4 FAR if they miss) and through which axis (0, 1 or 2)."""
    near, far = [], []
    for i in range(3):
        inverse = 1.0 / direction[i]
        reach = jnp.abs(inverse) * half[i]
        near.append(-origin[i] * inverse - reach)
        far.append(-origin[i] * inverse + reach)
    t = jnp.maximum(jnp.maximum(near[0], near[1]), near[2])
    leave = jnp.minimum(jnp.minimum(far[0], far[1]), far[2])
    axis = jnp.where(t == near[0], 0, jnp.where(t == near[1], 1, 2))
    return jnp.where((t <= leave) & (t > NEAR), t, 4 * FAR), axis


def _enter_round(half: Array, ellipsoid: Array, origin: Any, direction: Any) -> tuple[Array, Array]:
    """Where rays enter an upright cylinder or an ellipsoid [S], and the discriminant."""
    o = [origin[i] / half[i] for i in range(3)]
    d = [direction[i] / half[i] for i in range(3)]
    a = d[0] * d[0] + ellipsoid * d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + ellipsoid * o[1] * d[1] + o[2] * d[2]
    c = o[0] * o[0] + ellipsoid * o[1] * o[1] + o[2] * o[2] - 1.0
    inside = b * b - a * c
    t = (-b - jnp.sqrt(jnp.maximum(inside, 0.0))) / a
    ok = (inside > 0) & (t > NEAR) & (jnp.abs(o[1] + t * d[1]) <= 1.0)
    return jnp.where(ok, t, 4 * FAR), inside


def _hit_box(solid: Solids, eye: Array, rays: _Rays) -> Array:
    return _enter_box(solid.half, *_local(solid, eye, rays))[0]


def _hit_round(solid: Solids, eye: Array, rays: _Rays) -> Array:
    return _enter_round(solid.half, solid.ellipsoid, *_local(solid, eye, rays))[0]


def _shade(
    road: Road,
    own: Solids,
    pose: Array,
    K: Array,
    rays: _Rays,
    origin: tuple[Array, ...],
    direction: tuple[Array, ...],
    t: Array,
    hit: Array,
    axis: Array,
    is_round: Array,
) -> Array:
    """Colour [3, S] in [0, 1] where the rays end."""
    ground = hit == GROUND
    c, s = jnp.cos(own.yaw), jnp.sin(own.yaw)
    p = [o + t * d for o, d in zip(origin, direction, strict=True)]
    round_normal = [p[0] / own.half[0] ** 2, own.ellipsoid * p[1] / own.half[1] ** 2]
    round_normal.append(p[2] / own.half[2] ** 2)
    length = jnp.sqrt(sum(n * n for n in round_normal)) + 1e-12
    n = []
    for i in range(3):
        flat = jnp.where(axis == i, -jnp.sign(direction[i]), 0.0)
        normal = jnp.where(is_round, round_normal[i] / length, flat)
        n.append(jnp.where(ground, -1.0 if i == 1 else 0.0, normal))
    face = jnp.where(jnp.abs(n[0]) > jnp.abs(n[2]), 0, 2)
    face = jnp.where(jnp.abs(n[1]) > jnp.maximum(jnp.abs(n[0]), jnp.abs(n[2])), 1, face)

    # How the surface point moves from one pixel to the next: along the ray's change, and along
    # the ray as far as stays on the tangent plane.
    facing = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
    facing = jnp.where(jnp.abs(facing) < 1e-3, -1e-3, facing)
    moves = []
    for k in range(2):
        w = [pose[i, k] / K[k, k] for i in range(3)]  # the change of the world direction
        local = [c * w[0] - s * w[2], w[1] + 0.0 * c, s * w[0] + c * w[2]]
        local = [jnp.where(ground, a, b) for a, b in zip(w, local, strict=True)]
        slide = (n[0] * local[0] + n[1] * local[1] + n[2] * local[2]) / facing
        d = [jnp.where(ground, a, b) for a, b in zip(rays, direction, strict=True)]
        moves.append([t * (local[i] - slide * d[i]) for i in range(3)])
    steps = [jnp.abs(moves[0][i]) + jnp.abs(moves[1][i]) for i in range(3)]

    x, z = pose[0, 3] + t * rays.x, pose[2, 3] + t * rays.z
    d, step_d, step_z = texture.road_coordinates(
        road, x, z, (moves[0][0], moves[0][2], moves[1][0], moves[1][2])
    )

    def on_face(a: Any, b: Any, e: Any) -> Array:
        return jnp.where(face == 0, a, jnp.where(face == 1, b, e))

    u = on_face(p[2], p[0], p[0]) + on_face(own.half[2], own.half[0], own.half[0])
    v = on_face(own.half[1] - p[1], p[2], own.half[1] - p[1])
    step_u, step_v = on_face(steps[2], steps[0], steps[0]), on_face(steps[1], steps[2], steps[1])
    body = _body_colour(own, u, v, step_u, step_v, (face == 1) | is_round)

    seed = jnp.where(ground, road.seed, own.seed + 7919 * face)
    u, v = jnp.where(ground, d, u), jnp.where(ground, z, v)
    step_u, step_v = jnp.where(ground, step_d, step_u), jnp.where(ground, step_z, step_v)
    cell, contrast = jnp.where(ground, 4.0, own.cell), jnp.where(ground, 0.22, own.contrast)
    step_u, step_v = jnp.maximum(step_u, 1e-4), jnp.maximum(step_v, 1e-4)
    noise = texture.layered_noise(u, v, cell, seed, step_u, step_v)

    surface = texture.ground_colour(road, d, z, step_d, step_z)
    surface = jnp.where(ground[None], surface, body)
    turned = (c * n[0] + s * n[2], n[1], -s * n[0] + c * n[2])
    turned = tuple(jnp.where(ground, a, b) for a, b in zip(n, turned, strict=True))
    sun = jnp.maximum(sum(a * b for a, b in zip(turned, SUN, strict=True)), 0.0)
    light = (AMBIENT + (1.1 - AMBIENT) * sun) * jnp.exp(contrast * jnp.clip(noise, -3.0, 3.0))
    sky = texture.sky_colour(rays.x, rays.y, rays.z, road.seed, 1.0 / K[0, 0] + 0.0 * t)
    return jnp.where((hit == SKY)[None], sky, surface * light[None])


def _body_colour(
    own: Solids, u: Array, v: Array, step_u: Array, step_v: Array, plain: Array
) -> Array:
    """A solid's colour `[3, S]` without noise: its base with panes of its second colour."""
    period_u, period_v, width_u, width_v, offset = own.grid
    across, up = u - 0.5 * (period_u - width_u), v - offset
    panes = texture.pulse(across, period_u, width_u, step_u)
    panes = panes * texture.pulse(up, period_v, width_v, step_v)
    i, j = jnp.floor(across / period_u), jnp.floor(up / period_v)
    differ = texture.lattice_hash(i.astype(jnp.int32), j.astype(jnp.int32), own.seed)
    sharp = jnp.clip(period_u / step_u - 1.0, 0.0, 1.0) * jnp.clip(period_v / step_v - 1.0, 0.0, 1.0)
    second = own.second * (1.0 + 0.6 * differ * sharp)[None]
    return texture.mix(own.base, second, jnp.where(plain, 0.0, panes))
