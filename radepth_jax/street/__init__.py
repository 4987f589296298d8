"""Rendered streets: generators of worlds, and a ray caster of their frames with exact depth.

It uses nothing of the other packages. `data.street` stores its frames as a data set.
"""

from radepth_jax.street.film import Film, film
from radepth_jax.street.world import World, make_world, street_intrinsics

__all__ = ["Film", "World", "film", "make_world", "street_intrinsics"]
