"""Depth of a stream while it comes: a webcam, a camera on the network, or a pipe.

    ffmpeg ... -f mpegts - | radepth predict -
    radepth predict rtsp://camera/stream
    radepth predict /dev/video0

One thread decodes, and the main thread predicts. Only the newest frame of a camera waits, so the
depth never falls behind. A pipe is made to wait instead, so none of its frames is lost.
"""

import contextlib
import io
import queue
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np

from radepth_jax.data.films import NOTHING_ELSE, Clock, Footage
from radepth_jax.data.shown_frames import progressive, upright
from radepth_jax.errors import UserError, writing_to
from radepth_jax.names import shown
from radepth_jax.pictures import colorize
from radepth_jax.predict.predictor import Predictor
from radepth_jax.predict.request import Request
from radepth_jax.predict.steadying import make_steady
from radepth_jax.predict.video_writer import RunningLimits, side_by_side, writing_video

PIPE = "-"
_DEVICE = "/dev/video"
_TIME_BASE = Fraction(1, 90_000)  # seconds, MPEG's unit of time
# Seconds without a frame after which a stream is taken to be over, and before the first one.
PATIENCE = 20.0


@dataclass
class StreamSummary:
    """What was done.

    Attributes:
        frames: how many frames were predicted and written.
        dropped: how many frames were skipped because an earlier one was being predicted.
        latencies: seconds from a decoded frame to its depth in the film, for each frame but the
            first, which waits for the compiler.
        failure: why the stream broke off. Empty if it came to its end.
        flicker: (before, after) of its frames, if they were steadied.
    """

    frames: int = 0
    dropped: int = 0
    latencies: list[float] = field(default_factory=list)
    failure: str = ""
    flicker: list[tuple[float, float]] = field(default_factory=list)

    def line(self) -> str:
        """A line about the latencies."""
        if not self.latencies:
            return ""
        middle, slow = (1000 * np.percentile(self.latencies, q) for q in (50, 95))
        return f"median latency {middle:.0f} ms, {slow:.0f} ms at the 95th percentile"


def is_stream(given: str) -> bool:
    """Whether an argument is a stream's address, a webcam or `-` instead of a file."""
    return (
        given == PIPE or given.startswith(_DEVICE) or bool(re.match(r"[a-z][a-z0-9+]+://", given))
    )


def predict_stream(
    predictor: Predictor,
    source: str,
    request: Request,
    *,
    progress: Callable[[StreamSummary], None] = lambda summary: None,
    most: int | None = None,
) -> StreamSummary:
    """Predict a stream until it ends or is interrupted. A film shows the picture and its depth.

    Args:
        predictor: from `load`.
        source: an address that FFmpeg opens, a device such as /dev/video0, or "-".
        request: where to write, and in which colours.
        progress: called after every frame.
        most: the number of frames after which it ends. None sets no limit.

    Raises:
        UserError: The stream cannot be opened, or no frame came.
    """
    stopped = threading.Event()
    frames: queue.Queue[Any] = queue.Queue(maxsize=1)
    summary = StreamSummary()
    reader = threading.Thread(
        target=_read, args=(source, frames, stopped, summary), daemon=True, name="stream"
    )
    reader.start()
    target = request.output / f"{stream_name(source)}_depth.mp4"
    with writing_to(request.output):
        request.output.mkdir(parents=True, exist_ok=True)
        try:
            first = _next(frames)
            if isinstance(first, str) or first is None:
                raise UserError(f"{shown(source)}: {first or 'no frame came'}")
            steady = None
            if request.steady:
                steady = make_steady(predictor, request, first[0].shape[:2])
                summary.flicker = steady.flicker
            footage = Footage(Fraction(25), _TIME_BASE, 0)
            # Ctrl-C is caught inside the film's block, so that it leaves a whole film.
            with writing_video(target, footage) as film, contextlib.suppress(KeyboardInterrupt):
                limits_of = RunningLimits()
                clock = Clock(Fraction(1, 25))
                for image, stamp, arrival in _all(first, frames, summary):
                    depth = predictor(image)
                    if steady is not None:
                        depth = steady(image, depth)
                    inverse = 1 / depth
                    colours = colorize(inverse, limits=limits_of(inverse), colors=request.colors)
                    film.add(side_by_side(image, colours), clock(stamp))
                    if summary.frames:
                        summary.latencies.append(time.monotonic() - arrival)
                    summary.frames += 1
                    progress(summary)
                    if summary.frames == most:
                        break
        finally:
            stopped.set()
    return summary


def stream_name(source: str) -> str:
    """The name of the stream's film, without `_depth.mp4`."""
    if source == PIPE:
        return "pipe"
    words = re.split(r"[^\w.-]+", re.sub(r"^[a-z][a-z0-9+]+://([^/@]*@)?", "", source))
    return "_".join(word for word in words if word.strip("."))[:100] or "stream"


def _all(first: Any, frames: queue.Queue, summary: StreamSummary) -> Iterator[Any]:
    """The stream's frames, until it ends or their size changes."""
    size, item = first[0].shape[:2], first
    while item is not None:
        if isinstance(item, str):
            summary.failure = item
            return
        if item[0].shape[:2] != size:
            summary.failure = f"the picture's size changed from {size} to {item[0].shape[:2]}"
            return
        yield item
        item = _next(frames)


def _next(frames: queue.Queue) -> Any:
    try:
        return frames.get(timeout=PATIENCE)
    except queue.Empty:
        return f"no frame for {PATIENCE:.0f} seconds"


def _read(
    source: str, frames: queue.Queue, stopped: threading.Event, summary: StreamSummary
) -> None:
    """Put (picture, time stamp, arrival), and at the end None or the reason for the end."""
    wait = source == PIPE

    def put(item: Any, last: bool = False) -> None:
        while not stopped.is_set():
            try:
                frames.put(item, timeout=0.1) if wait or last else frames.put_nowait(item)
                return
            except queue.Full:
                if wait or last:
                    continue
                with contextlib.suppress(queue.Empty):
                    frames.get_nowait()
                    summary.dropped += 1

    try:
        with _opened(source) as container:
            for frame in progressive(container.decode(video=0)):
                if stopped.is_set():
                    return
                if isinstance(frame, str) or frame.is_corrupt:
                    continue
                base = frame.time_base
                stamp = None if frame.pts is None or base is None else frame.pts * Fraction(base)
                put((upright(frame), stamp, time.monotonic()))
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        put(f"not a stream that FFmpeg can read ({reason})", last=True)
    else:
        put(None, last=True)


def _opened(source: str) -> Any:
    if source == PIPE:
        return av.open(_Pipe(), "r", options=NOTHING_ELSE)
    kind = "v4l2" if source.startswith(_DEVICE) else None
    return av.open(source, "r", format=kind, timeout=(PATIENCE, PATIENCE))


class _Pipe:
    """Standard input as a file for FFmpeg, which cannot be rewound."""

    def read(self, size: int) -> bytes:
        """Up to `size` of the bytes that have arrived."""
        return cast(io.BufferedReader, sys.stdin.buffer).read1(size)
