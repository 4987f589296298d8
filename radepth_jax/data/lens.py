"""Lenses that bend straight lines, and straightening their pictures (with the extra `lens`)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radepth_jax.errors import UserError

# Coefficients below this move no pixel by a whole pixel.
_STRAIGHT = 1e-4


@dataclass(frozen=True)
class Lens:
    """What a camera's file says of its lens.

    Attributes:
        coefficients: the first of OpenCV's k1, k2, p1, p2, k3, k4, k5, k6 (Brown, 1966, and the
            rational model). A fisheye's are k1 to k4 (Kannala and Brandt, TPAMI 2006).
        fisheye: whether the lens is a fisheye.
    """

    coefficients: tuple[float, ...] = ()
    fisheye: bool = False

    @property
    def bends(self) -> bool:
        """Whether the lens bends the image. A fisheye does even if its coefficients are zero."""
        return self.fisheye or any(not abs(value) <= _STRAIGHT for value in self.coefficients)


def brown(coefficients: Sequence[float]) -> Lens:
    """A lens from coefficients in OpenCV's order. Zeros are added up to a count that OpenCV takes.

    Raises:
        ValueError: a coefficient is not finite.
    """
    if not np.isfinite(np.asarray(coefficients, float)).all():
        raise ValueError(f"coefficients {', '.join(map(str, coefficients))} of the lens")
    length = next((n for n in (4, 5, 8) if n >= len(coefficients)), len(coefficients))
    return Lens((*map(float, coefficients), *(0.0,) * (length - len(coefficients))))


def kannala_brandt(coefficients: Sequence[float]) -> Lens:
    """A fisheye from k1 to k4. The last ones may be left out.

    Raises:
        ValueError: A coefficient is not finite, or there are more than four.
    """
    lens = brown(coefficients)
    if len(coefficients) > 4:
        raise ValueError(f"{len(coefficients)} coefficients of a fisheye, expected up to 4")
    return Lens(lens.coefficients, fisheye=True)


def straightener(
    K: np.ndarray, lens: Lens, size: tuple[int, int]
) -> tuple[Callable[[np.ndarray], np.ndarray], np.ndarray]:
    """A function that undoes a lens, and the pinhole camera of what it returns.

    The new camera sees only what the old one saw, so no border is empty. The size stays the same.

    Args:
        K: [3, 3] intrinsics of the bent pictures.
        lens: the lens of these pictures.
        size: (h, w).

    Returns:
        A function from uint8 [h, w, 3] to the same, which interpolates bilinearly, and the
        intrinsics [3, 3] of its result.

    Raises:
        UserError: OpenCV is missing, or does not know such a lens.
    """
    try:
        import cv2
    except ImportError:
        raise UserError(
            "the camera's lens bends the image, and straightening it needs OpenCV: pip install "
            "'radepth-jax[lens]'"
        ) from None
    wide = (size[1], size[0])
    D = np.array(lens.coefficients)
    try:
        if lens.fisheye:
            new = cv2.fisheye.estimateNewCameraMatrixForUndistortRectify(
                K, D, wide, np.eye(3), balance=0.0
            )
            maps = cv2.fisheye.initUndistortRectifyMap(K, D, np.eye(3), new, wide, cv2.CV_32FC1)
        else:
            new, _ = cv2.getOptimalNewCameraMatrix(K, D, wide, 0)
            maps = cv2.initUndistortRectifyMap(K, D, np.eye(3), new, wide, cv2.CV_32FC1)
    except cv2.error as error:
        raise UserError(
            f"a lens with coefficients {', '.join(f'{c:g}' for c in lens.coefficients)} cannot be "
            f"straightened ({error.err})"
        ) from None

    def straighten(image: np.ndarray) -> np.ndarray:
        return cv2.remap(np.ascontiguousarray(image), *maps, interpolation=cv2.INTER_LINEAR)

    return straighten, np.asarray(new, np.float64)
