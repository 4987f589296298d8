"""Rendered streets: a generator of worlds, and a ray caster of their frames with exact depth.

It uses nothing of the other packages. `data.street` stores its frames as a data set.
"""

from radepth_jax.street.frames import RenderedFrames, render_frames
from radepth_jax.street.variety import RANGES, Ranges, Variety
from radepth_jax.street.world import World, make_world

__all__ = ["RANGES", "Ranges", "RenderedFrames", "Variety", "World", "make_world", "render_frames"]
