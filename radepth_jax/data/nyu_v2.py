"""NYU Depth V2: 654 labelled indoor test images."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import h5py
import numpy as np
import scipy.io
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.pictures import encode_image
from radepth_jax.errors import UserError, reason
from radepth_jax.settings import check_choice

DOWNLOADS = (
    "download nyu_depth_v2_labeled.mat (2.8 GB) from "
    "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html and splits.mat from "
    "http://horatio.cs.nyu.edu/mit/silberman/indoor_seg_sup/splits.mat into one folder"
)
LABELLED, SPLITS = "nyu_depth_v2_labeled.mat", "splits.mat"
SEQUENCE = "labeled"
# The colour camera of the data set's toolbox (camera_params.m), whose first pixel is 1.
INTRINSICS = np.array(
    [
        [518.85790117450188, 0, 325.58244941119034 - 1],
        [0, 519.46961112127485, 253.73616633400465 - 1],
        [0, 0, 1],
    ]
)
_DEPTHS = {"filled": "depths", "raw": "rawDepths"}


@dataclasses.dataclass(eq=False, kw_only=True)
class NyuV2Config(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        source: the folder that holds `nyu_depth_v2_labeled.mat` and `splits.mat`.
        depth: `filled` or `raw`. `filled` is the labelled set's depth with the sensor's holes
            filled in, on which Eigen et al. evaluate. `raw` is what the sensor measured.
    """

    source: str | Path | None = None
    depth: Literal["filled", "raw"] = "filled"


class NyuV2(FrameDatasetBuilder):
    """The 654 labelled test images of NYU Depth V2 (Silberman et al., ECCV 2012), up to 10 m.

    The images have 640x480 pixels and are stored as PNG. The numbers of the frames are those of
    `testNdxs` in `splits.mat`, which count from 1. The crop is that of Eigen et al. (NeurIPS 2014),
    rows 45 to 470 and columns 41 to 600. It leaves out the white border and what the depth camera
    does not see. Images that cannot be read are left out and listed in `problems.txt`.
    """

    CONFIG_CLASS = NyuV2Config
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {"source": f"the folder of {LABELLED} and {SPLITS}"}
    PROTOCOL: ClassVar[dict[str, Any]] = {"crop": "nyu", "min_depth": 1e-3, "max_depth": 10.0}
    HOMEPAGE = "https://cs.nyu.edu/~silberman/datasets/nyu_depth_v2.html"
    CITATION = """@inproceedings{Silberman2012ECCV,
  author = {Nathan Silberman and Derek Hoiem and Pushmeet Kohli and Rob Fergus},
  title = {Indoor Segmentation and Support Inference from RGBD Images},
  booktitle = {European Conference on Computer Vision (ECCV)},
  year = {2012}
}"""

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Read the split. Images and depth are read while they are written."""
        del dl_manager
        config, root = self.builder_config, self.source_folder()
        check_choice("nyu_v2: depth", config.depth, _DEPTHS)
        for name in (LABELLED, SPLITS):
            if not (root / name).is_file():
                raise UserError(f"{root / name} is missing; {DOWNLOADS}")
        indices = read_test_indices(root / SPLITS)
        path = root / LABELLED
        count = _check_file(path, _DEPTHS[config.depth])
        problems = [
            f"{root / SPLITS}: image {i}, but {path} has {count}; left out"
            for i in indices
            if i > count
        ]
        indices = [i for i in indices if i <= count]
        return schema.Contents(
            frames=_read_frames(path, indices, problems),
            samples={"test": _read_samples(path, _DEPTHS[config.depth], indices, problems)},
            total_frames=len(indices),
            problems=problems,
        )


def read_test_indices(path: Path) -> list[int]:
    """The `testNdxs` of `splits.mat`, which count from 1. A bad file is a UserError."""
    try:
        values = scipy.io.loadmat(path, variable_names=["testNdxs"]).get("testNdxs")
    except Exception as error:  # damaged data makes SciPy raise almost anything
        raise UserError(f"{path}: unreadable ({reason(error)}); {DOWNLOADS}") from None
    if values is None or values.size == 0 or values.dtype.kind not in "iuf" or values.min() < 1:
        raise UserError(f"{path}: no list of images 'testNdxs' in it; {DOWNLOADS}")
    return [int(i) for i in values.ravel()]


def _check_file(path: Path, depths: str) -> int:
    """How many images the file has. Raises a UserError if it is not the labelled data set."""
    try:
        with h5py.File(path) as file:
            images, maps = file["images"].shape, file[depths].shape
    except (OSError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: unreadable ({reason(error)}); {DOWNLOADS}") from None
    # MATLAB stores columns first: h5py shows its H x W x 3 x N as N x 3 x W x H.
    if len(images) != 4 or images[1] != 3 or maps != (images[0], *images[2:]):
        raise UserError(
            f"{path}: images {images} and {depths} {maps}, expected N x 3 x W x H and N x W x H"
        )
    return images[0]


def _read(path: Path, name: str, indices: list[int], problems: list[str]) -> Iterator[Any]:
    """Yield (number, values) of one array. Entries that cannot be read are `problems`."""
    with h5py.File(path) as file:
        for i in indices:
            try:
                values = file[name][i - 1]
            except OSError as error:
                problems.append(f"{path}: {name} {i}: {str(error).split(chr(10))[0]}; left out")
                continue
            yield i, values


def _read_frames(path: Path, indices: list[int], problems: list[str]) -> Iterator[schema.Frame]:
    for i, values in _read(path, "images", indices, problems):
        yield schema.Frame(
            image=encode_image(values.transpose(2, 1, 0), "PNG"),
            sequence=SEQUENCE,
            camera=0,
            frame=i,
            intrinsics=INTRINSICS,
            origin=f"{path} image {i}",
        )


def _read_samples(
    path: Path, depths: str, indices: list[int], problems: list[str]
) -> Iterator[schema.Sample]:
    for i, values in _read(path, depths, indices, problems):
        depth = np.where(np.isfinite(values) & (values > 0), values, 0).T
        yield schema.Sample(SEQUENCE, 0, i, schema.encode_depth(depth))
