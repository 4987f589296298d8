"""Intrinsics from other programs' files: COLMAP, nerfstudio and ROS."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from radepth_jax.data.lens import Lens, brown, kannala_brandt
from radepth_jax.data.text import read_json, read_lines, read_text
from radepth_jax.errors import UserError, reason

# COLMAP's models: which parameters are fx, fy, cx, cy, and how many more bend the image, in
# OpenCV's order. A fisheye's missing parameters are zero.
_COLMAP = {
    "SIMPLE_PINHOLE": ((0, 0, 1, 2), 0),
    "PINHOLE": ((0, 1, 2, 3), 0),
    "SIMPLE_RADIAL": ((0, 0, 1, 2), 1),
    "RADIAL": ((0, 0, 1, 2), 2),
    "OPENCV": ((0, 1, 2, 3), 4),
    "FULL_OPENCV": ((0, 1, 2, 3), 8),
    "SIMPLE_RADIAL_FISHEYE": ((0, 0, 1, 2), 1),
    "RADIAL_FISHEYE": ((0, 0, 1, 2), 2),
    "OPENCV_FISHEYE": ((0, 1, 2, 3), 4),
}
# COLMAP and nerfstudio put the image's corner at (0, 0). We put the first pixel's centre there.
_CORNER = 0.5
_SAME_SHAPE = 0.01
SUFFIXES = (".txt", ".json", ".yaml", ".yml")


class FileCamera(NamedTuple):
    """A camera as a file describes it.

    Attributes:
        K: [3, 3]. Integer coordinates are pixel centres.
        size: (h, w) of the camera's images. None if the file does not say.
        lens: how the lens bends the image.
    """

    K: np.ndarray
    size: tuple[int, int] | None
    lens: Lens


def read_camera(path: Path, size: tuple[int, int]) -> tuple[np.ndarray, Lens]:
    """The intrinsics [3, 3] from a file, scaled to the size of the images, and the lens.

    Args:
        path: COLMAP's `cameras.txt` of one camera, nerfstudio's (instant-ngp's)
            `transforms.json`, or ROS's `camera_info` in YAML.
        size: (h, w) of the images that the intrinsics are for.

    Raises:
        UserError: The file is none of these, or its images have another shape.
    """
    try:
        camera = _read(path)
    except (
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
        ArithmeticError,
        RecursionError,  # raised by YAML that is nested deeply
        yaml.YAMLError,
    ) as error:
        raise UserError(
            f"{path}: not a camera ({type(error).__name__}: {reason(error)}); expected "
            "COLMAP's cameras.txt, a transforms.json, or ROS's camera_info in YAML"
        ) from None
    if camera.size is None:
        return camera.K, camera.lens
    (h, w), (own_h, own_w) = size, camera.size
    if abs(h * own_w / (w * own_h) - 1) > _SAME_SHAPE:
        raise UserError(f"{path}: a camera of {own_w}x{own_h} images, but these are {w}x{h}")
    scale = np.array([[w / own_w], [h / own_h], [1]])
    shift = np.array([[0, 0, (w / own_w - 1) / 2], [0, 0, (h / own_h - 1) / 2], [0, 0, 0]])
    return camera.K * scale + shift, camera.lens


def _read(path: Path) -> FileCamera:
    if path.suffix == ".txt":
        return _read_colmap(path)
    if path.suffix == ".json":
        return _read_transforms(read_json(path, "a camera's transforms.json"))
    return _read_camera_info(next(yaml.safe_load_all(read_text(path)), {}) or {})


def _read_colmap(path: Path) -> FileCamera:
    lines = read_lines(path, comments="#")
    if len(lines) != 1:
        raise UserError(f"{path}: {len(lines)} cameras; give a file with one")
    _, model, width, height, *words = lines[0].text.split()
    if model not in _COLMAP:
        raise UserError(
            f"{lines[0].where}: a {model} camera; expected one of {', '.join(_COLMAP)}; straighten "
            "the footage first, as with `colmap image_undistorter`"
        )
    values = [float(word) for word in words]
    places, bends = _COLMAP[model]
    fx, fy, cx, cy = (values[i] for i in places)
    rest = values[max(places) + 1 :]
    if len(rest) != bends:
        raise UserError(
            f"{lines[0].where}: {len(values)} parameters; a {model} has {max(places) + 1 + bends}"
        )
    lens = kannala_brandt(rest) if model.endswith("FISHEYE") else brown(rest)
    return FileCamera(camera_matrix(fx, fy, cx - _CORNER, cy - _CORNER), _size(height, width), lens)


def _read_transforms(values: Mapping[str, Any]) -> FileCamera:
    width, height = values["w"], values["h"]
    if "fl_x" in values:
        fx = float(values["fl_x"])
    else:
        fx = float(width) / 2 / math.tan(float(values["camera_angle_x"]) / 2)
    fy = float(values.get("fl_y", fx))
    cx = float(values.get("cx", float(width) / 2)) - _CORNER
    cy = float(values.get("cy", float(height) / 2)) - _CORNER
    k1, k2, k3, k4, p1, p2 = (
        float(values.get(name, 0)) for name in ("k1", "k2", "k3", "k4", "p1", "p2")
    )
    if "FISHEYE" in str(values.get("camera_model", "")) or values.get("is_fisheye"):
        lens = kannala_brandt([k1, k2, k3, k4])
    elif k4:
        raise ValueError("k4 of a lens that is no fisheye")
    else:
        lens = brown([k1, k2, p1, p2, k3])
    return FileCamera(camera_matrix(fx, fy, cx, cy), _size(height, width), lens)


def _read_camera_info(values: Mapping[str, Any]) -> FileCamera:
    """Reads the file of ROS's `camera_calibration`, or the message itself."""
    if "camera_matrix" in values:
        matrix = values["camera_matrix"]["data"]
        bends = values.get("distortion_coefficients", {}).get("data", ())
        size = _size(values["image_height"], values["image_width"])
    else:
        matrix = values.get("K") or values["k"]
        bends = values.get("D") or values.get("d") or ()
        size = _size(values["height"], values["width"])
    K = np.array([float(value) for value in matrix]).reshape(3, 3)
    bends = [float(value) for value in bends]
    fisheye = values.get("distortion_model") in ("equidistant", "fisheye")
    return FileCamera(K, size, kannala_brandt(bends) if fisheye else brown(bends))


def camera_matrix(fx: float, fy: float, cx: float, cy: float) -> np.ndarray:
    """The intrinsics [3, 3] of focal lengths and a principal point, in pixels."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _size(height: Any, width: Any) -> tuple[int, int]:
    size = int(height), int(width)
    if min(size) < 1:
        raise ValueError(f"images of {size[1]}x{size[0]}")
    return size
