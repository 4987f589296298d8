"""Makes the records of frames and samples, or says why they are left out."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from radepth_jax.data import schema
from radepth_jax.data.pictures import image_size, lies_on_its_side
from radepth_jax.errors import reason


class Stored(NamedTuple):
    """What becomes of an item of a split.

    Attributes:
        row: the record to write. None if the item is left out.
        note: what the builder needs to know of the row later, as JSON values.
        problem: a line for `problems.txt`. Empty if there is no problem.
    """

    row: dict[str, Any] | None
    note: Any = None
    problem: str = ""


def store_frame(frame: schema.Frame) -> Stored:
    """The row of a frame, and the note ((sequence, camera, frame), its image's size)."""
    key = frame.sequence, frame.camera, frame.frame
    try:
        image = frame.image.read_bytes() if isinstance(frame.image, Path) else frame.image
        h, w = image_size(image)
        if frame.size not in (None, (h, w)):
            raise ValueError(f"{w}x{h}, but it is calibrated for {frame.size[1]}x{frame.size[0]}")
    except (OSError, ValueError) as error:
        origin = frame.origin or (str(frame.image) if isinstance(frame.image, Path) else "")
        where = schema.frame_name(*key) + (f" ({origin})" if origin else "")
        return Stored(None, problem=f"{where}: {reason(error)}; left out")
    return Stored(_frame_row(frame, image), (key, (h, w)))


def store_sample(
    split: str, index: schema.FrameIndex, sizes: list[tuple[int, int]], sample: schema.Sample
) -> Stored:
    """The row of a sample, and the note (its target's position, its depth map's size or None)."""
    key = sample.sequence, sample.camera, sample.frame
    name, position = schema.frame_name(*key), index.find(*key)
    if position is None:
        return Stored(None, problem=f"{split} sample {name}: no such frame; left out")
    depth, problem = b"", ""
    try:
        depth = _read_depth(sample.depth) if callable(sample.depth) else sample.depth
    except (OSError, ValueError) as error:
        problem = f"{sample.origin}: {reason(error)}; its {split} sample has no ground truth"
    size = schema.depth_size(depth) if depth else None
    if size and lies_on_its_side(size, sizes[position]):
        (h, w), (image_h, image_w) = size, sizes[position]
        problem = (
            f"{split} sample {name}: its depth map is {w}x{h}, transposed: its image is "
            f"{image_w}x{image_h}; left out"
        )
        return Stored(None, problem=problem)
    return Stored(_sample_row(sample, depth), (position, size), problem)


def _read_depth(read: Callable[[], np.ndarray]) -> bytes:
    depth = read()
    if not (np.isfinite(depth) & (depth > 0)).any():
        raise ValueError("no pixel has a value (all 0)")
    return schema.encode_depth(depth)


def _frame_row(frame: schema.Frame, image: bytes) -> dict[str, Any]:
    """The record of a frame, with the bytes of its image."""
    pose = np.full((4, 4), np.nan) if frame.world_T_camera is None else frame.world_T_camera
    return {
        "image": image,
        "sequence": frame.sequence,
        "camera": frame.camera,
        "frame": frame.frame,
        "intrinsics": np.asarray(frame.intrinsics, np.float32),
        "world_T_camera": np.asarray(pose, np.float64),
        "time": np.float64(np.nan if frame.time is None else frame.time),
        "depth": b"",
    }


def _sample_row(sample: schema.Sample, depth: bytes) -> dict[str, Any]:
    """The record of a sample: that of a frame of which nothing is known, and its depth map."""
    unknown = np.full((3, 3), np.nan)
    frame = schema.Frame(b"", sample.sequence, sample.camera, sample.frame, unknown)
    return _frame_row(frame, b"") | {"depth": depth}
