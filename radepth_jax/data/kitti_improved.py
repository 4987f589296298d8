"""KITTI with the improved ground truth: the annotated depth of Eigen's test images."""

import collections
import dataclasses
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from radepth_jax.data import kitti_splits, schema
from radepth_jax.data.builder import FrameDatasetBuilder, resolved
from radepth_jax.data.depth_png import read_depth_png
from radepth_jax.data.kitti_splits import Target
from radepth_jax.data.kitti_tree import (
    Images,
    only_targets,
    open_tree,
    read_frames,
    sequence_of,
)
from radepth_jax.data.kitti_velodyne import read_calibration
from radepth_jax.data.parallel_reading import ParallelReading
from radepth_jax.errors import UserError

DOWNLOADS = (
    "besides KITTI raw, download 'annotated depth maps data set (14 GB)', "
    "data_depth_annotated.zip, from "
    "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"
)
DEFAULT_LISTS = "eigen_benchmark"
_PARTS = ("val", "train")  # of the annotated tree; a drive is in one of them
_METRES = 1 / 256


@dataclasses.dataclass(eq=False, kw_only=True)
class KittiImprovedConfig(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        source: the KITTI raw tree, which is the folder that holds `2011_09_26`, ...
        annotated: `data_depth_annotated`, which is the folder that holds `train` and `val`.
        split_lists: a published name, whose list is downloaded (`eigen_benchmark`), or a folder
            with `test_files.txt`.
    """

    source: str | Path | None = None
    annotated: str | Path | None = None
    split_lists: str | None = None


class KittiImproved(FrameDatasetBuilder):
    """The 652 of Eigen's 697 test images that have annotated depth (Uhrig et al., 3DV 2017).

    Images and intrinsics are those of the raw tree. The depth is that of
    `{train,val}/DRIVE/proj_depth/groundtruth/image_02/FRAME.png` (16 bits, 1/256 m, 0 = no value).
    It was accumulated over eleven scans, and what the camera does not see was removed. Only the
    listed frames are stored. There is no crop, and depth counts up to 80 m. Drives, frames and
    depth maps that are missing or damaged are listed in `problems.txt`.

    Besides KITTI raw, download data_depth_annotated.zip (14 GB) from the homepage.
    """

    CONFIG_CLASS = KittiImprovedConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED = ("source", "annotated")
    BEAM = True
    PROTOCOL: ClassVar[dict[str, Any]] = {"crop": "none", "min_depth": 1e-3, "max_depth": 80.0}
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"
    CITATION = """@inproceedings{Uhrig2017THREEDV,
  author = {Jonas Uhrig and Nick Schneider and Lukas Schneider and Uwe Franke and Thomas Brox and
    Andreas Geiger},
  title = {Sparsity Invariant CNNs},
  booktitle = {International Conference on 3D Vision (3DV)},
  year = {2017}
}"""

    def prepared_from(self) -> dict[str, Any]:
        """The two source folders and the list."""
        config = self.builder_config
        values: dict[str, Any] = {"split_lists": config.split_lists}
        for key in ("source", "annotated"):
            value = getattr(config, key)
            values[key] = resolved(value)
        return values

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the trees. Images and depth maps are read while they are written."""
        config = self.builder_config
        tree = open_tree(config.source, "kitti_improved")
        annotated = _annotated_root(config.annotated)
        lists = kitti_splits.list_paths(config.split_lists or DEFAULT_LISTS, dl_manager)
        if "test" not in lists:
            raise UserError(f"{config.split_lists}: no test_files.txt in it")
        targets = kitti_splits.read_list(lists["test"])
        problems: list[str] = []
        images: Images = {
            (drive, camera): tree.frames(drive, camera)
            for drive, camera in sorted({(t.drive, t.camera) for t in targets})
        }
        for (drive, camera), paths in images.items():
            if not paths:
                count = sum((t.drive, t.camera) == (drive, camera) for t in targets)
                problems.append(
                    f"{drive} camera {camera}: no images in {tree.root}; its {count} test samples "
                    "are left out"
                )
        images = {key: paths for key, paths in only_targets(images, targets).items() if paths}
        if not images:
            raise UserError(f"{tree.root}: no image of the {len(targets)} in the test list")
        calibrations = {
            date: read_calibration(tree.root / date)
            for date in sorted({drive.split("/")[0] for drive, _ in images})
        }
        drives = {drive for drive, _ in images}
        return schema.Contents(
            frames=read_frames(images, calibrations, problems),
            samples={
                "test": _read_samples(
                    annotated, [t for t in targets if t.drive in drives], images, problems
                )
            },
            total_frames=sum(map(len, images.values())),
            problems=problems,
        )


def _annotated_root(folder: str | Path | None) -> Path:
    if folder is None:
        raise UserError(
            "kitti_improved: --annotated is missing, the folder that holds train and val; "
            f"{DOWNLOADS}"
        )
    root = Path(folder).expanduser()
    if not any((root / part).is_dir() for part in _PARTS):
        raise UserError(
            f"{root}: neither train nor val in it, expected the annotated depth maps; {DOWNLOADS}"
        )
    return root


def _depth_path(annotated: Path, target: Target) -> Path | None:
    name = Path("proj_depth/groundtruth", f"image_{target.camera:02d}", f"{target.frame:010d}.png")
    paths = [annotated / part / sequence_of(target.drive) / name for part in _PARTS]
    return next((path for path in paths if path.exists()), None)


def _read_samples(
    annotated: Path, targets: list[Target], images: Images, problems: list[str]
) -> ParallelReading[schema.Sample]:
    keys = []
    for target in targets:
        image = images.get((target.drive, target.camera), {}).get(target.frame)
        keys.append((target, _depth_path(annotated, target), image))
    missing = collections.Counter(sequence_of(t.drive) for t, depth, _ in keys if depth is None)
    for sequence, count in missing.items():
        problems.append(f"{sequence}: no annotated depth for {count} test samples; no ground truth")
    return ParallelReading(keys, _read_sample, problems)


def _read_sample(key: tuple[Target, Path | None, Path | None]) -> tuple[schema.Sample, str]:
    """A sample, with its depth map if both the map and the image are there."""
    target, path, image = key
    depth, problem = b"", ""
    if path is not None and image is not None:
        try:
            values = read_depth_png(path, unit=_METRES)
            h, w = schema.image_size(image.read_bytes())
            if values.shape != (h, w):
                raise ValueError(f"{values.shape[1]}x{values.shape[0]}, but its image is {w}x{h}")
            depth = schema.encode_truth(values)
        except (OSError, ValueError) as error:
            problem = f"{path}: {error}; its test sample has no ground truth"
    return schema.Sample(sequence_of(target.drive), target.camera, target.frame, depth), problem
