"""KITTI's depth selection: single images of many scenes, with their depth and intrinsics."""

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.depth_png import read_kitti_depth
from radepth_jax.data.intrinsics import check_intrinsics
from radepth_jax.data.pictures import image_size
from radepth_jax.data.text import decode_text
from radepth_jax.errors import UserError, reason
from radepth_jax.names import shown, visible

DOWNLOADS = (
    "download 'manually selected validation and test data sets (2 GB)', "
    "data_depth_selection.zip, from "
    "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"
)
IMAGES, DEPTHS, INTRINSICS = "image", "groundtruth_depth", "intrinsics"
# Where the folders lie in the published archive, below the folder that --source names.
_PLACES = (".", "val_selection_cropped", "depth_selection/val_selection_cropped")
_NAME = re.compile(r"(?P<drive>.+_sync)_image_(?P<frame>\d+)_image_(?P<camera>\d+)")


@dataclasses.dataclass(eq=False, kw_only=True)
class KittiSelectionConfig(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        source: the folder that holds `image`, `groundtruth_depth` and `intrinsics`, or the folder
            `depth_selection` of the published archive.
    """

    source: str | Path | None = None


class KittiSelection(FrameDatasetBuilder):
    """Single KITTI images of many scenes, to evaluate on (Uhrig et al., 3DV 2017).

    This is the layout of KITTI's depth prediction selection:
    `image/DRIVE_sync_image_FRAME_image_02.png` (or `.jpg`),
    `groundtruth_depth/DRIVE_sync_groundtruth_depth_FRAME_image_02.png` (16 bits, 1/256 m, 0 = no
    value), and `intrinsics/DRIVE_sync_image_FRAME_image_02.txt` (nine numbers). The protocol is
    that of Eigen et al. with Garg's crop, up to 80 m. The published images are cropped to
    1216x352, for which `--crop none` is usual. Images, depth maps and intrinsics that are missing
    or damaged are listed in `problems.txt`.
    """

    CONFIG_CLASS = KittiSelectionConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {
        "source": f"the folder that holds {IMAGES}, {DEPTHS} and {INTRINSICS}"
    }
    PROTOCOL: ClassVar[dict[str, Any]] = {"crop": "garg", "min_depth": 1e-3, "max_depth": 80.0}
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/eval_depth.php?benchmark=depth_prediction"

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the images. They and their depth are read when they are stored."""
        del dl_manager
        folder = _find_folder(self.source_folder())
        problems: list[str] = []
        images = _list_images(folder, problems)
        return schema.Contents(
            frames=[_frame(folder, image, problems) for image in images],
            samples={"test": [_sample(folder, image) for image in images]},
            problems=problems,
        )


@dataclasses.dataclass(frozen=True)
class _Image:
    """One image, and what its name says."""

    path: Path
    drive: str
    frame: int
    camera: int


def _find_folder(root: Path) -> Path:
    for place in _PLACES:
        folder = root / place
        if all((folder / name).is_dir() for name in (IMAGES, DEPTHS, INTRINSICS)):
            return folder
    missing = [name for name in (IMAGES, DEPTHS, INTRINSICS) if not (root / name).is_dir()]
    raise UserError(f"{shown(root)}: no folder {', '.join(missing)} in it; {DOWNLOADS}")


def _list_images(folder: Path, problems: list[str]) -> list[_Image]:
    images = []
    for path in visible(folder / IMAGES):
        name = _NAME.fullmatch(path.stem)
        if name is None:
            problems.append(
                f"{shown(path)}: expected a name such as "
                "2011_09_26_drive_0002_sync_image_0000000008_image_02.png; left out"
            )
            continue
        images.append(_Image(path, name["drive"], int(name["frame"]), int(name["camera"])))
    if not images:
        raise UserError(f"{shown(folder / IMAGES)}: no image of the selection; {DOWNLOADS}")
    return images


def _frame(folder: Path, image: _Image, problems: list[str]) -> schema.Frame:
    path = folder / INTRINSICS / f"{image.path.stem}.txt"
    try:
        intrinsics = _read_intrinsics(path)
        check_intrinsics(intrinsics, image_size(image.path.read_bytes()))
    except (OSError, ValueError) as error:
        # Depth is evaluated without intrinsics too.
        problems.append(f"{shown(path)}: {reason(error)}; the intrinsics are not known")
        intrinsics = np.full((3, 3), np.nan)
    return schema.Frame(image.path, image.drive, image.camera, image.frame, intrinsics)


def _read_intrinsics(path: Path) -> np.ndarray:
    """[3, 3] of nine numbers in a text file. It raises an OSError or a ValueError."""
    words = decode_text(path.read_bytes()).split()
    if len(words) != 9:
        raise ValueError(f"{len(words)} numbers, expected 9")
    return np.array([float(word) for word in words]).reshape(3, 3)


def _sample(folder: Path, image: _Image) -> schema.Sample:
    stem = image.path.stem.replace(f"{image.drive}_image_", f"{image.drive}_{DEPTHS}_")
    path = folder / DEPTHS / f"{stem}.png"
    read = functools.partial(read_kitti_depth, path, image.path)
    return schema.Sample(image.drive, image.camera, image.frame, read, origin=str(path))
