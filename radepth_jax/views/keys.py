"""PRNG keys by name, so that one more name changes no other's numbers."""

import zlib

import jax
from jaxtyping import Array


def fold_name(key: Array, name: str) -> Array:
    """A key that differs from `key`, and from those of other names."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()))
