"""Reads a camera as the user gives it, and checks whether it can be a camera."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np

from radepth_jax.data.camera_files import SUFFIXES, camera_matrix, read_camera
from radepth_jax.data.lens import Lens
from radepth_jax.errors import UserError

NARROWEST, WIDEST = 5.0, 170.0  # fields of view, degrees
_ONE_CORNER = 4  # pixels; in larger images, a centre near the corner is a normalised one
_SQUAREST = 3.0  # no camera's fx / fy is larger than this, or smaller than its inverse


def parse_intrinsics(
    text: str | None,
    fov: float | None,
    size: tuple[int, int],
    aspect: Fraction | float = 1.0,
) -> np.ndarray:
    """The intrinsics [3, 3] in pixels of a pinhole camera, given as for `parse_camera`.

    Raises:
        UserError: It is not a camera of this size, or its lens bends the image.
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
    """The intrinsics [3, 3] in pixels, and the lens.

    They come from `fx,fy,cx,cy`, from a camera's file, or from a field of view.

    Args:
        text: the four numbers, a file that `read_camera` reads, or None.
        fov: degrees. The image covers [-0.5, w - 0.5], so fx = (w / 2) / tan(fov / 2).
        size: (h, w).
        aspect: a pixel's width over its height. If fx is computed from `fov`, fy follows from it.

    Raises:
        UserError: It is not a camera of this size.
    """
    h, w = size
    if text is None:
        focal = focal_from_fov(check_fov(fov), w)
        return camera_matrix(focal, focal * float(aspect), (w - 1) / 2, (h - 1) / 2), Lens()
    lens = Lens()
    if text.lower().endswith(SUFFIXES):
        K, lens = read_camera(Path(text).expanduser(), size)
    else:
        try:
            K = camera_matrix(*map(float, text.split(",")))
        except (ValueError, TypeError):  # not numbers, or not four of them
            raise UserError(
                f"intrinsics {text!r}: expected four numbers 'fx,fy,cx,cy', or a file: COLMAP's "
                "cameras.txt, a transforms.json, or ROS's camera_info in YAML"
            ) from None
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
    """The field of view. A UserError if no camera can have it."""
    if fov is None or not NARROWEST <= fov <= WIDEST:
        raise UserError(
            f"fov {fov!r}: expected degrees between {NARROWEST:g} and {WIDEST:g}, horizontally; is "
            "this in radians, or a focal length in pixels?"
        )
    return fov


def check_intrinsics(K: np.ndarray, size: tuple[int, int]) -> None:
    """Raises a ValueError if no camera of that size can have such a matrix.

    Args:
        K: [3, 3], in pixels.
        size: (h, w) of the camera's images.
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
