"""The `street` data set: worlds that are rendered on this machine, stored like every data set.

builder = Street(config="demo", data_dir="data")
builder.download_and_prepare()
"""

import collections
import concurrent.futures
import dataclasses
import io
import os
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.errors import UserError
from radepth_jax.street import RANGES, make_world, render_frames
from radepth_jax.street.frames import CHUNK

LEFT, RIGHT = 2, 3  # cameras, numbered as KITTI's colour pair
BASELINE = 0.54  # metres
JPEG_QUALITY = 95


@dataclasses.dataclass(eq=False, kw_only=True)
class StreetConfig(tfds.core.BuilderConfig):
    """What to render.

    Attributes:
        train, validation, test: the number of worlds in each split.
        frames: the number of frames of a world. The first and the last are never targets.
        width, height: the images' size in pixels.
        stereo: whether there is also the right camera of a pair, 0.54 m apart.
        seed: another seed gives other worlds. The splits never share a world.
        kind: the kind of worlds, which names their ranges in `radepth_jax.street.RANGES`.

    In every configuration a depth of 0 means sky. Every other pixel has a depth.
    """

    train: int
    validation: int
    test: int
    frames: int = 24
    width: int = 384
    height: int = 128
    stereo: bool = False
    seed: int = 0
    kind: str = "plain"


class Street(FrameDatasetBuilder):
    """Drives through procedural streets, ray cast with exact depth."""

    name = "street"
    RELEASE_NOTES: ClassVar[dict[str, str]] = {"1.0.0": "First version."}
    BUILDER_CONFIGS: ClassVar[list[StreetConfig]] = [
        # Many short worlds: what they look like matters more than how long they are.
        StreetConfig(
            name="demo", description="For ten minutes.", train=44, validation=3, test=20, frames=12
        ),
        # Enough worlds to learn from scratch.
        StreetConfig(name="full", train=64, validation=6, test=8, frames=30),
        # With the right camera of a stereo pair.
        StreetConfig(name="stereo", train=16, validation=3, test=4, stereo=True),
        # For tests.
        StreetConfig(
            name="tiny", train=2, validation=1, test=1, frames=5, width=96, height=32, stereo=True
        ),
        # For real footage: many kinds of road, camera, light and weather.
        StreetConfig(
            name="varied",
            train=1200,
            validation=20,
            test=20,
            frames=CHUNK,
            width=512,
            height=192,
            kind="varied",
        ),
    ]

    def prepared_from(self) -> dict[str, Any]:
        """All options."""
        own = {f.name for f in dataclasses.fields(StreetConfig)}
        own -= {f.name for f in dataclasses.fields(tfds.core.BuilderConfig)}
        return {name: getattr(self.builder_config, name) for name in sorted(own)}

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Render every world of every split."""
        del dl_manager
        config = self.builder_config
        _check(config)
        cameras = (LEFT, RIGHT) if config.stereo else (LEFT,)
        worlds = {
            split: [f"{split}_{i:03d}" for i in range(getattr(config, split))]
            for split in schema.SAMPLE_SPLITS
        }
        sequences = [sequence for names in worlds.values() for sequence in names]
        # Depth is rendered with its frame but stored later, so it waits here, compressed.
        depths: dict[tuple[str, int, int], bytes] = {}

        def samples(split: str) -> Iterator[schema.Sample]:
            for sequence in worlds[split]:
                for camera in cameras if split == "train" else (LEFT,):
                    for frame in range(1, config.frames - 1):
                        depth = depths.pop((sequence, camera, frame))
                        yield schema.Sample(sequence, camera, frame, depth)

        left_T_right = np.eye(4)
        left_T_right[0, 3] = BASELINE
        pairs = [(LEFT, RIGHT, np.linalg.inv(left_T_right)), (RIGHT, LEFT, left_T_right)]
        return schema.Contents(
            frames=_frames(config, worlds, cameras, depths),
            samples={split: samples(split) for split in worlds if worlds[split]},
            stereo=[
                schema.StereoPair(sequence, camera, opposite, opposite_T_camera)
                for sequence in sequences
                for camera, opposite, opposite_T_camera in pairs
                if config.stereo
            ],
            total_frames=len(sequences) * len(cameras) * config.frames,
        )


def world_seed(config: StreetConfig, split: str, index: int) -> tuple[int, int, int]:
    """The seed of a split's `index`-th world. No two worlds share a seed."""
    return config.seed, schema.SAMPLE_SPLITS.index(split), index


def _check(config: StreetConfig) -> None:
    least = {"train": 0, "validation": 0, "test": 0, "frames": 3, "width": 16, "height": 16}
    for name, low in {**least, "seed": 0}.items():
        value = getattr(config, name)
        if not isinstance(value, int) or value < low:
            raise UserError(f"street: {name} must be an integer of at least {low}, not {value!r}")
    if config.kind not in RANGES:
        raise UserError(f"street: kind must be one of {', '.join(RANGES)}, not {config.kind!r}")


def _frames(
    config: StreetConfig,
    worlds: dict[str, list[str]],
    cameras: tuple[int, ...],
    depths: dict[tuple[str, int, int], bytes],
) -> Iterator[schema.Frame]:
    """Every frame in order, rendered and encoded on all cores a little ahead of the reader."""
    workers = os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count()
    jobs = (
        (config, world_seed(config, split, index), sequence, camera, start, depths)
        for split, sequences in worlds.items()
        for index, sequence in enumerate(sequences)
        for camera in cameras
        for start in range(0, config.frames, CHUNK)
    )
    ahead: collections.deque[concurrent.futures.Future] = collections.deque()
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for job in jobs:
            ahead.append(pool.submit(_shoot, *job))
            if len(ahead) > 2 * (workers or 1):
                yield from ahead.popleft().result()
        while ahead:
            yield from ahead.popleft().result()


def _shoot(
    config: StreetConfig,
    seed: tuple[int, int, int],
    sequence: str,
    camera: int,
    start: int,
    depths: dict[tuple[str, int, int], bytes],
) -> list[schema.Frame]:
    """Render and encode the frames of a world from `start` on. Their depth goes to `depths`."""
    # Each call draws its world again. That takes milliseconds, in the worker's thread.
    world = make_world(seed, config.frames, RANGES[config.kind])
    frames = range(start, min(start + CHUNK, config.frames))
    size, right = (config.height, config.width), BASELINE * (camera == RIGHT)
    shot = render_frames(world, frames, size=size, right=right)
    encoded = []
    for i, frame in enumerate(frames):
        buffer = io.BytesIO()
        Image.fromarray(shot.image[i]).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
        record = schema.Frame(
            image=buffer.getvalue(),
            sequence=sequence,
            camera=camera,
            frame=frame,
            intrinsics=shot.intrinsics,
            world_T_camera=shot.world_T_camera[i],
            origin="rendered",
        )
        depths[sequence, camera, frame] = schema.encode_depth(shot.depth[i])
        encoded.append(record)
    return encoded
