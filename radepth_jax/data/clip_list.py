"""A file that names clips and gives each of them its camera, in YAML or JSON.

Such as:
    drive.mp4: {fov: 70}
    calibrated.mp4: {intrinsics: [578, 576, 335, 194], distortion: [-0.25, -0.03, 0, 0, 0.01]}
    pictures: {camera: pictures/cameras.txt}
    tall.mp4: {fov: 60, crop: [0, 100, 640, 360]}
"""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from radepth_jax.data.intrinsics import check_intrinsics, parse_camera
from radepth_jax.data.lens import Lens, brown, kannala_brandt
from radepth_jax.data.text import read_text
from radepth_jax.errors import UserError, reason
from radepth_jax.names import shown

CAMERAS = ("intrinsics", "fov", "camera")  # one of them says what the camera is
FIELDS = (*CAMERAS, "distortion", "fisheye", "crop")


@dataclasses.dataclass(frozen=True)
class Clip:
    """A clip of the list.

    Attributes:
        path: a film, or a folder of pictures.
        intrinsics: `fx,fy,cx,cy` in pixels of the clip, or the path of a camera's file. None if the
            field of view is given.
        fov: the horizontal field of view in degrees.
        lens: what the list says of the lens. None if it says nothing.
        crop: (x, y, width, height) in pixels of the clip. None is the whole image.
    """

    path: Path
    intrinsics: str | None
    fov: float | None
    lens: Lens | None
    crop: tuple[int, int, int, int] | None

    def camera(self, size: tuple[int, int], aspect: Any) -> tuple[np.ndarray, Lens]:
        """The intrinsics [3, 3] and the lens of the uncropped clip, whose size is (h, w)."""
        K, lens = parse_camera(self.intrinsics, self.fov, size, aspect)
        return K, self.lens or lens


def read_clip_list(path: Path) -> list[Clip]:
    """The clips that a file names, in its order.

    Args:
        path: a mapping from each clip's path, which is relative to this file, to its camera:
            `intrinsics` [fx, fy, cx, cy] in pixels, `fov` in degrees, or `camera`, a camera's file.
            `distortion` has OpenCV's k1, k2, p1, p2, k3, ..., or k1 to k4 of a fisheye with
            `fisheye: true`. `crop` [x, y, width, height] keeps a part of the image.

    Raises:
        UserError: the file is not such a list, or a clip is not there.
    """
    try:
        entries = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise UserError(f"{shown(path)}: not a list of clips ({reason(error)})") from None
    if not isinstance(entries, dict) or not entries:
        raise UserError(
            f"{shown(path)}: not a list of clips; expected lines such as 'drive.mp4: {{fov: 70}}'"
        )
    return [_read_clip(path, str(name), entry) for name, entry in entries.items()]


def _read_clip(path: Path, name: str, entry: Any) -> Clip:
    def fail(what: str) -> UserError:
        return UserError(f"{shown(path)}: {shown(name)}: {what}")

    if not isinstance(entry, dict) or set(entry) - set(FIELDS):
        raise fail(f"expected some of {', '.join(FIELDS)}, got {shown(str(entry))}")
    if len(set(entry) & set(CAMERAS)) != 1:
        raise fail(f"expected one of {', '.join(CAMERAS)}, got {', '.join(entry) or 'none'}")
    clip = path.parent / Path(name).expanduser()
    if not clip.exists():
        raise fail("no such file or folder beside this list")
    try:
        numbers = _numbers(entry, "intrinsics", 4)
        intrinsics = None if numbers is None else ",".join(map(str, numbers))
        if "camera" in entry:
            intrinsics = str(path.parent / str(entry["camera"]))
        fov = None if "fov" not in entry else float(entry["fov"])
        distortion = _numbers(entry, "distortion", None)
        lens = None
        if distortion is not None:
            lens = (kannala_brandt if entry.get("fisheye") else brown)(distortion)
        crop = _numbers(entry, "crop", 4)
    except (ValueError, TypeError) as error:
        raise fail(reason(error)) from None
    return Clip(clip, intrinsics, fov, lens, crop and tuple(map(int, crop)))  # type: ignore[arg-type]


def _numbers(entry: dict[str, Any], field: str, count: int | None) -> list[float] | None:
    """The numbers of a field, or None where it is left out."""
    if field not in entry:
        return None
    values = entry[field]
    if not isinstance(values, list) or (count is not None and len(values) != count):
        raise ValueError(f"{field}: expected a list of {count or 'numbers'}, got {values!r}")
    return [float(value) for value in values]


def cropped(
    K: np.ndarray, size: tuple[int, int], crop: tuple[int, int, int, int]
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The intrinsics of a crop, and the rows and columns that it keeps.

    Args:
        K: [3, 3] of the whole image, in pixels.
        size: its (h, w).
        crop: (x, y, width, height).

    Raises:
        ValueError: the crop is not inside the image, or no camera can have its intrinsics.
    """
    x, y, width, height = crop
    h, w = size
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > w or y + height > h:
        raise ValueError(f"crop {list(crop)}: expected [x, y, width, height] inside {w}x{h} pixels")
    K = K.copy()
    K[0, 2] -= x
    K[1, 2] -= y
    check_intrinsics(K, (height, width))
    return K, (slice(y, y + height), slice(x, x + width))
