"""Which pictures are padded to one canvas, so that they share a compiled program."""

from collections.abc import Sequence

Size = tuple[int, int]  # (h, w)

# Canvases are rounded up to this, so that pictures of nearly one size (KITTI's) share a program.
STEP = 64
# Pixels of padding that take about as long as compiling one more program for a small network.
COMPILING = 2**26
# How much larger a canvas may be than its largest picture needs. This bounds the memory.
LARGER = 2


def share_canvases(sizes: Sequence[Size]) -> dict[Size, list[int]]:
    """Maps each canvas (H0, W0) to the indices of the pictures on it.

    Two canvases become one if the padding costs less than a program, and if the result is not much
    larger than the larger of the two. So a wide panorama and a high tower never share a canvas, and
    small pictures are not slowed down by the canvas of a huge one.

    Args:
        sizes: the (h, w) of each picture.
    """
    own: dict[Size, list[int]] = {}
    for index, size in enumerate(sizes):
        own.setdefault(rounded_up(size, STEP), []).append(index)
    shared: dict[Size, list[int]] = {}
    for canvas in sorted(own, key=_area):  # small canvases are joined before a large one comes
        members = own[canvas]
        best = min(shared, key=lambda other: _padding(shared, other, canvas, members), default=None)
        if best is not None and _may_share(shared, best, canvas, members):
            members = sorted(shared.pop(best) + members)
            canvas = _union(best, canvas)
        shared[canvas] = sorted(shared.get(canvas, []) + members)
    return shared


def rounded_up(size: Size, step: int, least: int = 0) -> Size:
    """The sides, rounded up to multiples of a step, and to `least` at least."""
    height, width = (max(least, -(-side // step) * step) for side in size)
    return height, width


def _may_share(shared: dict[Size, list[int]], one: Size, other: Size, members: list[int]) -> bool:
    larger = max(_area(one), _area(other))
    return (
        _area(_union(one, other)) <= LARGER * larger
        and _padding(shared, one, other, members) <= COMPILING
    )


def _padding(shared: dict[Size, list[int]], one: Size, other: Size, members: list[int]) -> int:
    """How many pixels are computed in vain if `one` and `other`, with `members`, are joined."""
    union = _area(_union(one, other))
    return len(shared[one]) * (union - _area(one)) + len(members) * (union - _area(other))


def _union(one: Size, other: Size) -> Size:
    return max(one[0], other[0]), max(one[1], other[1])


def _area(size: Size) -> int:
    return size[0] * size[1]
