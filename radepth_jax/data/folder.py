"""Folders of pictures: which of the files are frames, in which order, and what is missing."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image

from radepth_jax.data.films import Picture
from radepth_jax.data.pictures import IMAGE_SUFFIXES, decode_image, is_picture
from radepth_jax.errors import UserError
from radepth_jax.names import counted, examples, follow, shown, visible

THUMBNAIL = (64, 36)  # (width, height), small enough to lose noise, large enough to show motion
# If files share a stem, the earliest kind here is taken: lossless ones first, then common ones.
_PREFERRED = (".png", ".tif", ".tiff", ".bmp", ".ppm", ".webp", ".jpg", ".jpeg")
_ALIKE = 24.0  # grey levels of 255 that thumbnails of one picture in two formats may differ by


@dataclass(frozen=True)
class Listing:
    """The frames of a folder.

    Attributes:
        paths: the files, in order.
        follows: for each, whether the frame before it in time is also the one before it here.
        notes: one line for each thing about the folder that a user may not expect.
    """

    paths: list[Path]
    follows: list[bool]
    notes: list[str]


def list_folder(folder: Path) -> Listing:
    """Lists the pictures that lie in a folder, by their content.

    Files with an image's ending are listed too, whatever is in them. Hidden files never are. If
    several files share a stem (`0000.jpg`, `0000.png`), one is taken. Frames are no neighbours
    across a gap in the frame numbers.

    Raises:
        UserError: There are no pictures, or files that share a stem show different things.
    """
    inside = visible(folder)
    named = {path for path in inside if path.suffix.lower() in IMAGE_SUFFIXES}
    files = [path for path in inside if path.is_file() or path in named]
    paths = [path for path in files if path in named or is_picture(path)]
    if not paths:
        other = f" ({counted(len(files), 'other file')})" if files else ""
        raise UserError(
            f"{shown(folder)}: no images in it{other}; expected {', '.join(IMAGE_SUFFIXES)} files"
        )
    notes = []
    others = sorted(set(files) - set(paths))
    if others:
        names = examples(path.name for path in others)
        count = counted(len(others), "file")
        notes.append(f"{folder}: passed over {count} without a picture: {names}")
    paths, twins = _one_of_a_stem(paths)
    if twins:
        names = examples(path.name for path in twins)
        notes.append(
            f"{folder}: {counted(len(twins), 'picture')} left out, because another has the same "
            f"name but for its ending: {names}"
        )
    follows = follow([path.stem for path in paths])
    gaps = [i for i in range(1, len(paths)) if not follows[i]]
    if gaps:
        where = examples(f"{paths[i - 1].name} and {paths[i].name}" for i in gaps)
        notes.append(
            f"{folder}: {counted(len(gaps), 'gap')} in the frames' numbers, across which none are "
            f"neighbours: between {where}"
        )
    return Listing(paths, follows, notes)


def read_listing(listing: Listing) -> Iterator[Picture]:
    """The frames. Their files are read when they are decoded or stored."""
    for number, (path, follows) in enumerate(zip(listing.paths, listing.follows, strict=True)):
        yield Picture(
            number,
            str(path),
            functools.partial(_decode_file, path),
            path,
            follows=follows or not number,
        )


def thumbnail(image: np.ndarray) -> np.ndarray:
    """float64 [36, 64] grey levels of uint8 [h, w, 3]."""
    grey = PIL.Image.fromarray(image).convert("L").resize(THUMBNAIL, PIL.Image.Resampling.BOX)
    return np.asarray(grey, np.float64)


def _decode_file(path: Path) -> np.ndarray:
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise ValueError(error.strerror) from None


def _one_of_a_stem(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """The pictures to take, and their twins."""
    by_stem: dict[str, list[Path]] = {}
    for path in paths:
        by_stem.setdefault(path.stem, []).append(path)
    if len(by_stem) == len(paths):
        return paths, []
    for same in by_stem.values():
        same.sort(key=lambda p: _rank(p.suffix.lower()))
    _check_alike(next(same for same in by_stem.values() if len(same) > 1))
    taken = {same[0] for same in by_stem.values()}
    return [p for p in paths if p in taken], [p for p in paths if p not in taken]


def _rank(suffix: str) -> int:
    return _PREFERRED.index(suffix) if suffix in _PREFERRED else len(_PREFERRED)


def _check_alike(same: list[Path]) -> None:
    """Raises a UserError if files that share a stem are different pictures."""
    images = []
    for path in same[:2]:
        try:
            images.append(_decode_file(path))
        except ValueError:
            return
    first, second = (thumbnail(image) for image in images)
    if np.abs(first - second).mean() > _ALIKE:
        raise UserError(
            f"{shown(same[0])} and {shown(same[1].name)} show different things; leave one kind of "
            "them in the folder"
        )
