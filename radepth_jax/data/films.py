"""Films: one reader for `prepare` and `predict`, of whatever FFmpeg plays."""

import collections
import contextlib
import functools
import io
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
import PIL.Image
from av.stream import Disposition

from radepth_jax.errors import UserError
from radepth_jax.names import shown

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".gif"),
    *(".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".vob", ".insv"),
)
JPEG_QUALITY = 95
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
_LONGEST_PAUSE = 10  # seconds; in a format whose clock may jump, what is longer is a jump
_WILDEST_ASPECT = 5  # beyond it a header's pixel aspect is taken for damage


@dataclass(frozen=True)
class Picture:
    """One frame of footage.

    Attributes:
        number: counting from 0, unreadable ones included.
        origin: what it is called in messages.
        decode: gives uint8 [h, w, 3], upright, or raises ValueError.
        encode: gives the bytes to store.
        time: when it is shown, in seconds after the first; None where unknown.
        aspect: a pixel's width over its height, upright.
        follows: whether the picture before it in time is the one before it here.
    """

    number: int
    origin: str
    decode: Callable[[], np.ndarray]
    encode: Callable[[], bytes]
    time: Fraction | None = None
    aspect: Fraction = Fraction(1)
    follows: bool = True


@dataclass(frozen=True)
class Footage:
    """What a video file says of itself.

    Attributes:
        rate: frames a second, on average.
        time_base: the seconds that its time stamps count.
        frames: how many, 0 if unknown.
    """

    rate: Fraction
    time_base: Fraction
    frames: int


def is_film(path: Path) -> bool:
    """Whether FFmpeg finds a film in a file's bytes. A picture is none, nor text."""
    try:
        with _opened(path) as (container, _):
            name = container.format.name
            return not (name.endswith("_pipe") or name in ("image2", "tty", "bin", "adf", "idf"))
    except UserError:
        return False


def footage_of(path: Path) -> Footage:
    """Read a video's header.

    Raises:
        UserError: if it is no video.
    """
    with _opened(path) as (_, stream):
        rate = _rate(stream)
        return Footage(rate, stream.time_base or 1 / rate, stream.frames)


def read_film(path: Path) -> Iterator[Picture]:
    """The frames of a video file, in order; those that are damaged raise ValueError when decoded.

    Raises:
        UserError: if it is no video.
    """
    with _opened(path) as (container, stream):
        jumps = bool(container.format.flags & cast(int, av.format.Flags.ts_discont.value))
        clock = Clock(1 / _rate(stream), _LONGEST_PAUSE if jumps else None)
        number = 0
        try:
            for packet in container.demux(stream):
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
                            functools.partial(upright, frame),
                            functools.partial(_encode_frame, frame),
                            clock(_time_of(frame)),
                            _aspect(stream.sample_aspect_ratio, frame.rotation),
                        )
                    number += 1
        except av.FFmpegError as error:  # the file ends too early
            yield _unreadable(path, number, error)


class Clock:
    """Time stamps -> seconds after the first frame, each later than the one before.

    Where recordings were joined, the stamps start again or jump; the next frame then comes one
    frame interval after the last.
    """

    def __init__(self, interval: Fraction, longest_pause: int | None = None) -> None:
        """`interval`: seconds between frames until some are known."""
        self._intervals = collections.deque([interval], maxlen=9)
        self._longest_pause = longest_pause
        self._offset: Fraction | None = None
        self._last: Fraction | None = None

    def __call__(self, stamp: Fraction | None) -> Fraction:
        """The time of the next frame."""
        interval = statistics.median_low(self._intervals)
        if self._last is None:
            time = Fraction(0)
        elif stamp is None or self._offset is None:
            time = self._last + interval
        else:
            time = stamp + self._offset
            pause = time - self._last
            if pause <= 0 or (self._longest_pause is not None and pause > self._longest_pause):
                time = self._last + interval
            else:
                self._intervals.append(pause)
        if stamp is not None:
            self._offset = time - stamp
        self._last = time
        return time


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """The file and its stream of moving pictures. Raises UserError if it has none."""
    with contextlib.ExitStack() as stack:
        try:
            # FFmpeg would take a name's colon for a protocol, its % for a series of pictures, and
            # its ending for what is in it.
            file = _Nameless(stack.enter_context(path.open("rb")))
            container = stack.enter_context(av.open(file, "r"))
        except (av.FFmpegError, OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{shown(path)}: not a video that FFmpeg can read ({reason})") from None
        yield container, _choose(path, container)


class _Nameless:
    def __init__(self, file: io.BufferedIOBase) -> None:
        self.read, self.seek, self.tell, self.seekable = (
            *(file.read, file.seek, file.tell, file.seekable),
        )


def _choose(path: Path, container: av.container.InputContainer) -> av.VideoStream:
    films = [s for s in container.streams.video if not s.disposition & _NO_FILM]
    if not films:
        cover = ", only a still picture" if container.streams.video else ""
        raise UserError(f"{shown(path)}: no video stream in it{cover}")
    best: Any = container.streams.best("video")
    return best if best in films else max(films, key=lambda s: s.width * s.height)


def _rate(stream: av.VideoStream) -> Fraction:
    return Fraction(stream.average_rate or stream.guessed_rate or 25)


def _time_of(frame: av.VideoFrame) -> Fraction | None:
    if frame.pts is None or frame.time_base is None:
        return None
    return frame.pts * Fraction(frame.time_base)


def _aspect(stored: Fraction | None, rotation: int) -> Fraction:
    """A pixel's width over its height once the picture is upright; 1 where it makes no sense."""
    if not stored or not 1 / _WILDEST_ASPECT <= stored <= _WILDEST_ASPECT:
        return Fraction(1)
    return 1 / Fraction(stored) if round(rotation / 90) % 2 else Fraction(stored)


def _unreadable(path: Path, number: int, reason: Any) -> Picture:
    message = getattr(reason, "strerror", None) or str(reason)

    def fail() -> Any:
        raise ValueError(message)

    return Picture(number, f"{path} frame {number}", fail, fail)


def upright(frame: av.VideoFrame) -> np.ndarray:
    """uint8 [h, w, 3], turned as the file says (phones store portrait video on its side)."""
    image = frame.to_ndarray(format="rgb24")
    return np.rot90(image, round(frame.rotation / 90))  # both count anticlockwise


def _encode_frame(frame: av.VideoFrame) -> bytes:
    return encode_jpeg(upright(frame))


def encode_jpeg(image: np.ndarray) -> bytes:
    """uint8 [h, w, 3] as a JPEG file of quality 95."""
    data = io.BytesIO()
    PIL.Image.fromarray(image).save(data, "JPEG", quality=JPEG_QUALITY)
    return data.getvalue()
