"""A camera as the user gives it, and whether it can be one."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from radepth_jax.data.camera_files import SUFFIXES, read_camera
from radepth_jax.data.lens import Lens
from radepth_jax.errors import UserError

NARROWEST, WIDEST = 5.0, 170.0  # fields of view, degrees
_ONE_CORNER = 4  # pixels; in larger images, a centre within one pixel of the corner is normalised
_SQUAREST = 3.0  # fx / fy of stranger pixels than any camera's


def parse_intrinsics(
    text: str | None,
    fov: float | None,
    size: tuple[int, int],
    aspect: Fraction | float = 1.0,
) -> np.ndarray:
    """[3, 3] in pixels of a pinhole camera, given as of `parse_camera`.

    Raises:
        UserError: for anything that is not a camera of this size, or whose lens bends the image.
    """
    K, lens = parse_camera(text, fov, size, aspect)
    if lens.bends:
        raise UserError(
            f"{text}: its lens bends the image (coefficients "
            f"{', '.join(f'{value:g}' for value in lens.coefficients)}); straighten the pictures "
            "first, as `radepth prepare video` and `colmap image_undistorter` do, and give the new "
            "camera"
        )
    return K


def parse_camera(
    text: str | None,
    fov: float | None,
    size: tuple[int, int],
    aspect: Fraction | float = 1.0,
) -> tuple[np.ndarray, Lens]:
    """[3, 3] in pixels from `fx,fy,cx,cy`, a camera's file, or a field of view; and the lens.

    Args:
        text: the four numbers, or a file as of `read_camera`, or None.
        fov: degrees; the image covers [-0.5, w - 0.5], so fx = (w / 2) / tan(fov / 2).
        size: (h, w).
        aspect: a pixel's width over its height, which fy follows when fx is computed.

    Raises:
        UserError: for anything that is not a camera of this size.
    """
    h, w = size
    if text is None:
        focal = focal_from_fov(check_fov(fov), w)
        fy = focal * float(aspect)
        return np.array([[focal, 0, (w - 1) / 2], [0, fy, (h - 1) / 2], [0, 0, 1]]), Lens()
    lens = Lens()
    if text.lower().endswith(SUFFIXES):
        K, lens = read_camera(Path(text).expanduser(), size)
    else:
        try:
            fx, fy, cx, cy = (float(word) for word in text.split(","))
        except ValueError:
            raise UserError(
                f"intrinsics {text!r}: expected four numbers 'fx,fy,cx,cy', or a file: COLMAP's "
                "cameras.txt, a transforms.json, or ROS's camera_info in YAML"
            ) from None
        K = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    try:
        check_intrinsics(K, size)
    except ValueError as error:
        raise UserError(f"intrinsics {text!r}: {error}") from None
    return K, lens


def focal_from_fov(fov: float, side: float = 1.0) -> float:
    """The focal length, in the unit of an image's side, from the angle in degrees that it spans."""
    return side / 2 / math.tan(math.radians(fov) / 2)


def fov_from_focal(focal: float, side: float = 1.0) -> float:
    """The inverse of `focal_from_fov`."""
    return math.degrees(2 * math.atan(side / 2 / focal))


def check_fov(fov: float | None) -> float:
    """The field of view, or UserError unless it can be a camera's."""
    if fov is None or not NARROWEST <= fov <= WIDEST:
        raise UserError(
            f"fov {fov!r}: expected degrees between {NARROWEST:g} and {WIDEST:g}, horizontally; is "
            "this in radians, or a focal length in pixels?"
        )
    return fov


def check_intrinsics(K: np.ndarray, size: tuple[int, int]) -> None:
    """ValueError unless a matrix can be a camera's of that size.

    Args:
        K: [3, 3], in pixels.
        size: (h, w) of its images.
    """
    h, w = size
    fx, fy, cx, cy = K[0, 0], K[1, 1], K[0, 2], K[1, 2]
    pixels = f"are these pixels? (normalised values are to be multiplied by the size, {w}x{h})"
    if not (0 < fx < math.inf and 0 < fy < math.inf):
        raise ValueError(f"expected positive fx, fy; {pixels}")
    if not (-0.5 <= cx <= w - 0.5 and -0.5 <= cy <= h - 0.5):
        raise ValueError(f"expected cx, cy inside the footage's {w}x{h} pixels; {pixels}")
    if cx <= 1 and cy <= 1 and min(size) > _ONE_CORNER:
        raise ValueError(f"expected cx, cy near the middle of {w}x{h} pixels; {pixels}")
    fields = [fov_from_focal(f, side) for side, f in ((w, fx), (h, fy))]
    if max(fields) > WIDEST or max(fields) < NARROWEST or not 1 / _SQUAREST < fx / fy < _SQUAREST:
        raise ValueError(
            f"a field of view of {fields[0]:.3g} by {fields[1]:.3g} degrees, expected "
            f"{NARROWEST:g} to {WIDEST:g} and fx near fy; {pixels}"
        )
