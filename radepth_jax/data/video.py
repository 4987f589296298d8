"""Your own footage: a data set from a video file or from a folder of images."""

import dataclasses
import functools
import io
import math
import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.errors import UserError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
JPEG_QUALITY = 95
MIN_FRAMES = 3  # a target between two neighbours
_THUMBNAIL = (64, 36)  # (width, height); averages away noise, keeps motion


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """What to prepare. Exactly one of `intrinsics` and `fov` is given.

    Attributes:
        source: a video file, or a folder of images whose names sort in time (`2.png` before
            `10.png`).
        intrinsics: `fx,fy,cx,cy` in pixels of the footage; integer coordinates are pixel centres.
        fov: horizontal field of view in degrees; square pixels, principal point in the middle.
        stride: keep every n-th frame.
        min_change: a frame is skipped while its 64x36 grey version differs by less than this from
            that of the last frame kept (mean absolute difference, of 255); 0 keeps all.
        validation_share: of the kept frames, the part at the end that is held out.
    """

    source: str | Path | None = None
    intrinsics: str | None = None
    fov: float | None = None
    stride: int = 1
    min_change: float = 0.5
    validation_share: float = 0.1


class Video(FrameDatasetBuilder):
    """A video or a folder of images, one camera (0), without depth or poses.

    Frames of a video are stored as JPEG of quality 95, turned upright if the file says so; files of
    a folder are stored as they are. Frames that cannot be decoded, or are of another size than the
    first, are left out and listed in `problems.txt`; so is the number of near-static frames. The
    training and the held-out frames are two sequences, `train` and `validation`, so no neighbour
    crosses over; a gap of unreadable frames also parts neighbours.
    """

    CONFIG_CLASS = VideoConfig

    def prepared_from(self) -> dict[str, Any]:
        """The source and all options."""
        config = self.builder_config
        source = None if config.source is None else Path(config.source).expanduser().resolve()
        return {
            "source": str(source),
            "intrinsics": config.intrinsics,
            "fov": config.fov,
            "stride": config.stride,
            "min_change": config.min_change,
            "validation_share": config.validation_share,
        }

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Goes through the footage once to choose frames; it is read again to store them."""
        del dl_manager
        config = self.builder_config
        _check_options(config)
        source = Path(config.source).expanduser()
        if not source.exists():
            raise UserError(f"{source}: no such file or folder")
        problems: list[str] = []
        chosen, size = self._choose(source, problems)
        intrinsics = parse_intrinsics(config.intrinsics, config.fov, size)
        numbers = list(chosen.values())
        held_out = min(round(config.validation_share * len(numbers)), len(numbers) - MIN_FRAMES)
        first_held_out = numbers[-held_out] if held_out else numbers[-1] + 1

        def split_of(number: int) -> str:
            return "validation" if number >= first_held_out else "train"

        samples: dict[str, list[schema.Sample]] = {"train": [], "validation": []}
        for number in numbers:
            samples[split_of(number)].append(schema.Sample(split_of(number), 0, number))
        return schema.Contents(
            frames=(
                schema.Frame(
                    image=picture.encode(),
                    sequence=split_of(chosen[picture.number]),
                    camera=0,
                    frame=chosen[picture.number],
                    intrinsics=intrinsics,
                    origin=picture.origin,
                )
                for picture in read_footage(source)
                if picture.number in chosen
            ),
            samples=samples,
            total_frames=len(numbers),
            problems=problems,
        )

    def _choose(self, source: Path, problems: list[str]) -> tuple[dict[int, int], tuple[int, int]]:
        """Picks the frames to keep.

        Returns:
            Number in the source -> number in the data set, where consecutive means neighbours; and
            the (h, w) of all of them.
        """
        config = self.builder_config
        chosen: dict[int, int] = {}
        size: tuple[int, int] | None = None
        last = np.full(_THUMBNAIL[::-1], np.inf)
        number = static = 0
        for picture in read_footage(source):
            if picture.number % config.stride:
                continue
            try:
                image = picture.decode()
                if size not in (None, image.shape[:2]):
                    raise ValueError(f"{image.shape[1]}x{image.shape[0]}, unlike the first frame")
            except ValueError as error:
                problems.append(f"{picture.origin}: {error}; left out")
                number += 1  # what is before and what is after are no neighbours
                continue
            size = image.shape[:2]
            thumbnail = _thumbnail(image)
            if np.abs(thumbnail - last).mean() < config.min_change:
                static += 1
                continue
            chosen[picture.number] = number
            number += 1
            last = thumbnail
            self._progress("choosing", len(chosen), None)
        if size is None or len(chosen) < MIN_FRAMES:
            raise UserError(
                f"{source}: {len(chosen)} usable frames, at least {MIN_FRAMES} are needed"
                + (f"; {static} hardly change, a lower min_change keeps them" if static else "")
                + (f" ({len(problems)} problems, the first: {problems[0]})" if problems else "")
            )
        if static:
            problems.append(f"{source}: {static} near-static frames skipped")
        return chosen, size


def _check_options(config: VideoConfig) -> None:
    if config.source is None:
        raise UserError("video: --source is missing, a video file or a folder of images")
    if (config.intrinsics is None) == (config.fov is None):
        raise UserError(
            "video: give either the intrinsics 'fx,fy,cx,cy' in pixels or the horizontal field of "
            "view (fov) in degrees"
        )
    if isinstance(config.stride, bool) or not isinstance(config.stride, int) or config.stride < 1:
        raise UserError(f"video: stride {config.stride!r}: expected a whole number from 1")
    if not config.min_change >= 0:
        raise UserError(f"video: min_change {config.min_change!r}: expected a number from 0")
    if not 0 <= config.validation_share < 1:
        raise UserError(
            f"video: validation_share {config.validation_share!r}: expected 0 to less than 1"
        )


def parse_intrinsics(text: str | None, fov: float | None, size: tuple[int, int]) -> np.ndarray:
    """[3, 3] in pixels from `fx,fy,cx,cy`, or from a horizontal field of view.

    Args:
        text: the four numbers, or None.
        fov: degrees; the image covers [-0.5, w - 0.5], so fx = (w / 2) / tan(fov / 2).
        size: (h, w).

    Raises:
        UserError: for anything that is not a camera of this size.
    """
    h, w = size
    if text is None:
        if fov is None or not 0 < fov < 180:
            raise UserError(f"fov {fov!r}: expected degrees between 0 and 180")
        focal = w / 2 / math.tan(math.radians(fov) / 2)
        fx, fy, cx, cy = focal, focal, (w - 1) / 2, (h - 1) / 2
    else:
        try:
            fx, fy, cx, cy = (float(word) for word in text.split(","))
        except ValueError:
            raise UserError(f"intrinsics {text!r}: expected four numbers 'fx,fy,cx,cy'") from None
        if not (0 < fx < math.inf and 0 < fy < math.inf and 0 <= cx < w and 0 <= cy < h):
            raise UserError(
                f"intrinsics {text!r}: expected positive fx, fy and cx, cy inside the footage's "
                f"{w}x{h} pixels"
            )
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])


def _thumbnail(image: np.ndarray) -> np.ndarray:
    grey = PIL.Image.fromarray(image).convert("L").resize(_THUMBNAIL, PIL.Image.Resampling.BOX)
    return np.asarray(grey, np.float64)


@dataclasses.dataclass(frozen=True)
class Picture:
    """One frame of the source.

    Attributes:
        number: counting from 0, unreadable ones included.
        origin: what it is called in messages.
        decode: gives uint8 [h, w, 3], or raises ValueError.
        encode: gives the bytes to store.
        time: when it is shown, in seconds; None where unknown.
    """

    number: int
    origin: str
    decode: Callable[[], np.ndarray]
    encode: Callable[[], bytes]
    time: Fraction | None = None


def read_footage(source: Path) -> Iterator[Picture]:
    """The frames of a video file, or the images of a folder, in order.

    Raises:
        UserError: if it is neither.
    """
    return _read_folder(source) if source.is_dir() else _read_video(source)


def _read_folder(folder: Path) -> Iterator[Picture]:
    paths = [path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    if not paths:
        raise UserError(f"{folder}: no images in it; expected {', '.join(IMAGE_SUFFIXES)} files")
    paths.sort(key=lambda path: natural(path.name))
    for number, path in enumerate(paths):
        yield Picture(number, str(path), functools.partial(_decode_file, path), path.read_bytes)


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts `2.png` before `10.png`."""
    return [(int(n or -1), text) for n, text in re.findall(r"(\d*)(\D*)", name)]


