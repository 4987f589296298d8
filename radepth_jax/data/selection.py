"""Which frames of footage are kept: frames of the commonest size that differ from one another."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from radepth_jax.data.bonnet import StaticEdges
from radepth_jax.data.cuts import find_cuts
from radepth_jax.data.fades import find_fades
from radepth_jax.data.films import Picture
from radepth_jax.data.folder import thumbnail
from radepth_jax.data.standing import stands
from radepth_jax.errors import UserError
from radepth_jax.names import counted, examples, shown

MIN_FRAMES = 3  # a target between two neighbours


class Selection:
    """The frames of one size that are kept.

    Attributes:
        size: (h, w).
        aspect: the first frame's pixel aspect, which is a pixel's width over its height.
        chosen: maps a frame's number in the source to its number in the data set. There,
            consecutive numbers mean neighbours.
        seen: how many frames of this size the source has.
        static: how many of them hardly differ from the last frame that was kept.
        standing: how many others differ from it only where something passes a standing camera.
        first: what the first frame is called.
        static_edges: of the kept frames, which find a bonnet.
    """

    def __init__(self, size: tuple[int, int], aspect: Fraction) -> None:
        self.size, self.aspect = size, aspect
        self.chosen: dict[int, int] = {}
        self.seen = self.static = self.standing = 0
        self.first = ""
        self.static_edges = StaticEdges()
        self._number = 0
        self._last: np.ndarray | None = None

    def part(self) -> None:
        """Start a new run: the next frame is no neighbour of those before."""
        self._number += 1

    def offer(self, picture: Picture, grey: np.ndarray, min_change: float) -> None:
        """Keep the next picture, unless its thumbnail shows the last one's view once more."""
        self.seen += 1
        self.first = self.first or picture.origin
        if self._last is not None and np.abs(grey - self._last).mean() < min_change:
            self.static += 1
            return
        if self._last is not None and min_change and stands(self._last, grey):
            self.standing += 1
            return
        self.chosen[picture.number] = self._number
        self._number += 1
        self._last = grey
        self.static_edges.add(grey)

    def drop(self, numbers: set[int]) -> int:
        """Drop those of the kept frames, so that none are neighbours across them."""
        kept = len(self.chosen)
        self.chosen = {n: to for n, to in self.chosen.items() if n not in numbers}
        return kept - len(self.chosen)


@dataclass(frozen=True)
class _Look:
    """What a picture shows.

    Attributes:
        picture: the picture itself.
        size: (h, w). It is (0, 0) if the picture cannot be decoded.
        grey: its thumbnail. It is None if the picture cannot be decoded.
        problem: why it cannot be decoded. Empty if it can.
    """

    picture: Picture
    size: tuple[int, int] = (0, 0)
    grey: np.ndarray | None = None
    problem: str = ""


def _look(picture: Picture) -> _Look:
    try:
        image = picture.decode()
    except ValueError as error:
        return _Look(picture, problem=str(error))
    return _Look(picture, image.shape[:2], thumbnail(image))


def choose(
    source: Path,
    pictures: Iterable[Picture],
    *,
    stride: int,
    min_change: float,
    problems: list[str],
    progress: Callable[[int], None] = lambda count: None,
) -> Selection:
    """Picks the frames to keep: they have the commonest size, and differ enough from one another.

    All frames are looked at, whatever the stride is, because a cut may lie between any two.

    Args:
        source: what the footage is called in messages.
        pictures: all frames of the footage. They are iterated over once.
        stride: keep every n-th frame.
        min_change: see `VideoConfig`.
        problems: gets a line for each frame or group of frames that is left out.
        progress: called with the number of frames kept so far.

    Raises:
        UserError: Fewer than MIN_FRAMES frames are left, or most would be left out.
    """
    selections: dict[tuple[int, int], Selection] = {}
    cuts: list[int] = []
    contrasts: dict[int, float] = {}
    for look, cut in find_cuts((look, look.grey) for look in map(_look, pictures)):
        picture = look.picture
        if look.grey is not None:
            contrasts[picture.number] = float(look.grey.std())
        if cut and picture.follows:
            cuts.append(picture.number)
        if cut or not picture.follows:
            for selection in selections.values():
                selection.part()
        if picture.number % stride:
            continue
        if look.grey is None:
            problems.append(f"{picture.origin}: {look.problem}; left out")
        else:
            if look.size not in selections:
                selections[look.size] = Selection(look.size, picture.aspect)
            selections[look.size].offer(picture, look.grey, min_change)
        for other in selections.values():
            if other.size != look.size:  # the frames before and after it are no neighbours
                other.part()
        progress(max((len(s.chosen) for s in selections.values()), default=0))
    best = max(selections.values(), key=lambda s: s.seen, default=None)
    fading = best.drop(find_fades(contrasts)) if best and min_change else 0
    others = [s for s in selections.values() if s is not best]
    if best is not None and others:
        _leave_out(source, best, others, problems)
    if best is None or len(best.chosen) < MIN_FRAMES:
        reasons = {
            "hardly change": best.static if best else 0,
            "show others pass while the camera stands": best.standing if best else 0,
            "fade": fading,
        }
        left_out = ", ".join(f"{number} {what}" for what, number in reasons.items() if number)
        raise UserError(
            f"{shown(source)}: {len(best.chosen) if best else 0} usable frames, at least "
            f"{MIN_FRAMES} are needed"
            + (f"; {left_out}: min_change 0 keeps all of them" if left_out else "")
            + (f" ({len(problems)} problems, the first: {problems[0]})" if problems else "")
        )
    if cuts:
        problems.append(
            f"{source}: {counted(len(cuts), 'cut')} between scenes, across which no frames are "
            f"neighbours: before frame {examples(cuts)}"
        )
    if best.static:
        problems.append(f"{source}: {best.static} near-static frames skipped")
    if best.standing:
        problems.append(
            f"{source}: {best.standing} frames skipped in which the camera stands while others pass"
        )
    if fading:
        problems.append(
            f"{source}: {counted(fading, 'frame')} left out that fade from or to black or white"
        )
    return best


def _leave_out(source: Path, best: Selection, others: list[Selection], problems: list[str]) -> None:
    """Note the frames of other sizes. Raises a UserError if they are most of the footage."""

    def said(selection: Selection) -> str:
        h, w = selection.size
        return f"{w}x{h}"

    total = best.seen + sum(other.seen for other in others)
    if 2 * best.seen < total:
        sizes = ", ".join(f"{said(s)} ({s.seen})" for s in [best, *others][:4])
        raise UserError(
            f"{shown(source)}: the frames have {len(others) + 1} sizes, and no size has most of "
            f"them: {sizes}; give footage of one size, or prepare each by itself"
        )
    for other in others:
        problems.append(
            f"{other.first}: {said(other)}, unlike most frames' {said(best)}; "
            f"{counted(other.seen, 'frame')} of that size left out"
        )
