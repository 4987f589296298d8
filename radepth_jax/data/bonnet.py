"""A bonnet, a dashboard or a black bar below: what moves with the camera, found over time."""

import numpy as np

from radepth_jax.data.folder import THUMBNAIL

# Edges of a film's thumbnails that stay where they are add up; those of the scene cancel out.
_HIGHEST = 0.6  # a bonnet begins below this share of the height; higher up, a horizon stays, too
_BAND = 5  # rows of a thumbnail, in which its border runs; lanes and kerbs are steeper
# Share of an edge's slopes that adds up. In 20 clips the border of the one bonnet had .99, and
# without one, the stillest border had .82, on a straight motorway.
_STAYS = 0.9
_SLOPE = 2.0  # grey levels a pixel, below which nothing is an edge
_COLUMNS = 0.9  # share of the image's columns in which the border is seen
_FRAMES = 30  # with fewer, a scene's own edges have not moved enough


class StaticEdges:
    """Adds up the slopes of a film's thumbnails [h, w]."""

    def __init__(self) -> None:
        self._frames = 0
        self._sum = np.zeros((2, *THUMBNAIL[::-1]))
        self._size = np.zeros(THUMBNAIL[::-1])

    def add(self, grey: np.ndarray) -> None:
        """Take the next frame, which shows another view than those before."""
        down, right = np.gradient(grey)
        self._frames += 1
        self._sum += down, right
        self._size += np.hypot(down, right)

    def bonnet(self) -> float | None:
        """Where a bonnet begins, as a share of the height from the top. None if there is none.

        Its border is a path from the left to the right, at most one row up or down a column, along
        which edges stay where they are.
        """
        if self._frames < _FRAMES:
            return None
        stays = np.hypot(*self._sum) / np.maximum(self._size, self._frames * _SLOPE)
        for top in range(int(_HIGHEST * len(stays)), len(stays) - 1):
            band = stays[top : top + _BAND]
            rows = _best_path(band)
            along = np.take_along_axis(band, rows[None], 0)[0]
            if np.mean(along > _STAYS) >= _COLUMNS:
                return float(top + rows.min()) / len(stays)
        return None


def _best_path(values: np.ndarray) -> np.ndarray:
    """The row in each column, int [w], of the path through [h, w] with the largest sum."""
    total, steps = values[:, 0], []
    for column in values.T[1:]:
        before = np.stack([np.roll(total, shift) for shift in (1, 0, -1)])
        before[0, 0] = before[2, -1] = -np.inf
        step = before.argmax(0)
        steps.append(step)
        total = column + before.max(0)
    row = int(total.argmax())
    rows = [row]
    for step in reversed(steps):
        row += int(step[row]) - 1
        rows.append(row)
    return np.array(rows[::-1])
