"""KITTI with the improved ground truth: the annotated depth of Eigen's test images."""

import collections
import dataclasses
import functools
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from radepth_jax.data import kitti_splits, kitti_tree, schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.depth_png import read_kitti_depth
from radepth_jax.data.kitti_splits import Target
from radepth_jax.data.kitti_tree import KittiTree, list_frames, sequence_of
from radepth_jax.errors import UserError

DOWNLOADS = (
    f"{kitti_tree.DOWNLOADS}; then download 'annotated depth maps data set (14 GB)', "
    "data_depth_annotated.zip, from "
    "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"
)
DEFAULT_LISTS = "eigen_benchmark"
_PARTS = ("val", "train")  # the annotated tree's folders; each drive is in one of them


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
    """

    CONFIG_CLASS = KittiImprovedConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {
        "source": "the folder that holds 2011_09_26 and so on",
        "annotated": "the folder that holds train and val",
    }
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

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the trees. Images and depth maps are read when they are stored."""
        tree = KittiTree(self.source_folder())
        annotated = self.source_folder("annotated")
        if not any((annotated / part).is_dir() for part in _PARTS):
            raise UserError(
                f"{annotated}: neither train nor val in it, expected the annotated depth maps; "
                f"{DOWNLOADS}"
            )
        split_lists = self.builder_config.split_lists
        lists = kitti_splits.list_paths(split_lists or DEFAULT_LISTS, dl_manager)
        if "test" not in lists:
            raise UserError(f"{split_lists}: no test_files.txt in it")
        targets = kitti_splits.read_list(lists["test"])
        images: dict[Target, Path] = {}
        missing: collections.Counter[tuple[str, int]] = collections.Counter()
        for target in sorted(targets, key=lambda t: (t.drive, t.camera, t.frame)):
            frames = tree.frames(target.drive, target.camera)
            if target.frame in frames:
                images[target] = frames[target.frame]
            missing[target.drive, target.camera] += not frames
        if not images:
            raise UserError(f"{tree.root}: no image of the {len(targets)} in the test list")
        problems = [
            f"{drive} camera {camera}: no images in {tree.root}; its {count} test samples are left "
            "out"
            for (drive, camera), count in missing.items()
            if count
        ]
        drives = {target.drive for target in images}
        listed = [target for target in targets if target.drive in drives]
        return schema.Contents(
            frames=list_frames(images, tree.calibrations(drives)),
            samples={"test": _list_samples(annotated, listed, images, problems)},
            problems=problems,
        )


def _depth_path(annotated: Path, target: Target) -> Path | None:
    name = Path("proj_depth/groundtruth", f"image_{target.camera:02d}", f"{target.frame:010d}.png")
    paths = [annotated / part / sequence_of(target.drive) / name for part in _PARTS]
    return next((path for path in paths if path.exists()), None)


def _list_samples(
    annotated: Path, targets: list[Target], images: dict[Target, Path], problems: list[str]
) -> list[schema.Sample]:
    samples = []
    missing: collections.Counter[str] = collections.Counter()
    for target in targets:
        sequence, path = sequence_of(target.drive), _depth_path(annotated, target)
        missing[sequence] += path is None
        image = images.get(target)
        depth = functools.partial(read_kitti_depth, path, image) if path and image else b""
        samples.append(schema.Sample(sequence, target.camera, target.frame, depth, str(path)))
    problems += [
        f"{sequence}: no annotated depth for {count} test samples; no ground truth"
        for sequence, count in missing.items()
        if count
    ]
    return samples
