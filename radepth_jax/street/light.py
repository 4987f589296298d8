"""Light: sunlight and shadows, headlights, the sky, haze, wet ground, and the camera's exposure.

All functions but `expose` are elementwise over samples `[S]`, like those of `texture`.
"""

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street import texture
from radepth_jax.street.appearance import Appearance
from radepth_jax.street.intersect import FAR, Rays, Vector, fold_reached
from radepth_jax.street.solids import Solids

SHADOWS_TO = 150.0  # metres; shadows farther than this are not drawn


def in_sun(
    appearance: Appearance,
    solids: Solids,
    boxes: int,
    point: Vector,
    normal: Vector,
    t: Array,
    sky: Array,
) -> Array:
    """Whether the sun reaches surface points of a tile, [S] of 0 and 1."""
    off = 0.02 + 0.002 * t
    eye = (point[0] + off * normal[0], point[1] + off * normal[1], point[2] + off * normal[2])
    sun = Rays(*(appearance.sun[i : i + 1] for i in range(3)))
    near = ~sky & (t < SHADOWS_TO)
    # Which solids overlap the tile's points, seen from the sun, and are not behind them all?
    right = jnp.cross(appearance.sun, jnp.array([0.0, 1.0, 0.0]))
    right = right / jnp.linalg.norm(right)
    up = jnp.cross(appearance.sun, right)
    c, s = jnp.cos(solids.yaw), jnp.sin(solids.yaw)
    reach = jnp.full(solids.yaw.shape, near.any() & (appearance.direct.max() > 0))
    for axis in (right, up, appearance.sun):
        where = axis[0] * eye[0] + axis[1] * eye[1] + axis[2] * eye[2]
        own = (c * axis[0] - s * axis[2], jnp.full_like(c, axis[1]), s * axis[0] + c * axis[2])
        extent = sum(jnp.abs(own[i]) * solids.half[:, i] for i in range(3))
        centre = solids.centre @ axis
        reach &= centre + extent > jnp.min(jnp.where(near, where, jnp.inf))
        if axis is not appearance.sun:
            reach &= centre - extent < jnp.max(jnp.where(near, where, -jnp.inf))

    def shaded(shadow: Array, found: Array, _: Array) -> Array:
        return shadow | (found < FAR)

    none = jnp.zeros(t.shape, bool)
    shadow = fold_reached(shaded, none, solids, boxes, reach, eye, sun)
    return 1.0 - shadow * near


def light(appearance: Appearance, normal: Vector, sunlit: Array, rays: Rays, t: Array) -> Array:
    """The light on surfaces, [3, S]: of the sky, of the sun, and of our headlights."""
    facing = jnp.maximum(sum(normal[i] * appearance.sun[i] for i in range(3)), 0.0)
    above = 0.75 - 0.25 * normal[1]  # the sky lights surfaces that face it; y points down
    towards = -(normal[0] * rays.x + normal[1] * rays.y + normal[2] * rays.z)
    lamps = appearance.headlights * (0.3 + jnp.clip(towards, 0.0, 0.7)) / (1.0 + (t / 12.0) ** 2)
    return (
        appearance.ambient[:, None] * above[None]
        + appearance.direct[:, None] * (facing * sunlit)[None]
        + lamps[None]
    )


def mirrored(appearance: Appearance, colour: Array, rays: Rays, step: Array) -> Array:
    """Colours [3, S] of the ground, with the sky that it mirrors where it is wet (Schlick 1994)."""
    up = Rays(rays.x, -rays.y, rays.z)
    steep = rays.y / jnp.sqrt(rays.x**2 + rays.y**2 + rays.z**2)
    share = appearance.wet * (0.02 + 0.98 * (1.0 - jnp.clip(steep, 0.0, 1.0)) ** 5)
    return texture.mix(colour, sky_colour(appearance, up, step), share)


def sky_colour(appearance: Appearance, rays: Rays, step: Array) -> Array:
    """The sky's colour `[3, S]` along world directions of any length. `step` is radians a pixel."""
    level = jnp.hypot(rays.x, rays.z)
    azimuth, elevation = jnp.arctan2(rays.x, rays.z), jnp.arctan2(-rays.y, level)
    rise = 1.0 - jnp.exp(-appearance.rise * jnp.maximum(elevation, 0.0))
    colour = texture.mix(appearance.horizon[:, None], appearance.zenith[:, None], rise)
    size = jnp.full_like(azimuth, appearance.cloud_size)
    cloud = texture.layered_noise(azimuth, 2.5 * elevation, size, appearance.seed, step, 2.5 * step)
    share = jax.nn.sigmoid(4.0 * (0.6 * cloud + appearance.cover)) * jnp.clip(
        8.0 * elevation, 0.0, 1.0
    )
    puff = appearance.cloud[:, None] * (1.0 - 0.12 * jnp.clip(cloud, -1.0, 2.0))[None]
    colour = texture.mix(colour, puff, share)
    length = jnp.sqrt(level**2 + rays.y**2)
    toward = (
        rays.x * appearance.sun[0] + rays.y * appearance.sun[1] + rays.z * appearance.sun[2]
    ) / length
    glow = appearance.glow[0] * jnp.exp(appearance.glow[1] * (toward - 1.0))
    return colour + glow[None]


def through_air(appearance: Appearance, colour: Array, rays: Rays, t: Array) -> Array:
    """Colours [3, S] as seen through `t` [S] of haze."""
    length = t * jnp.sqrt(rays.x**2 + rays.y**2 + rays.z**2)
    return texture.mix(
        colour, 0.9 * appearance.horizon[:, None], 1.0 - jnp.exp(-appearance.haze * length)
    )


def expose(appearance: Appearance, image: Array, pose: Array) -> Array:
    """The camera's picture, uint8 [H, W, 3], of light [H, W, 3]."""
    h, w = image.shape[:2]
    v, u = jnp.meshgrid(jnp.linspace(-1, 1, h), jnp.linspace(-1, 1, w), indexing="ij")
    fall = 1.0 - appearance.vignette * 0.5 * (u**2 + v**2)
    image = image * appearance.exposure[None, None] * fall[..., None]
    for axis in (0, 1):
        pad = [(1, 1) if i == axis else (0, 0) for i in range(3)]
        wide = jnp.pad(image, pad, mode="edge")
        before = jax.lax.slice_in_dim(wide, 0, image.shape[axis], axis=axis)
        after = jax.lax.slice_in_dim(wide, 2, image.shape[axis] + 2, axis=axis)
        image = (1.0 - 2.0 * appearance.blur) * image + appearance.blur * (before + after)
    image = jnp.clip(image, 0.0, 1.0) ** appearance.gamma
    grey = image.mean(-1, keepdims=True)
    image = grey + appearance.saturation * (image - grey)
    image = image + appearance.contrast * (image - 0.5) * jnp.minimum(
        1.0, 4.0 * image * (1.0 - image)
    )
    # Each pose has another noise.
    seed = appearance.seed + jax.lax.bitcast_convert_type(pose[:3, 3].sum(), jnp.int32)
    i, j, c = jnp.meshgrid(jnp.arange(h), jnp.arange(w), jnp.arange(3), indexing="ij")
    grain = sum(texture.lattice_hash(i, j, seed + 7 * c + 1009 * k) for k in range(3))
    return jnp.round(255.0 * jnp.clip(image + appearance.noise * grain, 0.0, 1.0)).astype(jnp.uint8)
