"""Small data sets in the real formats, written by the tests themselves."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.dataset import Dataset

BASELINE = 0.54


def encode(image: np.ndarray, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    PIL.Image.fromarray(image).save(data, kind)
    return data.getvalue()


def toy_image(sequence: str, camera: int, frame: int) -> np.ndarray:
    """Sequence `a` is 20x30, `b` is 18x32; every frame is different noise."""
    h, w = (20, 30) if sequence == "a" else (18, 32)
    return np.random.default_rng([ord(sequence), camera, frame]).integers(
        0, 256, (h, w, 3), np.uint8
    )


def toy_depth(frame: int) -> np.ndarray:
    return np.random.default_rng(frame).uniform(0, 80, (20, 30)).astype(np.float32)


def toy_contents(corrupt: dict[tuple[str, int, int], bytes] | None = None) -> schema.Contents:
    """Two recordings of two cameras; frame 3 of `b` does not exist."""
    corrupt = corrupt or {}
    numbers = {"a": range(6), "b": [0, 1, 2, 4, 5, 6]}
    keys = [(s, c, f) for s in "ab" for c in (2, 3) for f in numbers[s]]
    right_T_left = np.eye(4)
    right_T_left[0, 3] = -BASELINE
    return schema.Contents(
        frames=(
            schema.Frame(
                image=corrupt.get(key) or encode(toy_image(*key)),
                sequence=key[0],
                camera=key[1],
                frame=key[2],
                intrinsics=np.array([[25.0 + key[1], 0, 15], [0, 25, 10], [0, 0, 1]]),
            )
            for key in keys
        ),
        samples={
            "train": [schema.Sample(*key) for key in keys if key[2] > 0],
            "validation": [],
            "test": [
                schema.Sample("a", 2, f, schema.encode_depth(toy_depth(f)) if f else b"")
                for f in range(4)
            ],
        },
        stereo=[
            schema.StereoPair(s, c, o, t)
            for s in "ab"
            for c, o, t in ((2, 3, right_T_left), (3, 2, np.linalg.inv(right_T_left)))
        ],
    )


class Toy(FrameDatasetBuilder):
    """A data set of given contents."""

    def __init__(self, *, make: Callable[[], schema.Contents] = toy_contents, **kwargs):
        self.make = make
        super().__init__(**kwargs)

    def contents(self, dl_manager):
        return self.make()


def build_toy(folder: Path, make: Callable[[], schema.Contents] = toy_contents) -> Dataset:
    builder = Toy(make=make, data_dir=folder, config=tfds.core.BuilderConfig(name="default"))
    builder.download_and_prepare()
    return Dataset(Path(builder.data_dir), "toy")


KITTI_SIZE = (24, 80)
KITTI_K = np.array([[46.0, 0, 39.1], [0, 46.0, 11.2], [0, 0, 1]])
# The laser's axes (x forward, y left, z up) in camera axes, and where it is in camera 0.
VELO_R = np.array([[0.0, -1, 0], [0, 0, -1], [1, 0, 0]])
VELO_T = np.array([0.02, -0.07, -0.27])
OFFSETS = {2: np.array([0.06, 0.0, 0.003]), 3: np.array([-0.47, 0.003, 0.003])}


def _line(key: str, values) -> str:
    return f"{key}: " + " ".join(f"{v:.6e}" for v in np.ravel(values)) + "\n"


def write_calibration(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    h, w = KITTI_SIZE
    text = "calib_time: 09-Jan-2012 13:57:47\n" + _line("R_rect_00", np.eye(3))
    for camera, offset in OFFSETS.items():
        P = np.column_stack([KITTI_K, KITTI_K @ offset])
        text += _line(f"S_rect_{camera:02d}", [w, h]) + _line(f"P_rect_{camera:02d}", P)
    (folder / "calib_cam_to_cam.txt").write_text(text)
    (folder / "calib_velo_to_cam.txt").write_text(_line("R", VELO_R) + _line("T", VELO_T))


def write_drive(root: Path, number: str, frames=range(5), scans=(), kind="png") -> str:
    """Adds a drive of 2011_09_26 and returns its `date/drive`."""
    drive = f"2011_09_26/2011_09_26_drive_{number}_sync"
    write_calibration(root / "2011_09_26")
    h, w = KITTI_SIZE
    for camera in (2, 3):
        folder = root / drive / f"image_{camera:02d}" / "data"
        folder.mkdir(parents=True)
        for frame in frames:
            image = np.random.default_rng([int(number), camera, frame]).integers(
                0, 256, (h, w, 3), np.uint8
            )
            data = encode(image, "JPEG" if kind == "jpg" else "PNG")
            (folder / f"{frame:010d}.{kind}").write_bytes(data)
    folder = root / drive / "velodyne_points" / "data"
    folder.mkdir(parents=True)
    for frame in scans:
        random = np.random.default_rng(frame)
        points = random.uniform([-5, -8, -2, 0], [40, 8, 3, 1], (500, 4)).astype("<f4")
        (folder / f"{frame:010d}.bin").write_bytes(points.tobytes())
    return drive
