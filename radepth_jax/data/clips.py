"""The clips of a data set, each with its camera, from options or from a file that lists them.

Such a file is in YAML or JSON:
    drive.mp4: {fov: 70}
    calibrated.mp4: {intrinsics: [578, 576, 335, 194], distortion: [-0.25, -0.03, 0, 0, 0.01]}
    pictures: {camera: pictures/cameras.txt}
    tall.mp4: {fov: 60, crop: [0, 100, 640, 360]}
    04.mp4: {fov: 80, poses: 04.txt}
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from radepth_jax.data.films import is_film
from radepth_jax.data.intrinsics import check_intrinsics, parse_camera
from radepth_jax.data.lens import Lens, brown, kannala_brandt
from radepth_jax.data.pictures import IMAGE_SUFFIXES, is_picture
from radepth_jax.data.text import read_text
from radepth_jax.errors import UserError, reason
from radepth_jax.names import counted, examples, shown, visible

CAMERAS = ("intrinsics", "fov", "camera")  # one of them says what the camera is
FIELDS = (*CAMERAS, "distortion", "fisheye", "crop", "poses")


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
        poses: the file of the camera's poses. None means unknown.
    """

    path: Path
    intrinsics: str | None
    fov: float | None
    lens: Lens | None = None
    crop: tuple[int, int, int, int] | None = None
    poses: Path | None = None

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
            `fisheye: true`. `crop` [x, y, width, height] keeps a part of the image. `poses` is a
            file as `text.read_poses` reads it, with a line for each of the clip's frames.

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
    poses = path.parent / str(entry["poses"]) if "poses" in entry else None
    return Clip(clip, intrinsics, fov, lens, crop and tuple(map(int, crop)), poses)  # type: ignore[arg-type]


def _numbers(entry: dict[str, Any], field: str, count: int | None) -> list[float] | None:
    """The numbers of a field, or None where it is left out."""
    if field not in entry:
        return None
    values = entry[field]
    if not isinstance(values, list) or (count is not None and len(values) != count):
        raise ValueError(f"{field}: expected a list of {count or 'numbers'}, got {values!r}")
    return [float(value) for value in values]


def crop_camera(
    clip: Clip, K: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The intrinsics of a clip's crop, and the rows and columns that it keeps.

    Args:
        clip: a clip with a crop.
        K: [3, 3] of the whole image, in pixels. NaN means unknown.
        size: the whole image's (h, w).

    Raises:
        UserError: the crop is not inside the image, or no camera can have its intrinsics.
    """
    assert clip.crop is not None
    x, y, width, height = clip.crop
    h, w = size
    if x < 0 or y < 0 or width < 1 or height < 1 or x + width > w or y + height > h:
        raise UserError(
            f"{shown(clip.path)}: crop {list(clip.crop)}: expected [x, y, width, height] inside "
            f"{w}x{h} pixels"
        )
    K = K.copy()
    K[:2, 2] -= x, y
    try:
        check_intrinsics(K, (height, width))
    except ValueError as error:
        raise UserError(f"{shown(clip.path)}: crop {list(clip.crop)}: {error}") from None
    return K, (slice(y, y + height), slice(x, x + width))


def list_clips(
    source: Any, intrinsics: Any, fov: Any, clips: str | Path | None, problems: list[str]
) -> list[Clip]:
    """The clips of a data set: those of a file that lists them, or those of the sources.

    Args:
        source: see `VideoConfig`.
        intrinsics: see `VideoConfig`.
        fov: see `VideoConfig`.
        clips: see `VideoConfig`.
        problems: see `find_clips`.

    Raises:
        UserError: a clip is not there, or the number of cameras is not that of the clips.
    """
    if clips is not None:
        return read_clip_list(Path(clips).expanduser())
    paths = find_clips([Path(one).expanduser() for one in listed(source)], problems)
    cameras = (_for_each(v, len(paths), n) for v, n in ((intrinsics, "intrinsics"), (fov, "fov")))
    return [Clip(path, K, angle) for path, K, angle in zip(paths, *cameras, strict=True)]


def listed(value: Any) -> list[Any]:
    """No value, one value or several values, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def find_clips(sources: list[Path], problems: list[str]) -> list[Path]:
    """The clips that sources stand for. A source that is not there is a UserError.

    Args:
        sources: films, folders of pictures, and folders that hold films or such folders.
        problems: gets a line about the files of a folder of clips that are passed over.
    """
    clips = []
    for source in sources:
        if not source.exists():
            raise UserError(f"{shown(source)}: no such file or folder")
        inside = visible(source) if source.is_dir() else []
        holds_pictures = any(path.suffix.lower() in IMAGE_SUFFIXES for path in inside) or any(
            path.is_file() and is_picture(path) for path in inside
        )
        found = [
            path
            for path in (() if holds_pictures else inside)
            if (path.is_dir() and any(is_picture(p) for p in visible(path) if p.is_file()))
            or (path.is_file() and is_film(path))
        ]
        clips += found or [source]
        others = [path.name for path in inside if path.is_file() and path not in found]
        if found and others:
            files = counted(len(others), "file")
            names = examples(others)
            problems.append(f"{source}: passed over {files} without a film: {names}")
    return clips


def name_clips(clips: Sequence[Clip]) -> list[str]:
    """What each clip is called. The only clip has an empty name."""
    if len(clips) == 1:
        return [""]
    names = [shown(clip.path.resolve().stem) for clip in clips]
    return [
        name if names.count(name) == 1 else f"{name}_{number}"
        for number, name in enumerate(names, 1)
    ]


def _for_each(given: Any, clips: int, option: str) -> list[Any]:
    values = listed(given) or [None]
    if len(values) not in (1, clips):
        raise UserError(
            f"video: {len(values)} values of {option} for {clips} clips; give one for all, or one "
            "for each in their order"
        )
    return values * clips if len(values) == 1 else values
