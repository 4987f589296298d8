"""Your own footage: a data set from a video file or from a folder of images."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.films import Picture, read_film
from radepth_jax.data.folder import THUMBNAIL, list_folder, read_listing, thumbnail
from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.errors import UserError
from radepth_jax.names import counted, shown

MIN_FRAMES = 3  # a target between two neighbours


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """What to prepare. Exactly one of `intrinsics` and `fov` is given.

    Attributes:
        source: a video file, or a folder of images whose names sort in time (`2.png` before
            `10.png`).
        intrinsics: `fx,fy,cx,cy` in pixels of the footage; integer coordinates are pixel centres.
        fov: horizontal field of view in degrees; principal point in the middle, pixels square
            unless a video says otherwise.
        stride: keep every n-th frame.
        min_change: a frame is skipped while its 64x36 grey version differs by less than this from
            that of the last frame kept (mean absolute difference, of 255); 0 keeps all.
        validation_share: of the kept frames, the part at the end that is held out.
    """

    source: str | Path | None = None
    intrinsics: str | None = None
    fov: float | None = None
    stride: int = 1
    min_change: float = 0.5
    validation_share: float = 0.1


class Video(FrameDatasetBuilder):
    """A video or a folder of images, one camera (0), without depth or poses.

    Frames of a video are stored as JPEG of quality 95, turned upright if the file says so; files of
    a folder are stored as they are, and turned when they are read. Frames that cannot be decoded,
    or are of another size than most, are left out and listed in `problems.txt`; so is the number of
    near-static frames. The training and the held-out frames are two sequences, `train` and
    `validation`, so no neighbour crosses over; a gap of unreadable frames, or in a folder's frame
    numbers, also parts neighbours.
    """

    CONFIG_CLASS = VideoConfig

    def prepared_from(self) -> dict[str, Any]:
        """The source and all options."""
        config = self.builder_config
        source = None if config.source is None else Path(config.source).expanduser().resolve()
        return {
            "source": str(source),
            "intrinsics": config.intrinsics,
            "fov": config.fov,
            "stride": config.stride,
            "min_change": config.min_change,
            "validation_share": config.validation_share,
        }

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Goes through the footage once to choose frames; it is read again to store them."""
        del dl_manager
        config = self.builder_config
        _check_options(config)
        source = Path(config.source).expanduser()
        if not source.exists():
            raise UserError(f"{shown(source)}: no such file or folder")
        problems: list[str] = []
        read = _reader(source, problems)
        selection = self._choose(source, read, problems)
        chosen = selection.chosen
        intrinsics = parse_intrinsics(
            config.intrinsics, config.fov, selection.size, selection.aspect
        )
        numbers = list(chosen.values())
        held_out = min(round(config.validation_share * len(numbers)), len(numbers) - MIN_FRAMES)
        first_held_out = numbers[-held_out] if held_out else numbers[-1] + 1

        def split_of(number: int) -> str:
            return "validation" if number >= first_held_out else "train"

        samples: dict[str, list[schema.Sample]] = {"train": [], "validation": []}
        for number in numbers:
            samples[split_of(number)].append(schema.Sample(split_of(number), 0, number))
        return schema.Contents(
            frames=(
                schema.Frame(
                    image=picture.encode(),
                    sequence=split_of(chosen[picture.number]),
                    camera=0,
                    frame=chosen[picture.number],
                    intrinsics=intrinsics,
                    origin=picture.origin,
                    time=None if picture.time is None else float(picture.time),
                )
                for picture in read()
                if picture.number in chosen
            ),
            samples=samples,
            total_frames=len(numbers),
            problems=problems,
        )

    def _choose(
        self, source: Path, read: Callable[[], Iterator[Picture]], problems: list[str]
    ) -> "_Selection":
        """Picks the frames to keep: of the commonest size, far enough from one another."""
        config = self.builder_config
        selections: dict[tuple[int, int], _Selection] = {}
        damaged = 0
        for picture in read():
            if not picture.follows:
                for selection in selections.values():
                    selection.part()
            if picture.number % config.stride:
                continue
            size = None
            try:
                image = picture.decode()
                size = image.shape[:2]
                if size not in selections:
                    selections[size] = _Selection(size, picture.aspect)
                selections[size].offer(picture, thumbnail(image), config.min_change)
            except ValueError as error:
                problems.append(f"{picture.origin}: {error}; left out")
                damaged += 1
            for other in selections.values():
                if other.size != size:  # what is before and what is after are no neighbours
                    other.part()
            self._progress("choosing", max((len(s.chosen) for s in selections.values()), default=0),
                           None)  # fmt: skip
        best = max(selections.values(), key=lambda s: s.seen, default=None)
        others = [s for s in selections.values() if s is not best]
        if best is not None and others:
            _leave_out(source, best, others, problems)
        if best is None or len(best.chosen) < MIN_FRAMES:
            static = best.static if best else 0
            raise UserError(
                f"{shown(source)}: {len(best.chosen) if best else 0} usable frames, at least "
                f"{MIN_FRAMES} are needed"
                + (f"; {static} hardly change, a lower min_change keeps them" if static else "")
                + (f" ({len(problems)} problems, the first: {problems[0]})" if problems else "")
            )
        if best.static:
            problems.append(f"{source}: {best.static} near-static frames skipped")
        return best


