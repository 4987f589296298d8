"""Cuts between the scenes of a film, found in small grey pictures of its frames."""

import collections
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from scipy import ndimage

# A blur of the thumbnails over this many pixels is subtracted from them. Without that, any two
# streets would look alike, with the sky above and the road below.
_BLUR = 4.0
_FARTHEST = (0.25, 0.5)  # how far a frame may have moved, as shares of the height and the width
_ALIKE = 0.5  # frames of one scene are more alike than this, unless everything moves a lot
_DROP = 0.65  # at a cut, likeness is below this share of that of the pairs before and after
_SAME = 0.6  # two frames that are more alike than this certainly show one scene
_NEAR = 3  # how many frames on either side are looked at, and the longest flash

T = TypeVar("T")


@dataclass(frozen=True)
class _Seen(Generic[T]):
    item: T
    picture: np.ndarray
    likeness: float | None  # likeness to the frame before it


def find_cuts(items: Iterable[tuple[T, np.ndarray | None]]) -> Iterator[tuple[T, bool]]:
    """Each item, a few later than it came, and whether another scene begins with it.

    At a cut two neighbours are much less alike than the pairs next to them, however the camera may
    have moved in between. So neither a fast pan nor a change of the light is a cut. A flash is not
    a cut either, because the scene is there again after it.

    Args:
        items: pairs of anything and its `folder.thumbnail`, which is None if the picture is
            missing.
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
    if now.likeness >= min(_ALIKE, _DROP * min(around)):  # a change over several frames is no cut
        return False
    return all(_likeness(a.picture, b.picture) < _SAME for a in before for b in (now, *after))


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """The largest correlation of two pictures [h, w] where they overlap, at any allowed shift."""
    shape = tuple(n + round(n * far) for n, far in zip(one.shape, _FARTHEST, strict=True))
    whole = np.ones_like(one)

    def correlated(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        product = np.fft.rfft2(a, shape) * np.conj(np.fft.rfft2(b, shape))
        return np.fft.irfft2(product, shape)[_allowed(one.shape, shape)]

    # Both pictures share one grey level of 255, so that pictures without structure are alike.
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
