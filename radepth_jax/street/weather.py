"""Varied worlds as the renderer draws them: ground, shadows, light, sky, haze and exposure.

All functions but `expose` are elementwise over samples `[S]`, like those of `texture`.
"""

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street import texture
from radepth_jax.street.appearance import Appearance, Surface
from radepth_jax.street.intersect import FAR, Rays, Vector, enter_box, enter_round, local
from radepth_jax.street.road import Road
from radepth_jax.street.solids import Solids

SHADOWS_TO = 150.0  # metres; shadows farther than this are not drawn
UNROLL = 4
LEAFY = 0.3  # solids whose texture has more contrast than this are leaves


def surface_colour(
    surface: Surface, road: Road, d: Array, z: Array, step_d: Array, step_z: Array
) -> Array:
    """The ground's colour `[3, S]` without its noise, at `road_coordinates` (and z) [S]."""
    band, mix = texture.band, texture.mix
    street = jnp.zeros_like(d)
    for k in range(road.crossings.shape[0]):
        centre, half = road.crossings[k, 0], road.crossings[k, 1]
        street = jnp.maximum(street, band(z, centre - half, centre + half, step_z))
    crossing = street
    kerb, beyond = jnp.zeros_like(d), jnp.zeros_like(d)
    for k in range(2):
        low, high = surface.lanes[k]
        street = jnp.maximum(street, band(d, low, high, step_d))
        kerb = jnp.maximum(kerb, band(d, low - surface.kerb, high + surface.kerb, step_d))
        edge = surface.kerb + surface.shoulder
        beyond = jnp.maximum(beyond, band(d, low - edge, high + edge, step_d))

    steps = jnp.maximum(step_d, 1e-4), jnp.maximum(step_z, 1e-4)
    broad = jnp.full_like(d, 7.0)
    patch = texture.layered_noise(d, z, broad, road.seed + 17, *steps)
    colour = mix(
        surface.grass[0][:, None], surface.grass[1][:, None], jnp.clip(0.5 + 0.4 * patch, 0.0, 1.0)
    )
    joints = jnp.maximum(texture.pulse(d, 0.75, 0.05, step_d), texture.pulse(z, 1.0, 0.05, step_z))
    slabs = surface.shoulder_colour[:, None] * (1.0 - surface.joints * joints[None])
    colour = mix(colour, slabs, beyond)
    colour = mix(colour, jnp.full((3, 1), 0.6), kerb * (surface.kerb > 0))

    middle, width = surface.track
    across = (d - middle + 0.5 * width) / width
    across = (across - jnp.floor(across)) * width  # metres from the lane's left edge
    wheels = jnp.exp(-((jnp.abs(across - 0.5 * width) - 0.8) ** 2) / 0.15)
    shade = 1.0 - surface.tracks * wheels * jnp.clip(1.0 - step_d, 0.0, 1.0)
    cell_d, cell_z = jnp.floor(d / 1.75), jnp.floor(z / 11.0)
    repair = texture.lattice_hash(
        cell_d.astype(jnp.int32), cell_z.astype(jnp.int32), road.seed + 0 * cell_d.astype(jnp.int32)
    )
    fine = jnp.clip(1.5 - step_d, 0.0, 1.0)
    shade = shade * (1.0 - surface.patches * fine * (repair > 0.5))
    colour = mix(colour, surface.asphalt[:, None] * shade[None], street)
    for k in range(surface.line.shape[0]):
        place, wide, period, length = surface.line[k]
        stroke = band(d, place - 0.5 * wide, place + 0.5 * wide, step_d)
        stroke = stroke * texture.pulse(z, period, length, step_z) * (1.0 - crossing)
        colour = mix(colour, surface.line_colour[k][:, None], surface.wear * stroke)
    return colour


