"""Fades of a film to black or white and back, found by the contrast of its frames."""

from collections.abc import Mapping

import numpy as np

_BLANK = 0.1  # share of the film's usual contrast, below which a frame shows nothing
_GROWTH = 0.01, 0.5  # the same shares: a fade's contrast changes by so much in each frame
_LONGEST = 90  # frames


def find_fades(contrasts: Mapping[int, float]) -> set[int]:
    """The numbers of the frames that show nothing, and of those that fade to or from them.

    Brightness constancy, on which training rests, does not hold in them.

    Args:
        contrasts: of each frame's number, ascending, the standard deviation of its grey levels.
    """
    if not contrasts:
        return set()
    numbers = np.array(list(contrasts))
    values = np.array(list(contrasts.values()))
    usual = np.median(values)
    found = values < _BLANK * usual
    for order in (slice(None), slice(None, None, -1)):
        inside, n, contrast = found[order], numbers[order], values[order]
        length = 0  # of the fade so far
        for i in range(1, len(n)):
            length = 0 if inside[i] else length + 1
            goes_on = inside[i - 1] and abs(n[i] - n[i - 1]) == 1 and length <= _LONGEST
            growth = contrast[i] - contrast[i - 1]
            inside[i] |= goes_on and _GROWTH[0] * usual < growth < _GROWTH[1] * usual
    return set(numbers[found].tolist())
