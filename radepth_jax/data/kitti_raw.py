"""KITTI raw: a data set made from an extracted tree, from all of it or any part."""

import collections
import dataclasses
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import kitti_splits, schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.kitti_splits import Target
from radepth_jax.data.kitti_tree import (
    DOWNLOADS,
    KittiTree,
    list_frames,
    sequence_of,
    stereo_pairs,
)
from radepth_jax.data.kitti_velodyne import (
    CAMERAS,
    VELODYNE_FILE,
    Calibration,
    project_scan,
    read_scan,
)
from radepth_jax.errors import UserError
from radepth_jax.names import examples

DEFAULT_LISTS = "eigen_zhou"  # used if neither lists nor drives are given


@dataclasses.dataclass(eq=False, kw_only=True)
class KittiRawConfig(tfds.core.BuilderConfig):
    """What to prepare.

    A split is given by its list, or else by its drives, or else by `split_lists`. If none of these
    is given at all, the published Eigen-Zhou lists are used.

    Attributes:
        source: the folder that holds the date folders (`2011_09_26`, ...).
        split_lists: a published name, whose lists are downloaded (`eigen_zhou`, or `eigen` for its
            697 test images alone); or a folder that holds any of `train_files.txt`,
            `val_files.txt` and `test_files.txt`.
        train_list, validation_list, test_list: a list file with lines `DATE/DRIVE FRAME l|r`.
        train_drives: drives, each as 0005 or as the folder's name. Their samples are all frames of
            both cameras that have both neighbours.
        validation_drives, test_drives: drives. Their samples are the left camera's frames that have
            a Velodyne scan, or all of its frames if none has one.
        targets_only: whether only the samples' own frames are stored, without the rest of their
            drives. That is all that evaluation needs, and far smaller. Training needs the
            neighbours too.
    """

    source: str | Path | None = None
    split_lists: str | None = None
    train_list: str | Path | None = None
    validation_list: str | Path | None = None
    test_list: str | Path | None = None
    train_drives: tuple[str, ...] = ()
    validation_drives: tuple[str, ...] = ()
    test_drives: tuple[str, ...] = ()
    targets_only: bool = False