class _Selection:
    """The frames of one size that are kept.

    Attributes:
        size: (h, w).
        aspect: a pixel's width over its height, of the first.
        chosen: number in the source -> number in the data set, where consecutive means neighbours.
        seen: how many there are.
        static: how many of them hardly differ from the last one kept.
        first: what the first is called.
    """

    def __init__(self, size: tuple[int, int], aspect: Fraction) -> None:
        self.size, self.aspect = size, aspect
        self.chosen: dict[int, int] = {}
        self.seen = self.static = 0
        self.first = ""
        self._number = 0
        self._last = np.full(THUMBNAIL[::-1], np.inf)

    def part(self) -> None:
        """What comes next is no neighbour of what came before."""
        self._number += 1

    def offer(self, picture: Picture, grey: np.ndarray, min_change: float) -> None:
        """Take the next picture unless its thumbnail is that of the last one kept."""
        self.seen += 1
        self.first = self.first or picture.origin
        if np.abs(grey - self._last).mean() < min_change:
            self.static += 1
            return
        self.chosen[picture.number] = self._number
        self._number += 1
        self._last = grey


def _reader(source: Path, problems: list[str]) -> Callable[[], Iterator[Picture]]:
    """Reads the footage as often as it is called; notes go to `problems`."""
    if not source.is_dir():
        return functools.partial(read_film, source)
    listing = list_folder(source)
    problems += listing.notes
    return functools.partial(read_listing, listing)


def _leave_out(
    source: Path, best: _Selection, others: list[_Selection], problems: list[str]
) -> None:
    """Note the frames of other sizes. UserError if they are the most."""

    def said(selection: _Selection) -> str:
        h, w = selection.size
        return f"{w}x{h}"

    total = best.seen + sum(other.seen for other in others)
    if 2 * best.seen < total:
        sizes = ", ".join(f"{said(s)} ({s.seen})" for s in [best, *others][:4])
        raise UserError(
            f"{shown(source)}: the frames are of {len(others) + 1} sizes, none of them most: "
            f"{sizes}; give footage of one size, or prepare each by itself"
        )
    for other in others:
        problems.append(
            f"{other.first}: {said(other)}, unlike most frames' {said(best)}; "
            f"{counted(other.seen, 'frame')} of that size left out"
        )


def _check_options(config: VideoConfig) -> None:
    if config.source is None:
        raise UserError("video: --source is missing, a video file or a folder of images")
    if (config.intrinsics is None) == (config.fov is None):
        raise UserError(
            "video: give either the intrinsics 'fx,fy,cx,cy' in pixels or the horizontal field of "
            "view (fov) in degrees"
        )
    if isinstance(config.stride, bool) or not isinstance(config.stride, int) or config.stride < 1:
        raise UserError(f"video: stride {config.stride!r}: expected a whole number from 1")
    if not config.min_change >= 0:
        raise UserError(f"video: min_change {config.min_change!r}: expected a number from 0")
    if not 0 <= config.validation_share < 1:
        raise UserError(
            f"video: validation_share {config.validation_share!r}: expected 0 to less than 1"
        )
