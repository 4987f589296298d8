"""What to predict: images, folders and videos, found, named and read."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from radepth_jax.data import pictures
from radepth_jax.data.films import VIDEO_SUFFIXES, is_film, list_of_others
from radepth_jax.data.pictures import IMAGE_SUFFIXES, is_picture
from radepth_jax.errors import UserError
from radepth_jax.files import open_npy
from radepth_jax.names import counted, examples, shortened, shown, visible

ARRAY_SUFFIX = ".npy"
PICTURE_SUFFIXES = (*IMAGE_SUFFIXES, ARRAY_SUFFIX)
_PICTURES_IN_A_ROW = (".mjpeg", ".mjpg")  # films whose bytes begin like a picture's
_NPY = b"\x93NUMPY"
_ENDING = 20  # bytes that are kept free for what outputs' names add to the input's


@dataclass(frozen=True)
class Input:
    """A file to predict.

    Attributes:
        path: the file's path.
        name: what its outputs are called, relative to the output folder.
        is_video: whether it is a video. Otherwise it is an image.
    """

    path: Path
    name: str
    is_video: bool


@dataclass(frozen=True)
class Found:
    """The files that the arguments name.

    Attributes:
        inputs: the files to predict.
        passed_over: files in the folders that are neither images nor videos. Hidden files are not
            counted.
    """

    inputs: list[Input]
    passed_over: list[Path]

    def note(self) -> str:
        """A line about the files that are passed over. Empty if there are none."""
        if not self.passed_over:
            return ""
        names = examples(path.name for path in self.passed_over)
        return (
            f"passed over {counted(len(self.passed_over), 'file')}, neither pictures nor videos: "
            f"{names}"
        )


def find_inputs(given: Sequence[str | Path], output: str | Path) -> Found:
    """The files that the arguments name. The contents of folders are in natural order.

    A folder stands for all images and videos in it and in its folders, without hidden files and
    without the output folder. Arrays in NPY files are images too. Whether a file is an image or a
    video is found in its bytes. Only if the bytes do not show it, the ending of its name decides.

    Outputs are named after the file, with the folders between it and the folder that was given. If
    two files share a name (`a/1.png` and `b/1.png`), all are named by their path below the folder
    that holds everything. If that is not enough (`1.png` and `1.jpg`), the path includes the file's
    ending. A name that is too long to append an ending is cut, and gets a digest.

    Args:
        given: files and folders. A file that is given twice is predicted once.
        output: the folder to write to, which cannot be one of them.

    Raises:
        UserError: A name does not exist, or a folder has nothing to predict.
    """
    target = Path(os.path.abspath(Path(output).expanduser()))
    kinds: dict[Path, bool] = {}  # whether each file is a video
    names: dict[Path, str] = {}
    passed_over: dict[Path, None] = {}
    for argument in given:
        path = Path(os.path.abspath(Path(argument).expanduser()))
        if path.is_dir():
            if path == target:
                raise UserError(f"{shown(argument)}: is also the output folder; name another one")
            inside = {file: kind_of(file) for file in _files(path, target, set())}
            found = {file: kind for file, kind in inside.items() if kind is not None}
            passed_over |= dict.fromkeys(inside.keys() - found.keys())
            if not found:
                raise UserError(
                    f"{shown(argument)}: no images or videos in it "
                    f"({counted(len(inside), 'other file')}); expected such as "
                    f"{', '.join((*PICTURE_SUFFIXES, *VIDEO_SUFFIXES[:4]))} files"
                )
            kinds |= found
            for file in found:
                names.setdefault(file, file.relative_to(path).with_suffix("").as_posix())
        elif path.exists():
            # The reader of films reports a list of films as such.
            kinds[path] = bool(kind_of(path) or list_of_others(path))
            names.setdefault(path, path.stem)
        else:
            raise UserError(f"{shown(argument)}: no such file or folder")
    return Found(
        [Input(p, name, kinds[p]) for p, name in _told_apart(names).items()], sorted(passed_over)
    )


def kind_of(path: Path) -> bool | None:
    """True for a video, False for a picture, and None for a file that is neither."""
    if path.suffix.lower() not in _PICTURES_IN_A_ROW and (is_picture(path) or _is_array(path)):
        return False
    if is_film(path):
        return True
    # The file is damaged: its failure is to be reported, so it is not passed over.
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return False
    return True if path.suffix.lower() in VIDEO_SUFFIXES else None


def _files(folder: Path, output: Path, seen: set[Path]) -> Iterator[Path]:
    """The files in a folder, then those in its folders. Each folder is visited once."""
    if folder == output or folder.resolve() in seen:
        return
    seen.add(folder.resolve())
    try:
        inside = visible(folder)
    except OSError as error:
        raise UserError(f"{shown(folder)}: {error.strerror}") from None
    # A broken link is kept, so that its failure is reported. Devices and pipes are not opened.
    yield from (path for path in inside if path.is_file() or not path.exists())
    for path in inside:
        if path.is_dir():
            yield from _files(path, output, seen)


def _told_apart(names: dict[Path, str]) -> dict[Path, str]:
    paths = list(names)
    if len(set(names.values())) < len(names):
        common = os.path.commonpath([path.parent for path in paths])
        below = [path.relative_to(common) for path in paths]
        names = {p: b.with_suffix("").as_posix() for p, b in zip(paths, below, strict=True)}
        if len(set(names.values())) < len(names):
            names = {p: b.as_posix() for p, b in zip(paths, below, strict=True)}
    return {p: str(Path(n).with_name(shortened(Path(n).name, _ENDING))) for p, n in names.items()}


def _is_array(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_NPY)) == _NPY
    except OSError:
        return False


def input_size(path: Path) -> tuple[int, int]:
    """The (h, w) of an image, upright, from its header alone.

    Raises:
        ValueError: The file is not an image, or its array is not a picture.
    """
    if path.suffix.lower() == ARRAY_SUFFIX or _is_array(path):
        array = open_npy(path)
        _check_layout(array)
        return array.shape[0], array.shape[1]
    try:
        with path.open("rb") as file:
            return pictures.image_size(file)
    except OSError as error:
        raise ValueError(error.strerror) from None


def read_image(path: Path) -> np.ndarray:
    """An image file as [h, w, 3] RGB: uint8, or float32 in [0, 1].

    An NPY file holds the picture's array (see `as_picture`). Other files are read by
    `pictures.read_picture`.

    Raises:
        ValueError: The file does not decode to the end, or it is an encoded picture with
            floating-point pixels, for which no value is known to be white.
    """
    if path.suffix.lower() == ARRAY_SUFFIX or _is_array(path):
        return as_picture(np.array(open_npy(path)))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(error.strerror) from None
    return pictures.read_picture(data)


def as_picture(array: np.ndarray) -> np.ndarray:
    """Check that an array is a picture: uint8 [h, w, 3] or floats [h, w, 3] in [0, 1], RGB.

    Returns:
        The same, floats as float32.

    Raises:
        ValueError: The array has another type or shape, is empty, or holds other values.
    """
    _check_layout(array)
    if array.dtype == np.uint8:
        return array
    if np.isnan(array).any():
        raise _no_picture(array, " with NaN in it")
    least, most = array.min(), array.max()
    if least < 0 or most > 1:
        raise _no_picture(array, f" from {least:g} to {most:g}")
    return array.astype(np.float32)


def _check_layout(array: np.ndarray) -> None:
    known = array.dtype == np.uint8 or np.issubdtype(array.dtype, np.floating)
    if not known or array.ndim != 3 or array.shape[-1] != 3 or not array.size:
        raise _no_picture(array)


def _no_picture(array: np.ndarray, values: str = "") -> ValueError:
    return ValueError(
        f"{array.dtype} {list(array.shape)}{values}: "
        "expected uint8 [H, W, 3], or floats [H, W, 3] in [0, 1], RGB"
    )
