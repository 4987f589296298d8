"""Decoded frames as they are meant to be shown: whole, in standard range, upright."""

from collections.abc import Callable, Iterator
from typing import Any, cast

import av
import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import ColorPrimaries, ColorTrc

_HDR = {int(ColorTrc.SMPTE2084): "PQ", int(ColorTrc.ARIB_STD_B67): "HLG"}

Item = av.VideoFrame | str  # a frame, or why there is none


def upright(frame: av.VideoFrame) -> np.ndarray:
    """A frame as uint8 [h, w, 3], turned and mirrored as the file says, in standard range.

    High dynamic range (PQ, HLG) and the colours of BT.2020 become BT.709, by FFmpeg's swscale: 203
    cd/m2, the reference white of ITU-R BT.2408, is white, and what is brighter is white, too.

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
    """Whether its rows become columns when it is turned upright."""
    return _turn(frame)[0]


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool]:
    """Whether rows and columns are swapped, and then rows, and columns, reversed.

    The display matrix takes a stored pixel (x, y) to (a x + c y, b x + d y). It says the nearest of
    the eight ways to turn and mirror a picture, and a damaged one says nothing.
    """
    found = cast(Any, frame.side_data).get(Type.DISPLAYMATRIX)  # its stubs know names alone
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
    """The same frames, those whose lines are of two moments deinterlaced (by FFmpeg's bwdif).

    Args:
        items: a film's frames in order; what cannot be decoded is a reason in its place.
        note: called with a line about the film, once for each thing that is not taken as it is.
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
    """Gives each frame after the next one has come, for it looks at both neighbours."""

    def __init__(self, first: av.VideoFrame) -> None:
        self._kind = self._kind_of(first)
        self._graph = av.filter.Graph()
        source = self._graph.add_buffer(
            width=first.width,
            height=first.height,
            format=first.format,
            time_base=first.time_base,
        )
        # One frame for each; those that say that they are progressive stay as they are.
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
