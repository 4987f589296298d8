"""Rendered streets: generators of worlds, and a ray caster of their frames with exact depth.

It uses nothing of the other packages. `data.street` stores its frames as a data set.
"""

from radepth_jax.street.frames import RenderedFrames, render_frames
from radepth_jax.street.world import World, make_world, street_intrinsics

__all__ = ["RenderedFrames", "World", "make_world", "render_frames", "street_intrinsics"]
