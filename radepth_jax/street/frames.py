"""Rendering frames of a world: images, depth, and where something moves."""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import numpy as np

from radepth_jax.street.render import render
from radepth_jax.street.shade import SKY
from radepth_jax.street.world import MAX_BOXES, World, scene

CHUNK = 6  # default number of frames a call of the renderer: one compilation serves any number


class RenderedFrames(NamedTuple):
    """T frames of a world as NumPy arrays."""

    image: np.ndarray  # uint8 [T, H, W, 3]
    depth: np.ndarray  # float32 [T, H, W] metres along the optical axis, 0 for the sky
    moving: np.ndarray  # bool [T, H, W] where a moving car shows
    world_T_camera: np.ndarray  # noqa: N815  float64 [T, 4, 4]
    intrinsics: np.ndarray  # float32 [3, 3]


def render_frames(
    world: World,
    frames: Sequence[int],
    *,
    size: tuple[int, int],
    right: float = 0.0,
    device: jax.Device | None = None,
    chunk: int = CHUNK,
) -> RenderedFrames:
    """Render frames of a world.

    Args:
      world: from `make_world`.
      frames: the numbers of the frames.
      size: (h, w) of the images. Each size is compiled once.
      right: how many metres the camera is right of the drive's poses (a stereo partner).
      device: the device that renders, by default the CPU. Another one rounds differently.
      chunk: how many frames a call of the renderer has.

    Returns:
      `RenderedFrames`. The same arguments give the same bytes on the same machine.
    """
    poses = world.world_T_camera[list(frames)]
    poses[:, :3, 3] += right * poses[:, :3, 0]
    K = world.variety.intrinsics(size)
    images, depths, moving = [], [], []
    for start in range(0, len(frames), chunk):
        some = list(frames[start : start + chunk])
        fill = [*range(len(some)), *[len(some) - 1] * (chunk - len(some))]
        scenes, movers = zip(*(scene(world, frame) for frame in some), strict=True)
        solids = jax.tree.map(lambda *leaves, fill=fill: np.stack(leaves)[fill], *scenes)
        with jax.default_device(device or jax.local_devices(backend="cpu")[0]):
            rendered = render(
                world.road,
                solids,
                poses[start : start + chunk][fill].astype(np.float32),
                K,
                world.appearance,
                size=size,
                boxes=MAX_BOXES,
            )
        count = len(some)
        images.append(np.asarray(rendered.image)[:count])
        depths.append(np.asarray(rendered.depth)[:count])
        hit = np.asarray(rendered.hit)[:count].reshape(count, -1)
        table = np.zeros((count, SKY + 1), bool)
        table[:, : len(movers[0])] = movers
        moving.append(np.take_along_axis(table, hit, 1).reshape(depths[-1].shape))
    return RenderedFrames(
        np.concatenate(images), np.concatenate(depths), np.concatenate(moving), poses, K
    )
