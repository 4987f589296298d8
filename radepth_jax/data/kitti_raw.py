"""KITTI raw: a data set from an extracted tree, whole or any part of it."""

import collections
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds

from radepth_jax.data import kitti_splits, schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.kitti_splits import Target
from radepth_jax.data.kitti_velodyne import (
    CAMERAS,
    Calibration,
    project_scan,
    read_calibration,
    read_scan,
)
from radepth_jax.errors import UserError

_LIST_FILES = {
    "train": "train_files.txt",
    "validation": "val_files.txt",
    "test": "test_files.txt",
}
DEFAULT_LISTS = "eigen_zhou"  # where neither lists nor drives are given
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")  # of two files of a frame, the last kind is taken


@dataclasses.dataclass(eq=False, kw_only=True)
class KittiRawConfig(tfds.core.BuilderConfig):
    """What to prepare. For each split its list counts, then its drives, then `split_lists`;
    where none of these is given, the published Eigen-Zhou lists.

    Attributes:
        source: the folder that holds the date folders (`2011_09_26`, ...).
        split_lists: a published name (`eigen_zhou`), downloaded, or a folder with
            `train_files.txt`, `val_files.txt`, `test_files.txt`, as many as are there.
        train_list: a list file, lines `DATE/DRIVE FRAME l|r`; also `validation_list`, `test_list`.
        train_drives: drives (0005, or the folder's name), all frames of both cameras that have
            both neighbours; also `validation_drives`, `test_drives`, the left camera's frames that
            have a Velodyne scan (all of them, if none has).
    """

    source: str | Path | None = None
    split_lists: str | None = None
    train_list: str | Path | None = None
    validation_list: str | Path | None = None
    test_list: str | Path | None = None
    train_drives: tuple[str, ...] = ()
    validation_drives: tuple[str, ...] = ()
    test_drives: tuple[str, ...] = ()


