"""What to predict: images, folders and videos, found, named and read."""

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import PIL.ImageOps

from radepth_jax.data import schema
from radepth_jax.data.video import IMAGE_SUFFIXES, natural
from radepth_jax.errors import UserError

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".gif")
ARRAY_SUFFIX = ".npy"
PICTURE_SUFFIXES = (*IMAGE_SUFFIXES, ARRAY_SUFFIX)
_ORIENTATION = 0x0112  # EXIF
_ON_ITS_SIDE = (5, 6, 7, 8)  # values that swap rows and columns


@dataclass(frozen=True)
class Input:
    """A file to predict.

    Attributes:
        path: of the file.
        name: what its outputs are called, relative to the output folder.
        is_video: an image otherwise.
    """

    path: Path
    name: str
    is_video: bool


def find_inputs(given: Sequence[str | Path], output: str | Path) -> list[Input]:
    """The files that the arguments name, folders' contents in natural order.

    A folder stands for the images (arrays in `.npy` files, too) and videos that lie directly in it.
    Outputs are named after the file; where two files share a name (`a/1.png` and `b/1.png`), all
    are named by their path below the folder that holds everything, and where that is not enough
    (`1.png`, `1.jpg`), by the path with the file's ending.

    Args:
        given: files and folders; a file given twice is predicted once.
        output: the folder to write to, which cannot be one of them.

    Raises:
        UserError: for a name that does not exist, or a folder without anything to predict.
    """
    paths: dict[Path, None] = {}
    for argument in given:
        path = Path(os.path.abspath(Path(argument).expanduser()))
        if path.is_dir():
            if path == Path(os.path.abspath(Path(output).expanduser())):
                raise UserError(f"{argument}: is also the output folder; name another one")
            suffixes = PICTURE_SUFFIXES + VIDEO_SUFFIXES
            inside = [p for p in path.iterdir() if p.suffix.lower() in suffixes and p.is_file()]
            if not inside:
                raise UserError(
                    f"{argument}: no images or videos in it; expected {', '.join(suffixes)} files"
                )
            paths |= dict.fromkeys(sorted(inside, key=lambda p: natural(p.name)))
        elif path.exists():
            paths[path] = None
        else:
            raise UserError(f"{argument}: no such file or folder")
    return [
        Input(path, name, path.suffix.lower() not in PICTURE_SUFFIXES)
        for path, name in zip(paths, _names(list(paths)), strict=True)
    ]


def _names(paths: list[Path]) -> list[str]:
    names = [path.stem for path in paths]
    if len(set(names)) < len(names):
        common = os.path.commonpath([path.parent for path in paths])
        below = [path.relative_to(common) for path in paths]
        names = [path.with_suffix("").as_posix() for path in below]
        if len(set(names)) < len(names):
            names = [path.as_posix() for path in below]
    return names


def image_size(path: Path) -> tuple[int, int]:
    """The (h, w) of an image, upright, from its header alone.

    Raises:
        ValueError: if it is not an image, or an array that is none.
    """
    if path.suffix.lower() == ARRAY_SUFFIX:
        array = _mapped(path)
        _check_layout(array)
        return array.shape[0], array.shape[1]
    try:
        with path.open("rb") as file, schema.decoding(), PIL.Image.open(file) as image:
            width, height = image.size
            on_its_side = _orientation(image) in _ON_ITS_SIDE
    except OSError as error:
        raise ValueError(error.strerror) from None
    return (width, height) if on_its_side else (height, width)


def read_image(path: Path) -> np.ndarray:
    """An image file as [h, w, 3] RGB: uint8, or float32 in [0, 1].

    Turned upright as its EXIF data say. Grey is repeated, transparency dropped; grey of 16 bits
    (65535 is white) becomes float32. An NPY file holds the picture itself: see `as_picture`.

    Raises:
        ValueError: if it does not decode to the end, or has no known white (floating point).
    """
    if path.suffix.lower() == ARRAY_SUFFIX:
        return as_picture(np.array(_mapped(path)))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ValueError(error.strerror) from None
    with schema.decoding(data), PIL.Image.open(io.BytesIO(data)) as file:
        image = PIL.ImageOps.exif_transpose(file) if _orientation(file) > 1 else file
        if image.mode == "I" or image.mode.startswith("I;16"):
            levels = np.asarray(image).astype(np.int64)
            if levels.min() < 0 or levels.max() > 65535:
                raise ValueError("more than 16 bits a pixel; save it with 8")
            return np.repeat(levels.astype(np.float32)[..., None] / 65535, 3, axis=-1)
        if image.mode == "F":
            raise ValueError("floating-point pixels; save it with 8 bits")
        if image.has_transparency_data:
            image = image.convert("RGBA")
        return np.asarray(image.convert("RGB"))


def as_picture(array: np.ndarray) -> np.ndarray:
    """Check that an array is a picture: uint8 [h, w, 3] or floats [h, w, 3] in [0, 1], RGB.

    Returns:
        The same, floats as float32.

    Raises:
        ValueError: if it is of another type or shape, empty, or holds other values.
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


def _mapped(path: Path) -> np.ndarray:
    """The array in an NPY file, its values still on disk; pickled objects are never opened."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise ValueError(error.strerror) from None
    except Exception as error:  # damaged headers make the parser raise almost anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"not an NPY file of numbers, or not all of it ({reason})") from None


def _orientation(image: PIL.Image.Image) -> int:
    """1 to 8, 1 is upright, as far as the header says it.

    A PNG may also say it after its pixels, which would be decoded just to look.
    """
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    return image.getexif().get(_ORIENTATION, 1)
