"""Whether the camera stood between two frames, while others may have passed by."""

import numpy as np
from scipy import ndimage

# Pixels of a thumbnail of 64x36; an image of 640 pixels' width moves by ten times as much.
_LEAST_SHIFT = 0.03
_BLUR = 4.0  # what varies more widely than this is light, not structure
_STEEP = 3.0  # grey levels a pixel; below it, noise would look like motion
_FEWEST = 40  # steep pixels, without which nothing can be said


def stands(before: np.ndarray, now: np.ndarray) -> bool:
    """Whether most of the edges of two thumbnails lie where they lay.

    The shift of an edge across itself is the change of the grey level over the slope (Horn and
    Schunck, 1981). Whatever way a camera moves or turns, most edges shift. Where it stands, only
    those of things that pass do.

    Args:
        before: float64 [h, w] grey levels of 255.
        now: the same of another frame, which may be lighter or darker as a whole.
    """
    one, other = (
        grey - ndimage.gaussian_filter(grey, _BLUR, mode="nearest") for grey in (before, now)
    )
    down, right = np.gradient((one + other) / 2)
    slopes = np.hypot(down, right)
    steep = slopes > _STEEP
    if steep.sum() < _FEWEST:
        return False
    return bool(np.median(np.abs(other - one)[steep] / slopes[steep]) < _LEAST_SHIFT)