class KittiRaw(FrameDatasetBuilder):
    """KITTI raw, the rectified colour cameras (2 left, 3 right), encoded images untouched.

    Every frame of every drive that a split names is stored. Test and validation samples have depth
    maps from Velodyne scans where the tree has the scans (`project_scan`). Sequences are the
    drives' folder names, frames the numbers in the file names. Drives, frames, neighbours and scans
    that are missing are listed in `problems.txt`.
    """

    CONFIG_CLASS = KittiRawConfig
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/raw_data.php"
    CITATION = """@article{Geiger2013IJRR,
  author = {Andreas Geiger and Philip Lenz and Christoph Stiller and Raquel Urtasun},
  title = {Vision meets Robotics: The KITTI Dataset},
  journal = {International Journal of Robotics Research (IJRR)},
  year = {2013}
}"""

    def prepared_from(self) -> dict[str, Any]:
        """The source folder, lists and drives."""
        config = self.builder_config
        paths = ("source", "train_list", "validation_list", "test_list")
        drives = ("train_drives", "validation_drives", "test_drives")
        values: dict[str, Any] = {"split_lists": config.split_lists}
        for key in paths:
            value = getattr(config, key)
            values[key] = None if value is None else str(Path(value).expanduser().resolve())
        return values | {key: list(getattr(config, key)) for key in drives}

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Lists the tree; images and scans are read while they are written."""
        root = _root(self.builder_config.source)
        tree = _Tree(root)
        problems: list[str] = []
        targets, named = self._targets(tree, dl_manager)
        drives = sorted(named | {target.drive for split in targets.values() for target in split})
        for drive in drives:
            _check_drive(tree, drive, targets, problems)
        drives = [drive for drive in drives if tree.frames(drive, 2) or tree.frames(drive, 3)]
        if not drives:
            raise UserError(f"{root}: none of the drives in the splits is there ({problems[0]})")
        calibrations = {
            date: read_calibration(root / date)
            for date in sorted({drive.split("/")[0] for drive in drives})
        }
        return schema.Contents(
            frames=_read_frames(tree, drives, calibrations, problems),
            samples={
                split: _read_samples(tree, split, wanted, set(drives), calibrations, problems)
                for split, wanted in targets.items()
            },
            stereo=[
                schema.StereoPair(
                    _sequence(drive),
                    camera,
                    opposite,
                    calibrations[drive.split("/")[0]].camera_T_camera(opposite, camera),
                )
                for drive in drives
                for camera, opposite in (CAMERAS, CAMERAS[::-1])
            ],
            total_frames=sum(
                len(tree.frames(drive, camera)) for drive in drives for camera in CAMERAS
            ),
            problems=problems,
        )

    def _targets(
        self, tree: "_Tree", dl_manager: tfds.download.DownloadManager
    ) -> tuple[dict[str, list[Target]], set[str]]:
        """The targets of each split, and the drives that were given by name."""
        config = self.builder_config
        given = [config.split_lists]
        for split in schema.SAMPLE_SPLITS:
            given += [getattr(config, f"{split}_list"), getattr(config, f"{split}_drives")]
        lists = _list_paths(config.split_lists if any(given) else DEFAULT_LISTS, dl_manager)
        targets = {}
        named: set[str] = set()
        for split in schema.SAMPLE_SPLITS:
            path = getattr(config, f"{split}_list")
            names = getattr(config, f"{split}_drives")
            if path:
                targets[split] = kitti_splits.read_list(Path(path).expanduser())
            elif names:
                drives = kitti_splits.find_drives(names, tree.drives)
                named |= set(drives)
                choose = _training_targets if split == "train" else _evaluation_targets
                targets[split] = [t for drive in drives for t in choose(tree, drive)]
            elif split in lists:
                targets[split] = kitti_splits.read_list(lists[split])
        return targets, named


class _Tree:
    """The files of an extracted tree, listed folder by folder when first asked for."""

    def __init__(self, root: Path):
        self.root = root
        self.drives = sorted(
            f"{path.parent.name}/{path.name}" for path in root.glob("????_??_??/*_drive_*_sync")
        )
        self._files: dict[tuple[str, str], dict[int, Path]] = {}
        if not self.drives:
            raise UserError(
                f"{root}: no KITTI drives in it; expected folders such as "
                "2011_09_26/2011_09_26_drive_0001_sync"
            )

    def _list(self, drive: str, folder: str, suffixes: tuple[str, ...]) -> dict[int, Path]:
        if (drive, folder) not in self._files:
            path = self.root / drive / folder / "data"
            found = [
                file
                for file in (path.iterdir() if path.is_dir() else ())
                if file.suffix.lower() in suffixes and file.stem.isdecimal()
            ]
            found.sort(key=lambda file: (int(file.stem), suffixes.index(file.suffix.lower())))
            self._files[drive, folder] = {int(file.stem): file for file in found}
        return self._files[drive, folder]

    def frames(self, drive: str, camera: int) -> dict[int, Path]:
        """Frame number -> image, ascending."""
        return self._list(drive, f"image_{camera:02d}", _IMAGE_SUFFIXES)

    def scans(self, drive: str) -> dict[int, Path]:
        """Frame number -> Velodyne scan, ascending."""
        return self._list(drive, "velodyne_points", (".bin",))


def _root(source: str | Path | None) -> Path:
    if source is None:
        raise UserError(
            "kitti_raw: --source is missing: the folder that holds 2011_09_26 and so on"
        )
    root = Path(source).expanduser()
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; expected an extracted KITTI raw tree")
    return root


def _sequence(drive: str) -> str:
    return drive.split("/")[1]


def _list_paths(name: str | None, dl_manager: tfds.download.DownloadManager) -> dict[str, Path]:
    """List files by split, of a folder or a published name."""
    if name is None:
        return {}
    folder = Path(name).expanduser()
    if folder.is_dir():
        paths = {split: folder / file for split, file in _LIST_FILES.items()}
        paths = {split: path for split, path in paths.items() if path.exists()}
        if not paths:
            raise UserError(f"{folder}: none of {', '.join(_LIST_FILES.values())} in it")
        return paths
    urls = dict(kitti_splits.published_urls(name))
    try:
        return {split: Path(path) for split, path in dl_manager.download(urls).items()}
    except Exception as error:  # requests, urllib3 and TFDS have their own
        raise UserError(
            f"split lists {name}: cannot be downloaded from {kitti_splits.SPLIT_LISTS_URL} "
            f"({type(error).__name__}); give a folder of list files as --split_lists, "
            "or --train_drives and --test_drives"
        ) from None


def _training_targets(tree: _Tree, drive: str) -> Iterator[Target]:
    for camera in CAMERAS:
        frames = tree.frames(drive, camera)
        for frame in frames:
            if frame - 1 in frames and frame + 1 in frames:
                yield Target(drive, frame, camera)


def _evaluation_targets(tree: _Tree, drive: str) -> Iterator[Target]:
    frames, scans = tree.frames(drive, 2), tree.scans(drive)
    for frame in [frame for frame in frames if frame in scans] or frames:
        yield Target(drive, frame, 2)


def _check_drive(
    tree: _Tree, drive: str, targets: dict[str, list[Target]], problems: list[str]
) -> None:
    """Lists what is wrong with a drive before anything of it is read."""
    counts = {camera: len(tree.frames(drive, camera)) for camera in CAMERAS}
    wanted = {split: sum(t.drive == drive for t in listed) for split, listed in targets.items()}
    samples = ", ".join(f"{count} {split}" for split, count in wanted.items() if count)
    if not any(counts.values()):
        what = "no images" if drive in tree.drives else "not in the tree"
        problems.append(f"{drive}: {what}; its samples are left out ({samples})")
        return
    for camera, count in counts.items():
        if count < 3:
            problems.append(
                f"{drive} camera {camera}: {count} frames, too few for a target between neighbours"
            )
    left, right = (set(tree.frames(drive, camera)) for camera in CAMERAS)
    if left and right and left != right:
        problems.append(f"{drive}: {len(left ^ right)} frames are there for one camera only")
    for target in targets.get("train", []):
        frames = tree.frames(target.drive, target.camera) if target.drive == drive else {}
        if target.frame not in frames:
            continue
        lacking = [offset for offset in (-1, 1) if target.frame + offset not in frames]
        if lacking:
            name = schema.frame_name(_sequence(drive), target.camera, target.frame)
            problems.append(
                f"train sample {name}: no neighbour at {' and '.join(f'{o:+d}' for o in lacking)}; "
                "used only with frame_offsets that do without"
            )


def _read_frames(
    tree: _Tree, drives: list[str], calibrations: dict[str, Calibration], problems: list[str]
) -> Iterator[schema.Frame]:
    for drive in drives:
        calibration = calibrations[drive.split("/")[0]]
        for camera in CAMERAS:
            intrinsics = calibration.intrinsics(camera)
            h, w = calibration.size[camera]
            for frame, path in tree.frames(drive, camera).items():
                try:
                    image = path.read_bytes()
                except OSError as error:
                    problems.append(f"{path}: {error.strerror}; left out")
                    continue
                yield schema.Frame(
                    image=image,
                    sequence=_sequence(drive),
                    camera=camera,
                    frame=frame,
                    intrinsics=intrinsics,
                    size=(h, w),
                    origin=str(path),
                )


def _read_samples(
    tree: _Tree,
    split: str,
    targets: list[Target],
    drives: set[str],
    calibrations: dict[str, Calibration],
    problems: list[str],
) -> Iterator[schema.Sample]:
    without_scan: collections.Counter[str] = collections.Counter()
    for target in targets:
        if target.drive not in drives:
            continue
        depth = b""
        calibration = calibrations[target.drive.split("/")[0]]
        if split != "train" and target.frame in tree.frames(target.drive, target.camera):
            path = tree.scans(target.drive).get(target.frame)
            if path is None or calibration.rect_T_velodyne is None:
                without_scan[target.drive] += 1
            else:
                try:
                    points = read_scan(path)
                    depth = schema.encode_depth(project_scan(points, calibration, target.camera))
                except (OSError, ValueError) as error:
                    problems.append(f"{path}: {error}; its {split} sample has no ground truth")
        yield schema.Sample(_sequence(target.drive), target.camera, target.frame, depth)
    for drive, count in without_scan.items():
        problems.append(f"{drive}: no Velodyne scan for {count} {split} samples; no ground truth")
