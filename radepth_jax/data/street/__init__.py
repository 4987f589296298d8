"""Procedural street worlds with exact depth, rendered where they are used."""

from radepth_jax.data.street.film import Film, film
from radepth_jax.data.street.world import World, make_world, street_intrinsics

__all__ = ["Film", "World", "film", "make_world", "street_intrinsics"]
