"""Textures with analytic level of detail, in which nothing is finer than a pixel.

All functions are elementwise over samples `[S]`. A footprint is how far a surface coordinate moves
from one pixel to the next, in metres.
"""

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street.road import Road, centre_line

OCTAVES = 7


def lattice_hash(i: Array, j: Array, seed: Array) -> Array:
    """A pseudo-random number in [-1, 1) for each lattice point and seed (int32, any shape)."""
    h = (
        i.astype(jnp.uint32) * jnp.uint32(0x8DA6B343)
        + j.astype(jnp.uint32) * jnp.uint32(0xD8163841)
        + seed.astype(jnp.uint32) * jnp.uint32(0xCB1AB31F)
    )
    h = (h ^ (h >> 15)) * jnp.uint32(0x2C1B3C6D)
    h = (h ^ (h >> 12)) * jnp.uint32(0x297A2D39)
    h = h ^ (h >> 15)
    return (h >> 8).astype(jnp.int32).astype(jnp.float32) * (2.0**-23) - 1.0


def _ramp(x: Array) -> Array:
    """The smooth step from 0 at 0 to 1 at 1."""
    x = jnp.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def value_noise(u: Array, v: Array, seed: Array) -> Array:
    """Value noise in [-1, 1] on the integer lattice, smoothly interpolated."""
    iu, iv = jnp.floor(u), jnp.floor(v)
    a, b = _ramp(u - iu), _ramp(v - iv)
    i, j = iu.astype(jnp.int32), iv.astype(jnp.int32)
    top = lattice_hash(i, j, seed) * (1 - a) + lattice_hash(i + 1, j, seed) * a
    low = lattice_hash(i, j + 1, seed) * (1 - a) + lattice_hash(i + 1, j + 1, seed) * a
    return top * (1 - b) + low * b


def line_noise(u: Array, seed: Array) -> Array:
    """Value noise in [-1, 1] on the integers, smoothly interpolated."""
    iu = jnp.floor(u)
    a, i = _ramp(u - iu), iu.astype(jnp.int32)
    none = jnp.zeros_like(i)
    return lattice_hash(i, none, seed) * (1 - a) + lattice_hash(i + 1, none, seed) * a


def layered_noise(
    u: Array, v: Array, cell: Array, seed: Array, step_u: Array, step_v: Array
) -> Array:
    """Octaves of value noise with lattice spacing `cell`, `cell / 2`, ... of about unit variance.

    An octave's amplitude fades to zero while its cell (half a wavelength) shrinks from two
    footprints to one. Below that it would alias. Where the footprint is long in one direction only
    (the road ahead, a facade along the street), noise that varies in the other direction alone does
    not alias. So each octave also has a part that depends on `u` alone and one on `v` alone.
    """
    finest = jnp.max(cell / jnp.minimum(step_u, step_v))  # octaves beyond this one have all faded
    octaves = jnp.clip(jnp.ceil(jnp.log2(finest)), 0, OCTAVES).astype(jnp.int32)

    def octave(k: Array, total: Array) -> Array:
        size = cell * 0.5 ** k.astype(jnp.float32)
        fade_u, fade_v = _ramp(size / step_u - 1.0), _ramp(size / step_v - 1.0)
        x, y = u / size, v / size
        s = seed + 101 * k
        value = value_noise(x, y, s) * fade_u * fade_v
        lines = line_noise(x, s + 31) * fade_u + line_noise(y, s + 67) * fade_v
        return total + 0.85 ** k.astype(jnp.float32) * (value + 0.35 * lines)

    return jax.lax.fori_loop(0, octaves, octave, jnp.zeros_like(u))


def pulse(x: Array, period: Array | float, width: Array | float, step: Array) -> Array:
    """A train of unit pulses `[0, width)` every `period`, averaged over `step` around `x`.

    Box filtering in closed form, through the integral of the pulse train.
    """

    def integral(t: Array) -> Array:
        n = jnp.floor(t / period)
        return n * width + jnp.minimum(t - n * period, width)

    step = jnp.maximum(step, 1e-4)
    return (integral(x + step / 2) - integral(x - step / 2)) / step


def band(x: Array, low: Array | float, high: Array | float, step: Array) -> Array:
    """One where `low <= x < high`, averaged over `step` around `x`."""
    step = jnp.maximum(step, 1e-4)
    inside = jnp.minimum(x + step / 2, high) - jnp.maximum(x - step / 2, low)
    return jnp.clip(inside / step, 0.0, 1.0)


def mix(a: Array, b: Array, share: Array) -> Array:
    """`a` where `share` [S] is 0, and `b` where it is 1. Both are colours `[3, S]` or `[3, 1]`."""
    return a + (b - a) * share[None]


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


def ground_colour(road: Road, d: Array, z: Array, step_d: Array, step_z: Array) -> Array:
    """The ground's colour `[3, S]` without noise, at `road_coordinates` (and z) [S]."""
    kerb = jnp.where(d < 0, road.kerb[0], road.kerb[1])
    off = jnp.abs(d)
    crossing = jnp.zeros_like(d)
    for k in range(road.crossings.shape[0]):
        centre, half = road.crossings[k, 0], road.crossings[k, 1]
        crossing = jnp.maximum(crossing, band(z, centre - half, centre + half, step_z))
    street = jnp.maximum(band(off, -1e3, kerb, step_d), crossing)
    asphalt = jnp.broadcast_to(road.asphalt[:, None], (3, d.shape[0]))
    joints = jnp.maximum(pulse(d, 0.75, 0.05, step_d), pulse(z, 1.0, 0.05, step_z))
    slabs = road.slabs[:, None] * (1.0 - 0.45 * joints[None])
    verge = jnp.broadcast_to(road.verge[:, None], (3, d.shape[0]))

    colour = mix(verge, slabs, band(off, kerb, kerb + road.pavement, step_d))
    colour = mix(colour, jnp.full((3, 1), 0.72), band(off, kerb - 0.1, kerb + 0.15, step_d))
    colour = mix(colour, asphalt, street)
    lines = band(off, -0.07, 0.07, step_d) * pulse(z, 6.0, 3.0, step_z)
    edge = road.half_width
    lines = jnp.maximum(lines, band(off, edge - 0.14, edge, step_d)) * (1.0 - crossing)
    for k in range(road.crossings.shape[0]):
        # A zebra crossing on the near side of each crossing street.
        start = road.crossings[k, 0] - road.crossings[k, 1] - 3.5
        stripes = band(z, start, start + 2.5, step_z) * pulse(d, 1.0, 0.5, step_d)
        lines = jnp.maximum(lines, stripes * band(off, -1e3, kerb, step_d))
    return mix(colour, jnp.full((3, 1), 0.85), 0.8 * lines)


def sky_colour(dx: Array, dy: Array, dz: Array, seed: Array, step: Array) -> Array:
    """The sky's colour `[3, S]` along world directions of any length. `step` is radians a pixel."""
    level = jnp.hypot(dx, dz)
    azimuth, elevation = jnp.arctan2(dx, dz), jnp.arctan2(-dy, level)
    horizon, zenith = jnp.array([0.82, 0.86, 0.90]), jnp.array([0.45, 0.62, 0.86])
    colour = mix(horizon[:, None], zenith[:, None], jnp.clip(elevation * 1.4, 0.0, 1.0))
    size = jnp.full_like(azimuth, 0.5)
    cloud = layered_noise(azimuth, 2.0 * elevation, size, seed, step, 2.0 * step)
    return mix(colour, jnp.full((3, 1), 0.95), 0.5 * _ramp(cloud * 0.4 + 0.3))
