"""Make3D: 134 outdoor photographs with laser depth, to test how well a network generalises."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.io
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.pictures import decode_image, encode_image
from radepth_jax.errors import UserError, reason

DOWNLOADS = (
    "download Test134.tar.gz and Test134Depth.tar.gz (which extracts as Gridlaserdata), linked "
    "from http://make3d.cs.cornell.edu/data.html, and extract both into one folder"
)
IMAGES, DEPTHS = "Test134", "Gridlaserdata"
_IMAGE_PREFIX, _DEPTH_PREFIX = "img-", "depth_sph_corr-"
_GRID = "Position3DGrid"
SEQUENCE = "test134"


@dataclasses.dataclass(eq=False, kw_only=True)
class Make3dConfig(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        source: the folder that holds `Test134` and `Gridlaserdata`.
    """

    source: str | Path | None = None


class Make3d(FrameDatasetBuilder):
    """Make3D's 134 test images (Saxena et al., PAMI 2009), cropped to 2:1, with depth below 70 m.

    The images are upright, 2272 rows of 1704, but networks that were trained on the road expect
    wide ones. Monodepth (Godard et al., CVPR 2017) and Monodepth2 (ICCV 2019, section 4.3)
    therefore crop each image to a ratio of 2:1, and so does this builder. It keeps the central 852
    rows, 710 to 1561.

    The laser's grid of 55 x 305 values covers the whole image. It has a row for every 2272 / 55 =
    41.3 rows of the image, so the same part is the central 20.6 rows of the grid. They are taken as
    21, rows 17 to 37, which reach a fifth of a grid row beyond the crop on either side. They are
    stored as they were measured, 21 x 305, and predictions are resized to them. Resizing the grid
    instead (to 407 x 305, say) would only invent values between measured ones.

    Images are stored as cropped PNGs of camera 0, and are numbered in the order of their names.
    Their intrinsics are not known (NaN). The depth is the fourth value of `Position3DGrid`. Images
    and depth maps that are missing or damaged are left out and listed in `problems.txt`. Depth
    counts below 70 m (C1). The published RMSElog of this data set is in log10: it is 0.434 times
    that of `radepth evaluate`.
    """

    CONFIG_CLASS = Make3dConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {"source": f"the folder of {IMAGES} and {DEPTHS}"}
    PROTOCOL: ClassVar[dict[str, Any]] = {"crop": "none", "min_depth": 1e-3, "max_depth": 70.0}
    HOMEPAGE = "http://make3d.cs.cornell.edu/data.html"
    CITATION = """@article{Saxena2009PAMI,
  author = {Ashutosh Saxena and Min Sun and Andrew Y. Ng},
  title = {Make3D: Learning 3D Scene Structure from a Single Still Image},
  journal = {IEEE Transactions on Pattern Analysis and Machine Intelligence},
  year = {2009}
}"""

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the files. They are read while they are written."""
        del dl_manager
        root = self.source_folder()
        images = _list(root / IMAGES, _IMAGE_PREFIX, ".jpg")
        depths = _list(root / DEPTHS, _DEPTH_PREFIX, ".mat")
        problems = [f"{images[name]}: no depth map of it" for name in images.keys() - depths.keys()]
        problems += [f"{depths[name]}: no image of it" for name in depths.keys() - images.keys()]
        problems.sort()
        names = sorted(images.keys() & depths.keys())
        if not names:
            raise UserError(f"{root}: no image has a depth map ({problems[0]})")
        fractions: dict[int, tuple[int, int]] = {}  # (rows kept, rows) of each image
        return schema.Contents(
            frames=_read_frames([images[name] for name in names], fractions, problems),
            samples={"test": _read_samples([depths[name] for name in names], fractions, problems)},
            total_frames=len(names),
            problems=problems,
        )


def _list(folder: Path, prefix: str, suffix: str) -> dict[str, Path]:
    """Maps what an image and its depth map share of their names to the file."""
    found = [path for path in sorted(folder.glob(f"{prefix}*{suffix}")) if path.is_file()]
    if not found:
        raise UserError(f"{folder}: no {prefix}*{suffix} in it; {DOWNLOADS}")
    return {path.name.removeprefix(prefix).removesuffix(suffix): path for path in found}


def central_rows(kept: int, rows: int, of: int) -> slice:
    """The central part of `of` rows that shows the same as the central `kept` rows of `rows`.

    For 852 of 2272 rows, it is 21 of 55.

    Args:
        kept: how many rows of the image are kept.
        rows: how many rows the image has.
        of: how many rows the array has that is cropped in the same way.
    """
    count = round(of * kept / rows)
    return slice((of - count) // 2, (of - count) // 2 + count)


def _read_frames(
    paths: list[Path], fractions: dict[int, tuple[int, int]], problems: list[str]
) -> Iterator[schema.Frame]:
    for number, path in enumerate(paths):
        try:
            image = decode_image(path.read_bytes())
            h, w = image.shape[:2]
            if 2 * h < w:
                raise ValueError(f"{w}x{h} is wider than 2:1")
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}; left out")
            continue
        fractions[number] = (w // 2, h)
        yield schema.Frame(
            image=encode_image(image[central_rows(w // 2, h, h)], "PNG"),
            sequence=SEQUENCE,
            camera=0,
            frame=number,
            intrinsics=np.full((3, 3), np.nan),
            origin=str(path),
        )


def _read_samples(
    paths: list[Path], fractions: dict[int, tuple[int, int]], problems: list[str]
) -> Iterator[schema.Sample]:
    for number, path in enumerate(paths):
        if number not in fractions:
            continue
        try:
            grid = read_grid(path)
        except (OSError, ValueError) as error:
            problems.append(f"{path}: {error}; its test sample is left out")
            continue
        depth = grid[central_rows(*fractions[number], len(grid))]
        yield schema.Sample(SEQUENCE, 0, number, schema.encode_depth(depth))


def read_grid(path: Path) -> np.ndarray:
    """The depth of a laser grid, float32 [h, w] in metres. 0 means no value.

    Raises:
        ValueError: The file is damaged or holds something else.
        OSError: The file cannot be opened.
    """
    try:
        values = scipy.io.loadmat(path, variable_names=[_GRID]).get(_GRID)
    except OSError:
        raise
    except Exception as error:  # damaged data makes SciPy raise almost anything
        raise ValueError(f"damaged ({reason(error)})") from None
    if values is None:
        raise ValueError(f"no {_GRID} in it")
    if values.ndim != 3 or values.shape[2] != 4 or values.dtype.kind != "f":
        raise ValueError(f"{_GRID} is {values.shape}, expected rows x columns x 4 numbers")
    depth = values[:, :, 3]
    return np.where(np.isfinite(depth) & (depth > 0), depth, 0).astype(np.float32)