def _decode_file(path: Path) -> np.ndarray:
    try:
        return schema.decode_image(path.read_bytes())
    except OSError as error:
        raise ValueError(error.strerror) from None


def _read_video(path: Path) -> Iterator[Picture]:
    try:
        container = av.open(str(path))
    except (av.FFmpegError, OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UserError(f"{path}: not a video that FFmpeg can read ({reason})") from None
    with container:
        if not container.streams.video:
            raise UserError(f"{path}: no video stream in it")
        number = 0
        try:
            for packet in container.demux(container.streams.video[0]):
                try:
                    frames = packet.decode()
                except av.FFmpegError as error:
                    yield _unreadable(path, number, error)
                    number += 1
                    continue
                for frame in frames:
                    if frame.is_corrupt:
                        yield _unreadable(path, number, "damaged")
                    else:
                        yield Picture(
                            number,
                            f"{path} frame {number}",
                            functools.partial(_upright, frame),
                            functools.partial(_encode_jpeg, frame),
                            _time_of(frame),
                        )
                    number += 1
        except av.FFmpegError as error:  # the file ends too early
            yield _unreadable(path, number, error)


def _time_of(frame: av.VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * Fraction(frame.time_base)


def _unreadable(path: Path, number: int, reason: Any) -> Picture:
    message = getattr(reason, "strerror", None) or str(reason)

    def fail() -> Any:
        raise ValueError(message)

    return Picture(number, f"{path} frame {number}", fail, fail)


def _upright(frame: av.VideoFrame) -> np.ndarray:
    """uint8 [h, w, 3], turned as the file says (phones store portrait video on its side)."""
    image = frame.to_ndarray(format="rgb24")
    return np.rot90(image, round(frame.rotation / 90))  # both count anticlockwise


def _encode_jpeg(frame: av.VideoFrame) -> bytes:
    data = io.BytesIO()
    PIL.Image.fromarray(_upright(frame)).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()
