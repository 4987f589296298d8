"""The ground's colour: carriageways with their lines, pavements, grass.

All functions are elementwise over samples `[S]`, like those of `texture`.
"""

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street import texture
from radepth_jax.street.appearance import Appearance, Surface
from radepth_jax.street.road import Road, centre_line


def road_coordinates(
    road: Road, x: Array, z: Array, steps: tuple[Array, Array, Array, Array]
) -> tuple[Array, Array, Array]:
    """Metres right of the centre line, and the footprints across and along the road, [S] each.

    `steps` are the changes of x and of z to the next column, then to the next row.
    """
    middle, slope = centre_line(road, z, jnp)
    cos = jax.lax.rsqrt(1.0 + slope * slope)
    across = jnp.abs(steps[0] - slope * steps[1]) + jnp.abs(steps[2] - slope * steps[3])
    return (x - middle) * cos, across * cos, jnp.abs(steps[1]) + jnp.abs(steps[3])


def ground_colour(
    appearance: Appearance, crossings: Array, d: Array, z: Array, step_d: Array, step_z: Array
) -> Array:
    """The ground's colour `[3, S]` without its noise, at `road_coordinates` (and z) [S]."""
    surface, seed = appearance.surface, appearance.seed
    band, mix = texture.band, texture.mix
    street = jnp.zeros_like(d)
    for k in range(crossings.shape[0]):
        centre, half = crossings[k]
        street = jnp.maximum(street, band(z, centre - half, centre + half, step_z))
    crossing = street
    kerb, beyond = jnp.zeros_like(d), jnp.zeros_like(d)
    for k in range(2):
        low, high = surface.lanes[k]
        street = jnp.maximum(street, band(d, low, high, step_d))
        kerb = jnp.maximum(kerb, band(d, low - surface.kerb, high + surface.kerb, step_d))
        edge = surface.kerb + surface.shoulder
        beyond = jnp.maximum(beyond, band(d, low - edge, high + edge, step_d))

    patch = texture.value_noise(d / 5.0, z / 5.0, seed + 17 + jnp.zeros(d.shape, jnp.int32))
    patch = patch * jnp.clip(5.0 / jnp.maximum(step_z, 0.1) - 1.0, 0.0, 1.0)
    colour = mix(surface.grass[0][:, None], surface.grass[1][:, None], 0.5 + 0.5 * patch)
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
        cell_d.astype(jnp.int32), cell_z.astype(jnp.int32), seed + 0 * cell_d.astype(jnp.int32)
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
