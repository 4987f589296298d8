"""RGB-D recordings in the layout of 7-Scenes: a file each for colour, 16-bit depth and pose."""

import dataclasses
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.depth_png import read_depth_png
from radepth_jax.data.intrinsics import check_intrinsics, parse_intrinsics
from radepth_jax.data.pictures import image_size
from radepth_jax.data.text import decode_text, read_lines
from radepth_jax.errors import UserError, reason
from radepth_jax.names import shown, visible

DOWNLOADS = (
    "download a scene of 7-Scenes from "
    "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/ and extract its "
    "seq-XX.zip files, or write your own frames with the same names"
)
INTRINSICS_FILE = "camera-intrinsics.txt"
MILLIMETRE = 1e-3
INVALID = (0, 65535)
_COLOUR = re.compile(r"frame-(\d+)\.color\.(png|jpg|jpeg)", re.IGNORECASE)
_SPLIT_FILES = {"train": "TrainSplit.txt", "test": "TestSplit.txt"}
_ROTATION_TOLERANCE = 0.02  # of R R^T, because poses are written with few digits


@dataclasses.dataclass(eq=False, kw_only=True)
class RgbdConfig(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        source: a folder of frames, or a scene, which is a folder of such folders (`seq-01`, ...).
        intrinsics: `fx,fy,cx,cy` in pixels of the colour images (7-Scenes: 585,585,320,240). By
            default they are read from `camera-intrinsics.txt`, beside the frames or in the folder
            above them.
        train_sequences, validation_sequences, test_sequences: folders of the scene. By default they
            are those in the scene's `TrainSplit.txt` and `TestSplit.txt`.
        validation_share, test_share: the shares of a single folder of frames that are held out. The
            test share is at the end of the folder, and the validation share is before it.
    """

    source: str | Path | None = None
    intrinsics: str | None = None
    train_sequences: tuple[str, ...] = ()
    validation_sequences: tuple[str, ...] = ()
    test_sequences: tuple[str, ...] = ()
    validation_share: float = 0.1
    test_share: float = 0.2


@dataclasses.dataclass(frozen=True)
class _Part:
    """A sequence, or a part of one. Neighbours are looked up within it."""

    sequence: str
    split: str
    folder: Path
    images: Mapping[int, Path]


class Rgbd(FrameDatasetBuilder):
    """RGB-D folders in the layout of 7-Scenes (Shotton et al., CVPR 2013), to train or evaluate on.

    A folder holds `frame-000000.color.jpg` (or `.png`), `frame-000000.depth.png` (16-bit, mm, 0 or
    65535 = no value), `frame-000000.pose.txt` (4x4, camera to world) and `camera-intrinsics.txt`.
    Images are stored as they are, as camera 0. Poses are for evaluation only. Depth is taken as
    seen by the colour camera. 7-Scenes does not register the two cameras, so edges are off by some
    pixels. The parts of a single folder are sequences of their own (`NAME-train`, ...), so no
    sample has a neighbour in another split. Frames, depth maps and poses that are missing or
    damaged are left out and listed in `problems.txt`.
    """

    CONFIG_CLASS = RgbdConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {"source": "a folder of frames"}
    PROTOCOL: ClassVar[dict[str, Any]] = {"crop": "none", "min_depth": 1e-3, "max_depth": 10.0}
    HOMEPAGE = "https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/"

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the folders. Images, depth and poses are read while they are written."""
        del dl_manager
        config, source = self.builder_config, self.source_folder()
        problems: list[str] = []
        parts = _find_parts(source, config)
        return schema.Contents(
            frames=_read_frames(parts, config.intrinsics, problems),
            samples={
                split: _list_samples([part for part in parts if part.split == split], problems)
                for split in schema.SAMPLE_SPLITS
            },
            total_frames=sum(len(part.images) for part in parts),
            problems=problems,
        )


def _list_frames(folder: Path) -> dict[int, Path]:
    """Frame number -> colour image, ascending."""
    matches = [(_COLOUR.fullmatch(path.name), path) for path in visible(folder)]
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


def _find_parts(source: Path, config: RgbdConfig) -> list[_Part]:
    """The parts of all splits. It is a UserError if frames or splits cannot be found."""
    named = {split: getattr(config, f"{split}_sequences") for split in schema.SAMPLE_SPLITS}
    images = _list_frames(source)
    if images:
        if any(named.values()):
            raise UserError(
                f"{source}: a single folder of frames has no sequences to name; give "
                "--validation_share and --test_share, or the folder above as --source"
            )
        return _split_in_time(source, images, config.validation_share, config.test_share)
    present = [path.name for path in visible(source) if path.is_dir() and _list_frames(path)]
    if not present:
        raise UserError(
            f"{source}: no frame-XXXXXX.color.png or .jpg in it or in its folders; {DOWNLOADS}"
        )
    if not any(named.values()):
        named = {split: _read_split_file(source / file) for split, file in _SPLIT_FILES.items()}
    if not any(named.values()):
        raise UserError(
            f"{source}: neither {' nor '.join(_SPLIT_FILES.values())} in it; name folders as "
            f"--train_sequences, --validation_sequences, --test_sequences; there are "
            f"{', '.join(present[:8])}"
        )
    parts: list[_Part] = []
    for split, names in named.items():
        for name in names:
            if name not in present:
                raise UserError(
                    f"{split} sequence {name!r}: no frames in {source / name}; there are "
                    f"{', '.join(present[:8])}"
                )
            if any(part.sequence == shown(name) for part in parts):
                raise UserError(f"sequence {name!r} is named twice; it can be in one split only")
            parts.append(_Part(shown(name), split, source / name, _list_frames(source / name)))
    return parts


def _split_in_time(
    source: Path, images: dict[int, Path], validation_share: float, test_share: float
) -> list[_Part]:
    if not (validation_share >= 0 and test_share >= 0 and validation_share + test_share <= 1):
        raise UserError(
            f"rgbd: validation_share {validation_share!r} and test_share {test_share!r}: expected "
            "numbers from 0, together at most 1"
        )
    numbers = list(images)
    test = round(test_share * len(numbers))
    validation = min(round(validation_share * len(numbers)), len(numbers) - test)
    train = len(numbers) - validation - test
    bounds = {
        "train": numbers[:train],
        "validation": numbers[train : train + validation],
        "test": numbers[train + validation :],
    }
    return [
        _Part(
            f"{shown(source.resolve().name)}-{split}", split, source, {n: images[n] for n in part}
        )
        for split, part in bounds.items()
        if part
    ]


def _words(path: Path) -> list[str]:
    return [word for line in read_lines(path, comments="#") for word in line.text.split()]


def _read_split_file(path: Path) -> tuple[str, ...]:
    """The folders that a split file names. `sequence1` stands for `seq-01`.

    A missing file names no folders.
    """
    if not path.exists():
        return ()
    words = _words(path)
    bad = [word for word in words if not re.fullmatch(r"sequence\d+", word)]
    if bad:
        raise UserError(f"{path}: expected words such as sequence1, got {bad[0]!r}")
    return tuple(f"seq-{int(word.removeprefix('sequence')):02d}" for word in words)


def read_intrinsics(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The matrix [3, 3] in a text file of nine numbers.

    Args:
        path: the file.
        size: (h, w) of the images.

    Raises:
        UserError: The file is no such file, or no camera of this size has such a matrix. The
            message names the file.
    """
    try:
        values = np.array(_words(path), float)
    except ValueError:
        raise UserError(
            f"{shown(path)}: not a text file of numbers; expected the nine numbers of a 3x3 matrix"
        ) from None
    if values.size != 9 or not np.isfinite(values).all() or (values[6:] != [0, 0, 1]).any():
        raise UserError(f"{path}: expected nine numbers: fx 0 cx, 0 fy cy, 0 0 1, in pixels")
    K = values.reshape(3, 3)
    try:
        check_intrinsics(K, size)
    except ValueError as error:
        raise UserError(f"{shown(path)}: {error}") from None
    return K


def read_pose(path: Path) -> np.ndarray:
    """The `world_T_camera` [4, 4] in a text file of sixteen numbers.

    Raises:
        ValueError: The numbers are not a rigid motion.
        OSError: The file cannot be opened.
    """
    try:
        values = np.array(decode_text(path.read_bytes()).split(), float)
    except ValueError:
        raise ValueError("not a text file of numbers") from None
    if values.size != 16 or not np.isfinite(values).all():
        raise ValueError("expected sixteen finite numbers")
    pose = values.reshape(4, 4)
    R = pose[:3, :3]
    if (pose[3] != [0, 0, 0, 1]).any() or np.abs(R @ R.T - np.eye(3)).max() > _ROTATION_TOLERANCE:
        raise ValueError("not a rigid motion")
    return pose


def _intrinsics(part: _Part, given: str | None, size: tuple[int, int]) -> np.ndarray:
    if given is not None:
        return parse_intrinsics(given, None, size)
    paths = [folder / INTRINSICS_FILE for folder in (part.folder, part.folder.parent)]
    for path in paths:
        if path.exists():
            return read_intrinsics(path, size)
    raise UserError(
        f"{paths[0]} is missing; write the camera's 3x3 matrix there, or give --intrinsics "
        "fx,fy,cx,cy (7-Scenes: 585,585,320,240)"
    )


def _beside(image: Path, ending: str) -> Path:
    """Another file of the same frame, such as `frame-000000.depth.png`."""
    return image.with_name(image.name.split(".")[0] + ending)


def _read_frames(
    parts: list[_Part], given: str | None, problems: list[str]
) -> Iterator[schema.Frame]:
    for part in parts:
        without_pose = 0
        for number, path in part.images.items():
            try:
                image = path.read_bytes()
                size = image_size(image)
            except (OSError, ValueError) as error:
                problems.append(f"{path}: {reason(error)}; left out")
                continue
            pose_path = _beside(path, ".pose.txt")
            pose = None
            try:
                pose = read_pose(pose_path)
            except FileNotFoundError:
                without_pose += 1
            except (OSError, ValueError) as error:
                problems.append(f"{pose_path}: {error}; its frame has no pose")
            yield schema.Frame(
                image=image,
                sequence=part.sequence,
                camera=0,
                frame=number,
                intrinsics=_intrinsics(part, given, size),
                world_T_camera=pose,
                origin=str(path),
            )
        if without_pose:
            problems.append(f"{part.sequence}: no pose for {without_pose} frames")


def _list_samples(parts: list[_Part], problems: list[str]) -> list[schema.Sample]:
    samples = []
    for part in parts:
        without_depth = 0
        for number, path in part.images.items():
            file = _beside(path, ".depth.png")
            depth = functools.partial(read_depth_png, file, unit=MILLIMETRE, invalid=INVALID)
            there = file.exists()
            without_depth += not there
            samples.append(
                schema.Sample(part.sequence, 0, number, depth if there else b"", str(file))
            )
        if without_depth:
            problems.append(f"{part.sequence}: no depth map for {without_depth} frames")
    return samples