class KittiRaw(FrameDatasetBuilder):
    """KITTI raw: the rectified colour cameras (2 left, 3 right), with the encoded images untouched.

    Every frame of every drive that a split names is stored, unless `targets_only` is set. Test and
    validation samples have depth maps that are projected from Velodyne scans (`project_scan`), if
    the tree has the scans. A sequence is called as its drive's folder, and a frame has the number
    in its file name. Drives, frames, neighbours and scans that are missing are listed in
    `problems.txt`. The protocol is that of KITTI Eigen.
    """

    CONFIG_CLASS = KittiRawConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {
        "source": "the folder that holds 2011_09_26 and so on",
    }
    BEAM = True
    PROTOCOL: ClassVar[dict[str, Any]] = {"crop": "garg", "min_depth": 1e-3, "max_depth": 80.0}
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/raw_data.php"
    CITATION = """@article{Geiger2013IJRR,
  author = {Andreas Geiger and Philip Lenz and Christoph Stiller and Raquel Urtasun},
  title = {Vision meets Robotics: The KITTI Dataset},
  journal = {International Journal of Robotics Research (IJRR)},
  year = {2013}
}"""

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the tree. Images and scans are read when they are stored."""
        tree = KittiTree(self.source_folder())
        problems: list[str] = []
        targets, named = self._targets(tree, dl_manager)
        drives = sorted(named | {target.drive for split in targets.values() for target in split})
        for drive in drives:
            _check_drive(tree, drive, targets, problems)
        _check_neighbours(tree, targets.get("train", []), problems)
        drives = [drive for drive in drives if tree.frames(drive, 2) or tree.frames(drive, 3)]
        if not drives:
            raise UserError(
                f"{tree.root}: none of the drives in the splits is there ({problems[0]})"
            )
        calibrations = tree.calibrations(drives)
        wanted = {target for listed in targets.values() for target in listed}
        images = {
            target: path
            for drive in drives
            for camera in CAMERAS
            for frame, path in tree.frames(drive, camera).items()
            if (target := Target(drive, frame, camera)) in wanted
            or not self.builder_config.targets_only
        }
        return schema.Contents(
            frames=list_frames(images, calibrations),
            samples={
                split: _list_samples(tree, split, wanted, calibrations, problems)
                for split, wanted in targets.items()
            },
            stereo=[
                pair
                for drive in drives
                for pair in stereo_pairs(sequence_of(drive), calibrations[drive])
            ],
            problems=problems,
        )

    def _targets(
        self, tree: KittiTree, dl_manager: tfds.download.DownloadManager
    ) -> tuple[dict[str, list[Target]], set[str]]:
        """The targets of each split, and the drives that were given by name."""
        config = self.builder_config
        chosen = self.options().keys() - {"source", "targets_only"}
        given = any(getattr(config, option) for option in chosen)
        lists = kitti_splits.list_paths(config.split_lists if given else DEFAULT_LISTS, dl_manager)
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


def _training_targets(tree: KittiTree, drive: str) -> Iterator[Target]:
    for camera in CAMERAS:
        frames = tree.frames(drive, camera)
        for frame in frames:
            if frame - 1 in frames and frame + 1 in frames:
                yield Target(drive, frame, camera)


def _evaluation_targets(tree: KittiTree, drive: str) -> Iterator[Target]:
    frames, scans = tree.frames(drive, 2), tree.scans(drive)
    for frame in [frame for frame in frames if frame in scans] or frames:
        yield Target(drive, frame, 2)


def _check_drive(
    tree: KittiTree, drive: str, targets: dict[str, list[Target]], problems: list[str]
) -> None:
    """Lists what is wrong with a drive before anything of it is read."""
    left, right = (tree.frames(drive, camera) for camera in CAMERAS)
    if not left and not right:
        wanted = {split: sum(t.drive == drive for t in listed) for split, listed in targets.items()}
        samples = ", ".join(f"{count} {split}" for split, count in wanted.items() if count)
        what = "no images" if drive in tree.drives else "not in the tree"
        problems.append(f"{drive}: {what}; its samples are left out ({samples})")
        return
    problems += [
        f"{drive} camera {camera}: {len(frames)} frames, too few for a target between neighbours"
        for camera, frames in zip(CAMERAS, (left, right), strict=True)
        if len(frames) < 3
    ]
    if left and right and left.keys() != right.keys():
        count = len(left.keys() ^ right.keys())
        problems.append(f"{drive}: {count} frames are there for one camera only")


def _check_neighbours(tree: KittiTree, targets: list[Target], problems: list[str]) -> None:
    """Lists the training targets that lack the frame before or after them."""
    for target in targets:
        frames = tree.frames(target.drive, target.camera)
        lacking = [f"{offset:+d}" for offset in (-1, 1) if target.frame + offset not in frames]
        if target.frame in frames and lacking:
            name = schema.frame_name(sequence_of(target.drive), target.camera, target.frame)
            problems.append(
                f"train sample {name}: no neighbour at {' and '.join(lacking)}; it is used only "
                "with frame_offsets that do not need it"
            )


def _list_samples(
    tree: KittiTree,
    split: str,
    targets: list[Target],
    calibrations: dict[str, Calibration],
    problems: list[str],
) -> list[schema.Sample]:
    """The targets of the drives that have a calibration. Scans are read when they are stored."""
    without_scan: collections.Counter[str] = collections.Counter()
    samples = []
    for target in targets:
        drive, camera, frame = target.drive, target.camera, target.frame
        if drive not in calibrations:
            continue
        scan = None
        if split != "train" and frame in tree.frames(drive, camera):
            if calibrations[drive].rect_T_velodyne is not None:
                scan = tree.scans(drive).get(frame)
            without_scan[drive] += scan is None
        depth = functools.partial(_read_depth, scan, calibrations[drive], camera) if scan else b""
        samples.append(schema.Sample(sequence_of(drive), camera, frame, depth, str(scan)))
    for drive, count in without_scan.items():
        if count and calibrations[drive].rect_T_velodyne is None:
            calibration_file = tree.root / drive.split("/")[0] / VELODYNE_FILE
            problems.append(
                f"{calibration_file} is missing, so no scan says what {count} {split} samples of "
                f"{drive} show; no ground truth"
            )
        elif count:
            others = tree.no_scans(drive)
            found = f" (only {examples(others)}: unpack them to files such as 0000000000.bin)"
            problems.append(
                f"{drive}: no Velodyne scan for {count} {split} samples{found * bool(others)}; "
                "no ground truth"
            )
    return samples


def _read_depth(scan: Path, calibration: Calibration, camera: int) -> np.ndarray:
    return project_scan(read_scan(scan), calibration, camera)