def ground_noise(surface: Surface, d: Array) -> tuple[Array, Array]:
    """Cell and contrast of the ground's noise [S]."""
    on = jnp.zeros(d.shape, bool)
    for k in range(2):
        on |= (d > surface.lanes[k, 0]) & (d < surface.lanes[k, 1])
    cell = jnp.where(on, surface.cell[0], surface.cell[1])
    return cell, jnp.where(on, surface.contrast[0], surface.contrast[1])


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
    sun = Rays(*(jnp.broadcast_to(appearance.sun[i], t.shape) for i in range(3)))
    # Which solids' circles overlap the tile's points, seen from the sun?
    right = jnp.cross(appearance.sun, jnp.array([0.0, 0.0, 1.0]))
    right = right / jnp.linalg.norm(right)
    up = jnp.cross(appearance.sun, right)
    near = ~sky & (t < SHADOWS_TO)
    radius = jnp.linalg.norm(solids.half, axis=1)
    reach = jnp.full(radius.shape, near.any())
    for axis in (right, up):
        where = axis[0] * eye[0] + axis[1] * eye[1] + axis[2] * eye[2]
        centre = solids.centre @ axis
        reach &= centre + radius > jnp.min(jnp.where(near, where, jnp.inf))
        reach &= centre - radius < jnp.max(jnp.where(near, where, -jnp.inf))

    def search(shadow: Array, start: int, stop: int, is_box: bool) -> Array:
        order = jnp.concatenate([start + jnp.argsort(~reach[start:stop]), jnp.full(UNROLL, start)])

        def body(step: Array, shadow: Array) -> Array:
            for k in range(UNROLL):
                one = jax.tree.map(lambda a, i=order[step * UNROLL + k]: a[i], solids)
                origin, direction = local(one, eye, sun)
                if is_box:
                    found, _ = enter_box(one.half, origin, direction)
                else:
                    found = enter_round(one.half, one.ellipsoid, origin, direction)
                shadow |= found < FAR
            return shadow

        steps = (reach[start:stop].sum() + UNROLL - 1) // UNROLL
        return jax.lax.fori_loop(0, steps, body, shadow)

    shadow = search(jnp.zeros(t.shape, bool), 0, boxes, True)
    shadow = search(shadow, boxes, radius.shape[0], False)
    return 1.0 - shadow * near


def ragged_miss(solid: Solids, origin: Vector, direction: Vector) -> Array:
    """Which rays [S] pass between the leaves at the edge of an ellipsoid with a strong texture.

    The point of a ray that is nearest to the middle decides, so the outline stays the same while
    the camera moves.
    """
    o = [origin[i] / solid.half[i] for i in range(3)]
    d = [direction[i] / solid.half[i] for i in range(3)]
    t = -(o[0] * d[0] + o[1] * d[1] + o[2] * d[2]) / (d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    m = [a + t * b for a, b in zip(o, d, strict=True)]
    radius = m[0] ** 2 + m[1] ** 2 + m[2] ** 2
    phase = solid.seed.astype(jnp.float32) * 0.01
    waves = jnp.zeros_like(t)
    for k in (1.0, 2.6):
        step = k * jnp.clip(solid.half / 0.35, 3.0, 9.0)
        waves += jnp.sin(step[0] * m[0] + 1.7 * m[1] + phase) + jnp.sin(step[1] * m[1] + phase * k)
        waves += jnp.sin(step[2] * m[2] - 1.3 * m[0] + 2.0 * phase)
    edge = 0.72 + 0.07 * waves
    leaves = (solid.ellipsoid > 0) & (solid.contrast > LEAFY) & (solid.half[0] < 15.0)
    return leaves & (radius > edge)


def light(appearance: Appearance, normal: Vector, sunlit: Array) -> Array:
    """The light on surfaces, [3, S]."""
    facing = jnp.maximum(sum(normal[i] * appearance.sun[i] for i in range(3)), 0.0)
    above = 0.75 - 0.25 * normal[1]  # the sky lights surfaces that face it; y points down
    return (
        appearance.ambient[:, None] * above[None]
        + appearance.direct[:, None] * (facing * sunlit)[None]
    )


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
