"""Recordings: runs of consecutive frames of one camera that a split covers, with their poses."""

from dataclasses import dataclass

import numpy as np

from radepth_jax.data import schema
from radepth_jax.data.dataset import Dataset
from radepth_jax.errors import UserError


@dataclass(frozen=True)
class Recording:
    """Consecutive frames of one camera.

    Attributes:
        name: serves as a file name. It is the sequence's name, with the camera and the frames
            added if the sequence has several recordings.
        sequence: the sequence's name in the data set.
        camera: the camera's number in the data set.
        first: the number of the first frame.
        positions: the consecutive positions of the frames in the split `frames`.
    """

    name: str
    sequence: str
    camera: int
    first: int
    positions: range


def find_recordings(dataset: Dataset, split: str) -> list[Recording]:
    """The recordings to run a pose network along, in the data set's order.

    A recording reaches from a camera's first target in the split to its last, with one neighbour
    on either side, because training sees those too. It is cut where frames are missing.

    Raises:
        UserError: The split is empty.
    """
    index = dataset.metadata.index
    wanted: dict[tuple[str, int], tuple[int, int]] = {}
    for target in dataset.targets(split):
        sequence, camera, frame = index.locate(target)
        low, high = wanted.get((sequence, camera), (frame, frame))
        wanted[sequence, camera] = min(low, frame), max(high, frame)
    found: dict[str, list[tuple[str, int, int, range]]] = {}
    for sequence, camera, first, count, position in index.runs:
        if (sequence, camera) not in wanted:
            continue
        low, high = wanted[sequence, camera]
        start, stop = max(low - 1, first), min(high + 2, first + count)
        if start < stop:
            positions = range(position + start - first, position + stop - first)
            found.setdefault(sequence, []).append((sequence, camera, start, positions))
    recordings = []
    for sequence, parts in found.items():
        cameras = [camera for _, camera, _, _ in parts]
        for _, camera, first, positions in parts:
            name = sequence.replace("/", "_")
            if len(set(cameras)) > 1:
                name += f"_camera{camera}"
            if cameras.count(camera) > 1:
                name += f"_{first}-{first + len(positions) - 1}"
            recordings.append(Recording(name, sequence, camera, first, positions))
    return recordings


def read_poses(dataset: Dataset, recording: Recording) -> tuple[np.ndarray, np.ndarray]:
    """A recording's true trajectory.

    Returns:
        `world_T_camera`, float64 [N, 4, 4] in metres, and the times of the frames, float64 [N] in
        seconds. Frames without a pose are NaN. If the data set lacks any of the times, the numbers
        of the frames are returned instead.

    Raises:
        UserError: No frame has a pose.
    """
    records = [dataset.record(schema.FRAMES, position) for position in recording.positions]
    world_T_camera = np.stack([record["world_T_camera"] for record in records])
    if not np.isfinite(world_T_camera).all(axis=(1, 2)).any():
        raise UserError(
            f"data set {dataset.name}: the frames of {recording.sequence!r} have no poses "
            "(world_T_camera) to compare with; name a data set that has, such as kitti_odometry"
        )
    # Older data sets have no times.
    times = np.array([record.get("time", np.nan) for record in records], float)
    if not np.isfinite(times).all():
        times = recording.first + np.arange(len(records), dtype=float)
    return world_T_camera, times
