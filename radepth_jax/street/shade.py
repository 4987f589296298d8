"""Colours of the surfaces that rays meet: texture at the right level of detail, and light."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street import ground, light, texture
from radepth_jax.street.appearance import Appearance
from radepth_jax.street.intersect import Rays, enter_box, local
from radepth_jax.street.road import Road
from radepth_jax.street.solids import Solids

GROUND, SKY = 254, 255  # what a pixel shows, besides the index of a solid


def shade(
    road: Road,
    appearance: Appearance,
    solids: Solids,
    boxes: int,
    pose: Array,
    K: Array,
    rays: Rays,
    own: Solids,
    t: Array,
    hit: Array,
) -> Array:
    """The light [3, S] from what the rays of a tile meet. It may exceed 1.

    Args:
      road: the road.
      appearance: the world's light and ground.
      solids: all solids, which cast shadows.
      boxes: how many of them are boxes.
      pose: world_T_camera [4, 4].
      K: intrinsics [3, 3].
      rays: world directions.
      own: the solid that each ray meets, with the sample axis last.
      t: depth [S].
      hit: index of the solid, or GROUND or SKY, [S].
    """
    origin, direction = local(own, pose[:3, 3], rays)
    axis, is_round = enter_box(own.half, origin, direction)[1], hit >= boxes
    on_ground = hit == GROUND
    c, s = jnp.cos(own.yaw), jnp.sin(own.yaw)
    p = [o + t * d for o, d in zip(origin, direction, strict=True)]
    bulge = (1.0, own.ellipsoid, 1.0)
    gradient = [p[i] * bulge[i] / own.half[i] ** 2 for i in range(3)]
    length = jnp.linalg.norm(jnp.stack(gradient), axis=0) + 1e-12
    n = []
    for i in range(3):
        flat = jnp.where(axis == i, -jnp.sign(direction[i]), 0.0)
        normal = jnp.where(is_round, gradient[i] / length, flat)
        n.append(jnp.where(on_ground, -1.0 if i == 1 else 0.0, normal))
    face = jnp.where(jnp.abs(n[0]) > jnp.abs(n[2]), 0, 2)
    face = jnp.where(jnp.abs(n[1]) > jnp.maximum(jnp.abs(n[0]), jnp.abs(n[2])), 1, face)

    # How the surface point moves from one pixel to the next: along the ray's change, and then
    # along the ray to the tangent plane.
    facing = n[0] * direction[0] + n[1] * direction[1] + n[2] * direction[2]
    facing = jnp.where(jnp.abs(facing) < 1e-3, -1e-3, facing)
    ahead = [jnp.where(on_ground, a, b) for a, b in zip(rays, direction, strict=True)]
    moves = []
    for k in range(2):
        w = [pose[i, k] / K[k, k] for i in range(3)]  # the change of the world direction
        change = [c * w[0] - s * w[2], w[1] + 0.0 * c, s * w[0] + c * w[2]]
        change = [jnp.where(on_ground, a, b) for a, b in zip(w, change, strict=True)]
        slide = (n[0] * change[0] + n[1] * change[1] + n[2] * change[2]) / facing
        moves.append([t * (change[i] - slide * ahead[i]) for i in range(3)])
    steps = [jnp.abs(moves[0][i]) + jnp.abs(moves[1][i]) for i in range(3)]

    x, z = pose[0, 3] + t * rays.x, pose[2, 3] + t * rays.z
    d, step_d, step_z = ground.road_coordinates(
        road, x, z, (moves[0][0], moves[0][2], moves[1][0], moves[1][2])
    )

    def on_face(a: Any, b: Any, e: Any) -> Array:
        return jnp.where(face == 0, a, jnp.where(face == 1, b, e))

    # Coordinates on the face run along it from one end, and up from the bottom.
    u = on_face(p[2], p[0], p[0]) + on_face(own.half[2], own.half[0], own.half[0])
    v = on_face(own.half[1] - p[1], p[2], own.half[1] - p[1])
    step_u, step_v = on_face(steps[2], steps[0], steps[0]), on_face(steps[1], steps[2], steps[1])
    surface = _if_any(hit < GROUND, _body_colour, own, u, v, step_u, step_v, (face == 1) | is_round)

    seed = jnp.where(on_ground, appearance.seed, own.seed + 7919 * face)
    u, v = jnp.where(on_ground, d, u), jnp.where(on_ground, z, v)
    step_u, step_v = jnp.where(on_ground, step_d, step_u), jnp.where(on_ground, step_z, step_v)
    cell, contrast = ground.ground_noise(appearance.surface, d)
    cell = jnp.where(on_ground, cell, own.cell)
    contrast = jnp.where(on_ground, contrast, own.contrast)
    step_u, step_v = jnp.maximum(step_u, 1e-4), jnp.maximum(step_v, 1e-4)
    noise = texture.layered_noise(u, v, cell, seed, step_u, step_v)
    paint = (ground.ground_colour, appearance, road.crossings, d, z, step_d, step_z)
    surface = jnp.where(on_ground[None], _if_any(on_ground, *paint), surface)
    surface = surface * jnp.exp(contrast * jnp.clip(noise, -3.0, 3.0))[None]
    # The ground's normal is vertical, so turning it by a solid's yaw does not change it.
    turned = (c * n[0] + s * n[2], n[1], -s * n[0] + c * n[2])
    point = (x, pose[1, 3] + t * rays.y, z)
    sunlit = light.in_sun(appearance, solids, boxes, point, turned, t, hit == SKY)
    surface = surface * light.light(appearance, turned, sunlit, rays, t)
    pixel = jnp.full_like(t, 1.0) / K[0, 0]
    wet = on_ground & (appearance.wet > 0)
    mirror = _if_any(wet, light.mirrored, appearance, surface, rays, pixel)
    surface = light.through_air(appearance, jnp.where(wet[None], mirror, surface), rays, t)
    sky = _if_any(hit == SKY, light.sky_colour, appearance, rays, pixel)
    return jnp.where((hit == SKY)[None], sky, surface)


def _if_any(where: Array, colour: Callable[..., Array], *args: Any) -> Array:
    """`colour(*args)` [3, S], or zeros without the work if no sample of the tile needs it."""
    zeros = jnp.zeros((3, where.shape[0]))
    return jax.lax.cond(where.any(), colour, lambda *_: zeros, *args)


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
    sharp = jnp.clip(period_u / step_u - 1.0, 0.0, 1.0) * jnp.clip(
        period_v / step_v - 1.0, 0.0, 1.0
    )
    second = own.second * (1.0 + 0.6 * differ * sharp)[None]
    return texture.mix(own.base, second, jnp.where(plain, 0.0, panes))
