"""Intrinsics from other programs' files: COLMAP, nerfstudio and ROS."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from radepth_jax.data.text import read_lines, read_text
from radepth_jax.errors import UserError

# COLMAP's models: which parameters are fx, fy, cx, cy; the others bend the image.
_COLMAP = {
    "SIMPLE_PINHOLE": (0, 0, 1, 2),
    "PINHOLE": (0, 1, 2, 3),
    "SIMPLE_RADIAL": (0, 0, 1, 2),
    "RADIAL": (0, 0, 1, 2),
    "OPENCV": (0, 1, 2, 3),
    "FULL_OPENCV": (0, 1, 2, 3),
}
# COLMAP and nerfstudio put the image's corner at (0, 0); we put the first pixel's centre there.
_CORNER = 0.5
# Coefficients below this move no pixel by as much as itself.
_STRAIGHT = 1e-4
_SAME_SHAPE = 0.01
SUFFIXES = (".txt", ".json", ".yaml", ".yml")


class FileCamera(NamedTuple):
    """A camera as a file describes it.

    Attributes:
        K: [3, 3], integer coordinates are pixel centres.
        size: (h, w) of the images that it is of; None if the file does not say.
        distortion: the lens's coefficients.
    """

    K: np.ndarray
    size: tuple[int, int] | None
    distortion: Sequence[float]


def read_camera(path: Path, size: tuple[int, int]) -> np.ndarray:
    """The intrinsics [3, 3] that a file gives, for images of another size too.

    Args:
        path: COLMAP's `cameras.txt` of one camera, nerfstudio's (instant-ngp's)
            `transforms.json`, or ROS's `camera_info` in YAML.
        size: (h, w) of the images that the intrinsics are for.

    Raises:
        UserError: the file is none of these, its images have another shape, or its lens bends
            straight lines, which a pinhole camera does not.
    """
    try:
        camera = _read(path)
    except (
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
        ArithmeticError,
        yaml.YAMLError,
    ) as error:
        raise UserError(
            f"{path}: not a camera ({type(error).__name__}: {_first_line(error)}); expected "
            "COLMAP's cameras.txt, a transforms.json, or ROS's camera_info in YAML"
        ) from None
    bent = [value for value in camera.distortion if not abs(value) <= _STRAIGHT]
    if bent:
        raise UserError(
            f"{path}: its lens bends the image (coefficients "
            f"{', '.join(f'{value:g}' for value in camera.distortion)}); undistort the footage "
            "first, as with `colmap image_undistorter`, and give the new camera"
        )
    if camera.size is None:
        return camera.K
    (h, w), (own_h, own_w) = size, camera.size
    if abs(h * own_w / (w * own_h) - 1) > _SAME_SHAPE:
        raise UserError(f"{path}: a camera of {own_w}x{own_h} images, but these are {w}x{h}")
    scale = np.array([[w / own_w], [h / own_h], [1]])
    shift = np.array([[0, 0, (w / own_w - 1) / 2], [0, 0, (h / own_h - 1) / 2], [0, 0, 0]])
    return camera.K * scale + shift


def _read(path: Path) -> FileCamera:
    if path.suffix == ".txt":
        return _read_colmap(path)
    text = read_text(path)
    if path.suffix == ".json":
        return _read_transforms(json.loads(text))
    return _read_camera_info(next(yaml.safe_load_all(text), {}) or {})


def _read_colmap(path: Path) -> FileCamera:
    lines = read_lines(path, comments="#")
    if len(lines) != 1:
        raise UserError(f"{path}: {len(lines)} cameras; give a file with one")
    _, model, width, height, *words = lines[0].text.split()
    if model not in _COLMAP:
        raise UserError(
            f"{lines[0].where}: a {model} camera; expected one of {', '.join(_COLMAP)}: undistort "
            "the footage first, as with `colmap image_undistorter`"
        )
    values = [float(word) for word in words]
    fx, fy, cx, cy = (values[i] for i in _COLMAP[model])
    rest = values[max(_COLMAP[model]) + 1 :]
    return FileCamera(_matrix(fx, fy, cx - _CORNER, cy - _CORNER), _size(height, width), rest)


def _read_transforms(values: Mapping[str, Any]) -> FileCamera:
    width, height = values["w"], values["h"]
    if "fl_x" in values:
        fx = float(values["fl_x"])
    else:
        fx = float(width) / 2 / math.tan(float(values["camera_angle_x"]) / 2)
    fy = float(values.get("fl_y", fx))
    cx = float(values.get("cx", float(width) / 2)) - _CORNER
    cy = float(values.get("cy", float(height) / 2)) - _CORNER
    bends = [float(values.get(name, 0)) for name in ("k1", "k2", "k3", "k4", "p1", "p2")]
    return FileCamera(_matrix(fx, fy, cx, cy), _size(height, width), bends)


def _read_camera_info(values: Mapping[str, Any]) -> FileCamera:
    """Of `camera_calibration`'s file, or of the message itself."""
    if "camera_matrix" in values:
        matrix = values["camera_matrix"]["data"]
        bends = values.get("distortion_coefficients", {}).get("data", ())
        size = _size(values["image_height"], values["image_width"])
    else:
        matrix = values.get("K") or values["k"]
        bends = values.get("D") or values.get("d") or ()
        size = _size(values["height"], values["width"])
    K = np.array([float(value) for value in matrix]).reshape(3, 3)
    return FileCamera(K, size, [float(value) for value in bends])


def _matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _size(height: Any, width: Any) -> tuple[int, int]:
    size = int(height), int(width)
    if min(size) < 1:
        raise ValueError(f"images of {size[1]}x{size[0]}")
    return size


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0]
