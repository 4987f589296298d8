"""How good is depth on moving objects? AbsRel on a street's moving cars, and on all else.

    python experiments/moving_objects.py --checkpoint RA=runs/demo/ra_depth
    python experiments/moving_objects.py --data full --parked DIR

No data set holds the masks of moving cars, so the test worlds are rendered once more with them.
Depth is scaled to the median of each image, as in evaluation. A hole is a pixel of a car whose
depth is more than twice too far.

The second command prepares the same data set, but no car moves in its training worlds: oncoming
cars stand, and the car ahead is left out. A network that learns there shows about how much could be
gained by knowing which pixels move, and leaving them out of the loss.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image

from radepth_jax.cli.named_path import split_name
from radepth_jax.data import schema, street
from radepth_jax.data.street import Street, world_seed
from radepth_jax.predict import load
from radepth_jax.runs.config import parse_resolution
from radepth_jax.startup import start_program
from radepth_jax.street import RANGES, Ranges, World, make_world, render_frames

HOLE = 2.0


class Frame(NamedTuple):
    """One test image: uint8 [H, W, 3], metres [H, W] (0 is unknown), and where a car moves."""

    image: np.ndarray
    depth: np.ndarray
    moving: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", action="append", default=[], help="NAME=RUN; repeated")
    parser.add_argument(
        "--parked", help="the folder for the data set without moving cars; nothing else is done"
    )
    parser.add_argument("--data", default="demo", help="a configuration of street")
    parser.add_argument("--resolution", default="192x64", help="of the network's input")
    parser.add_argument("--pictures", help="WxH to which the pictures are reduced first")
    parser.add_argument("--output", type=Path, help="a JSON file for the figures")
    options = parser.parse_args()
    start_program()
    if options.parked:
        street.make_world = parked_world  # which the builder calls
        Street(config=options.data, data_dir=options.parked).download_and_prepare()
        return
    frames = test_frames(options.data)
    images = np.stack([frame.image for frame in frames])
    if options.pictures:
        size = parse_resolution("--pictures", options.pictures)
        images = np.stack([with_detail_of(image, size) for image in images])
    found = {}
    for text in options.checkpoint:
        name, run = split_name(text)
        predictor = load(run, resolution=options.resolution)
        figures = found[name or run] = measure(predictor(images), frames)
        print(
            f"{name or run}: moving cars {figures['moving']:.3f} (signed {figures['signed']:+.3f}, "
            f"holes {figures['holes']:.1%}), all else {figures['static']:.3f}; "
            f"{figures['share']:.2%} of the pixels move"
        )
    if options.output:
        options.output.write_text(json.dumps(found, indent=1) + "\n")


def parked_world(
    seed: tuple[int, int, int], frames: int, ranges: Ranges = RANGES["plain"]
) -> World:
    """The world of `make_world`. In training worlds no car moves, and none is in our lane."""
    world = make_world(seed, frames, ranges)
    if seed[1] != schema.SAMPLE_SPLITS.index("train"):
        return world

    solids = []
    for solid in world.solids:
        motion = solid.motion
        if motion and motion.speed > 0:
            continue
        parked = motion and dataclasses.replace(motion, speed=0.0)
        solids.append(dataclasses.replace(solid, motion=parked))
    return dataclasses.replace(world, solids=tuple(solids))


def test_frames(name: str) -> list[Frame]:
    """The test images of a configuration of street, with what moves in them."""
    config = next(known for known in Street.BUILDER_CONFIGS if known.name == name)
    frames = []
    for index in range(config.test):
        seed = world_seed(config, "test", index)
        world = make_world(seed, config.frames, RANGES[config.kind])
        shot = render_frames(world, range(config.frames), size=(config.height, config.width))
        frames += [
            Frame(shot.image[i], shot.depth[i], shot.moving[i]) for i in range(1, config.frames - 1)
        ]
    return frames


def with_detail_of(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The image, reduced to (width, height) and enlarged to its own size again."""
    picture = PIL.Image.fromarray(image)
    lanczos = PIL.Image.Resampling.LANCZOS
    return np.asarray(picture.resize(size, lanczos).resize(picture.size, lanczos))


def measure(depths: np.ndarray, frames: list[Frame], farthest: float = 80.0) -> dict[str, float]:
    """Mean errors relative to the truth over the pixels of all images."""
    errors: dict[str, list[np.ndarray]] = {"moving": [], "static": []}
    for depth, frame in zip(depths, frames, strict=True):
        known = (frame.depth > 0) & (frame.depth < farthest)
        scaled = depth * np.median(frame.depth[known]) / np.median(depth[known])
        relative = np.clip(scaled, 1e-3, farthest) / np.where(known, frame.depth, 1) - 1
        errors["moving"].append(relative[known & frame.moving])
        errors["static"].append(relative[known & ~frame.moving])
    moving, static = (np.concatenate(errors[name]) for name in ("moving", "static"))
    return {
        "moving": float(np.abs(moving).mean()),
        "signed": float(moving.mean()),
        "holes": float((moving > HOLE - 1).mean()),
        "static": float(np.abs(static).mean()),
        "share": len(moving) / (len(moving) + len(static)),
    }


if __name__ == "__main__":
    main()
