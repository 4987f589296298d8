"""Textures with analytic level of detail, in which nothing is finer than a pixel.

All functions are elementwise over samples `[S]`. A footprint is how far a surface coordinate moves
from one pixel to the next, in metres.
"""

import jax
import jax.numpy as jnp
from jax import Array

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
