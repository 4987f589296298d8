"""Cuts between the scenes of a film, found in small grey pictures of its frames."""

import collections
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy import ndimage

# Of the thumbnails' structure, a blur of this many pixels taken away: two streets have their sky
# above and their road below, and are alike without it.
_BLUR = 4.0
_FARTHEST = (0.25, 0.5)  # of the height and the width: how far a frame may have moved
_ALIKE = 0.5  # likeness in one scene is above it, but where everything moves a lot
_DROP = 0.65  # of the likeness of the pairs before and after, which a cut is below
_SAME = 0.6  # above it two frames show one scene for certain
_NEAR = 3  # frames on either side that are looked at, and the longest flash

T = TypeVar("T")


@dataclass(frozen=True)
class _Seen(Generic[T]):
    item: T
    picture: np.ndarray
    likeness: float | None  # to the frame before it


def find_cuts(items: Iterable[tuple[T, np.ndarray | None]]) -> Iterator[tuple[T, bool]]:
    """Each item, a few later than it came, and whether another scene begins with it.

    A cut is where two neighbours are much less alike than those next to them, wherever the camera
    moved in between, so that neither a fast pan nor a change of the light is one. Nor is a flash,
    after which the scene is there again.

    Args:
        items: of (anything, its `folder.thumbnail`); None instead of a picture that is missing.
    """
    before: collections.deque[_Seen[T]] = collections.deque(maxlen=_NEAR + 1)
    after: collections.deque[_Seen[T]] = collections.deque()

    def oldest() -> tuple[T, bool]:
        now = after.popleft()
        cut = _is_cut(list(before), now, list(after))
        before.append(now)
        return now.item, cut

    for item, thumbnail in items:
        if thumbnail is None:
            while after:
                yield oldest()
            before.clear()
            yield item, False
            continue
        picture = thumbnail - ndimage.gaussian_filter(thumbnail, _BLUR, mode="nearest")
        last = after or before
        likeness = _likeness(last[-1].picture, picture) if last else None
        after.append(_Seen(item, picture, likeness))
        if len(after) > _NEAR:
            yield oldest()
    while after:
        yield oldest()


def _is_cut(before: list[_Seen], now: _Seen, after: list[_Seen]) -> bool:
    around = [seen.likeness for seen in (*before[-1:], *after[:1]) if seen.likeness is not None]
    if now.likeness is None or not around:
        return False
    if now.likeness >= min(_ALIKE, _DROP * min(around)):  # a change over some frames is no cut
        return False
    return all(_likeness(a.picture, b.picture) < _SAME for a in before for b in (now, *after))


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The largest correlation of two pictures [h, w] where they overlap, at any allowed shift."""
    shape = tuple(n + round(n * far) for n, far in zip(one.shape, _FARTHEST, strict=True))
    whole = np.ones_like(one)

    def correlated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = np.fft.rfft2(a, shape) * np.conj(np.fft.rfft2(b, shape))
        return np.fft.irfft2(product, shape)[_allowed(one.shape, shape)]

    # A level of 255 in common, so that pictures without structure are alike.
    overlap = correlated(whole, whole)
    energy = (correlated(one**2, whole) + overlap) * (correlated(whole, other**2) + overlap)
    return float(((correlated(one, other) + overlap) / np.sqrt(energy)).max())


@functools.cache
def _allowed(size: tuple[int, int], shape: tuple[int, int]) -> np.ndarray:
    """Bool [h, w]: the shifts that go no farther than `_FARTHEST`."""
    rows, columns = (
        np.minimum(np.arange(n), n - np.arange(n)) <= n - side
        for n, side in zip(shape, size, strict=True)
    )
    return rows[:, None] & columns
