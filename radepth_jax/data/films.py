"""Films: `prepare` and `predict` read whatever FFmpeg plays, with one reader."""

import collections
import contextlib
import functools
import re
import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.stream import Disposition

from radepth_jax.data.shown_frames import Item, on_its_side, progressive, upright
from radepth_jax.errors import UserError
from radepth_jax.names import shown

VIDEO_SUFFIXES = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".gif"),
    *(".mts", ".m2ts", ".wmv", ".flv", ".3gp", ".ogv", ".mxf", ".vob", ".insv"),
)
_NO_FILM = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
# A playlist or a description of a stream (SDP) would make FFmpeg open other files and addresses. No
# protocol has this name, so FFmpeg reads nothing but the file's own bytes.
NOTHING_ELSE = {"protocol_whitelist": "none"}
_LISTS = {
    rb"v=0\r?\n": "a description of a stream (SDP)",
    rb"#EXTM3U": "a playlist",
    rb"ffconcat version": "a list for FFmpeg's concat",
    rb"(?s)(<\?xml.*)?<MPD\b": "a DASH manifest",
}
_LONGEST_PAUSE = 10  # seconds; in formats whose clock may jump, a longer pause is a jump
_LARGEST_ASPECT = 5  # a header with a larger pixel aspect is taken to be damaged


@dataclass(frozen=True)
class Picture:
    """One frame of footage.

    Attributes:
        number: its number in the footage. It counts from 0, and unreadable frames count too.
        origin: what it is called in messages.
        decode: returns uint8 [h, w, 3], upright, or raises ValueError.
        file: the file that holds the encoded picture. None for a film's frame.
        time: when it is shown, in seconds after the first frame. None means unknown.
        aspect: the width of an upright picture's pixel over its height.
        follows: whether the frame before it in time is also the one before it in this sequence.
    """

    number: int
    origin: str
    decode: Callable[[], np.ndarray]
    file: Path | None = None
    time: Fraction | None = None
    aspect: Fraction = Fraction(1)
    follows: bool = True


@dataclass(frozen=True)
class Footage:
    """What a video file says of itself.

    Attributes:
        rate: frames per second, on average.
        time_base: the unit of its time stamps, in seconds.
        frames: how many frames it has. 0 means unknown.
    """

    rate: Fraction
    time_base: Fraction
    frames: int


def is_film(path: Path) -> bool:
    """Whether FFmpeg finds a film in a file's bytes. Pictures and text are not films."""
    try:
        with _opened(path) as (container, _):
            name = container.format.name
            return not (name.endswith("_pipe") or name in ("image2", "tty", "bin", "adf", "idf"))
    except UserError:
        return False


def list_of_others(path: Path) -> str:
    """What kind of list of other films or streams a file is. Empty if it is no such list."""
    try:
        with path.open("rb") as file:
            head = file.read(512).lstrip(b"\xef\xbb\xbf \t\r\n")
    except OSError:
        return ""
    return next((kind for start, kind in _LISTS.items() if re.match(start, head)), "")


def footage_of(path: Path) -> Footage:
    """Read a video's header.

    Raises:
        UserError: if it is no video.
    """
    with _opened(path) as (_, stream):
        rate = _rate(stream)
        return Footage(rate, stream.time_base or 1 / rate, stream.frames)


def read_film(path: Path, note: Callable[[str], None] = lambda text: None) -> Iterator[Picture]:
    """The frames of a video file, in order. A damaged frame raises ValueError when it is decoded.

    Args:
        path: of the file.
        note: called with one line for each property of the film that is changed on reading.

    Raises:
        UserError: if it is no video.
    """
    with _opened(path) as (container, stream):
        jumps = bool(container.format.flags & cast(int, av.format.Flags.ts_discont.value))
        clock = Clock(1 / _rate(stream), _LONGEST_PAUSE if jumps else None)
        for number, item in enumerate(progressive(_decoded(container, stream), note)):
            if isinstance(item, str) or item.is_corrupt:
                yield _unreadable(path, number, item if isinstance(item, str) else "damaged")
            else:
                yield Picture(
                    number,
                    f"{path} frame {number}",
                    functools.partial(upright, item),
                    time=clock(_time_of(item)),
                    aspect=_aspect(stream.sample_aspect_ratio, on_its_side(item)),
                )


def _decoded(container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[Item]:
    """The frames. Where one cannot be decoded, the reason stands in its place."""
    try:
        for packet in container.demux(stream):
            try:
                yield from packet.decode()
            except av.FFmpegError as error:
                yield error.strerror or str(error)
    except av.FFmpegError as error:  # the file ends too early
        yield error.strerror or str(error)


class Clock:
    """Turns time stamps into seconds after the first frame, each later than the one before.

    Where recordings were joined, the stamps start again or jump. The next frame then comes one
    frame interval after the last one.
    """

    def __init__(self, interval: Fraction, longest_pause: int | None = None) -> None:
        """`interval` is the time between frames in seconds that holds until some are known."""
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
    """The file and its stream of moving pictures. A file without one is a UserError."""
    with contextlib.ExitStack() as stack:
        try:
            # FFmpeg would interpret the name: a colon as a protocol's end, a % as a series of
            # pictures, and the ending as the format of the contents.
            file = _Nameless(stack.enter_context(path.open("rb")))
            container = stack.enter_context(av.open(file, "r", options=NOTHING_ELSE))
        except (av.FFmpegError, OSError, ValueError) as error:
            kind = list_of_others(path)
            if kind:
                raise UserError(
                    f"{shown(path)}: {kind}, which names other files or addresses and is not "
                    "followed; give those files or addresses themselves"
                ) from None
            reason = getattr(error, "strerror", None) or str(error)
            raise UserError(f"{shown(path)}: not a video that FFmpeg can read ({reason})") from None
        yield container, _choose(path, container)


class _Nameless:
    def __init__(self, file: BinaryIO) -> None:
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


def _aspect(stored: Fraction | None, turned: bool) -> Fraction:
    """An upright picture's pixel width over its height. An impossible stored value counts as 1."""
    if not stored or not 1 / _LARGEST_ASPECT <= stored <= _LARGEST_ASPECT:
        return Fraction(1)
    return 1 / Fraction(stored) if turned else Fraction(stored)


def _unreadable(path: Path, number: int, reason: str) -> Picture:
    def fail() -> Any:
        raise ValueError(reason)

    return Picture(number, f"{path} frame {number}", fail)
