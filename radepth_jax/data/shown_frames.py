"""Decoded frames as they are meant to be shown: whole, in standard range, upright."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorPrimaries, ColorTrc

_HDR = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}

Item = av.VideoFrame | str  # a frame, or the reason why it cannot be decoded


def upright(frame: av.VideoFrame) -> np.ndarray:
    """A frame as uint8 [h, w, 3], turned and mirrored as the file says, in standard range.

    FFmpeg's swscale turns high dynamic range (PQ, HLG) and the colours of BT.2020 into BT.709. The
    reference white of ITU-R BT.2408, 203 cd/m2, and everything brighter become white.

    Raises:
        ValueError: FFmpeg cannot convert it.
    """
    try:
        if frame.color_trc in _HDR or frame.color_primaries == ColorPrimaries.BT2020:
            frame_709 = frame.reformat(
                format="rgb24",
                dst_color_trc=ColorTrc.BT709,
                dst_color_primaries=ColorPrimaries.BT709,
            )
            image = frame_709.to_ndarray()
        else:
            image = frame.to_ndarray(format="rgb24")
    except av.FFmpegError as error:
        raise ValueError(error.strerror or str(error)) from None
    on_its_side, up, left = _turn(frame)
    image = image.transpose(1, 0, 2) if on_its_side else image
    return np.ascontiguousarray(image[:: -1 if up else 1, :: -1 if left else 1])


def on_its_side(frame: av.VideoFrame) -> bool:
    """Whether a frame's rows become columns when it is turned upright."""
    return _turn(frame)[0]


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether rows and columns are swapped, and then rows, and columns, reversed.

    The display matrix takes a stored pixel (x, y) to (a x + c y, b x + d y). The nearest of the
    eight ways to turn and mirror a picture is taken. A damaged matrix turns nothing.
    """
    found = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)  # PyAV's type stubs allow only names
    if found is None:
        return False, False, False
    values = np.frombuffer(bytes(found), "=i4").astype(np.int64)
    (a, b), (c, d) = values[0:2], values[3:5]
    if abs(a * d) >= abs(b * c):
        return False, bool(d < 0), bool(a < 0)
    return True, bool(b < 0), bool(c < 0)


def progressive(
    items: Iterator[Item], note: Callable[[str], None] = lambda text: None
) -> Iterator[Item]:
    """The same frames. Those whose lines show two moments are deinterlaced by FFmpeg's bwdif.

    Args:
        items: a film's frames in order. A frame that cannot be decoded is a reason instead.
        note: called with one line for each property of the film that is changed.
    """
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            note(text)

    deinterlacer: _Deinterlacer | None = None
    for item in items:
        frame = None if isinstance(item, str) or item.is_corrupt else item
        if deinterlacer is not None and (frame is None or not deinterlacer.takes(frame)):
            yield from deinterlacer.finish()
            deinterlacer = None
        if frame is None:
            yield item
            continue
        if frame.color_trc in _HDR:
            tell(f"high dynamic range ({_HDR[frame.color_trc]}), tone-mapped to standard range")
        if frame.interlaced_frame:
            tell("interlaced, so its frames are deinterlaced")
            deinterlacer = deinterlacer or _Deinterlacer(frame)
        if deinterlacer is None:
            yield frame
        else:
            yield from deinterlacer.push(frame)
    if deinterlacer is not None:
        yield from deinterlacer.finish()


class _Deinterlacer:
    """Gives each frame after the next one has come, because it looks at both neighbours."""

    def __init__(self, first: av.VideoFrame) -> None:
        self._kind = self._kind_of(first)
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=first.width,
            height=first.height,
            format=first.format,
            time_base=first.time_base,
        )
        # One frame for each input frame. Frames that are marked as progressive stay as they are.
        bwdif = self._graph.add("bwdif", "mode=send_frame:deint=interlaced")
        sink = self._graph.add("buffersink")
        source.link_to(bwdif)
        bwdif.link_to(sink)
        self._graph.configure()

    def takes(self, frame: av.VideoFrame) -> bool:
        return self._kind_of(frame) == self._kind

    def push(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        self._graph.vpush(frame)
        yield from self._ready()

    def finish(self) -> Iterator[av.VideoFrame]:
        self._graph.vpush(None)
        yield from self._ready()

    def _ready(self) -> Iterator[av.VideoFrame]:
        while True:
            try:
                yield self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return

    @staticmethod
    def _kind_of(frame: av.VideoFrame) -> tuple:
        return frame.width, frame.height, frame.format.name, frame.time_base
