"""Writing videos of a picture and its depth side by side, with the times of the footage."""

import contextlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from radepth_jax.data.films import Footage
from radepth_jax.errors import UserError
from radepth_jax.files import atomic_write
from radepth_jax.pictures import color_limits

MEMORY = 0.95  # share of the colour limits that each frame keeps: a second at 25 frames/s
_MPEG4_FINEST = Fraction(1, 60000)  # seconds, because that codec counts time in 16 bits


class RunningLimits:
    """A colour scale that is steady over time.

    The darkest and the brightest inverse depth are running averages of each frame's least and 95th
    percentile. The newest frame counts 5 %, and the first frame starts the averages.
    """

    def __init__(self) -> None:
        self._limits: np.ndarray | None = None

    def __call__(self, inverse_depth: np.ndarray) -> tuple[float, float]:
        """The limits for the next frame [H, W]."""
        own = np.array(color_limits(inverse_depth))
        if self._limits is None:
            self._limits = own
        self._limits = MEMORY * self._limits + (1 - MEMORY) * own
        return float(self._limits[0]), float(self._limits[1])


def side_by_side(image: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """The image above its colours, or left of them if it is higher than wide.

    Args:
        image: uint8 [H, W, 3].
        colours: uint8 [H, W, 3].

    Returns:
        uint8 [H', W', 3]. Odd sides get one more row or column, because the codec needs even ones.
    """
    both = np.concatenate([image, colours], axis=0 if image.shape[1] >= image.shape[0] else 1)
    odd = ((0, both.shape[0] % 2), (0, both.shape[1] % 2), (0, 0))
    return np.pad(both, odd, mode="edge") if both.shape[0] % 2 or both.shape[1] % 2 else both


class VideoWriter:
    """Writes an MP4: H.264 (or MPEG-4 where FFmpeg lacks it), yuv420p, BT.709."""

    def __init__(
        self,
        container: av.container.OutputContainer,
        footage: Footage,
        aspect: Fraction = Fraction(1),
    ) -> None:
        """`aspect` is a pixel's width over its height."""
        self._container = container
        self._footage = footage
        self.aspect = aspect
        self._stream: av.VideoStream | None = None
        self._last = -1
        self.frames = 0

    def add(self, picture: np.ndarray, time: Fraction) -> None:
        """Append uint8 [H, W, 3], of one size and even sides, shown at `time` in seconds.

        Raises:
            UserError: The encoder does not take pictures of this size.
        """
        stream = self._stream or self._open(picture.shape[:2])
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        # Damaged footage can repeat a time, but players need times that grow.
        self._last = max(round(time / stream.codec_context.time_base), self._last + 1)
        frame.pts, frame.time_base = self._last, stream.codec_context.time_base
        self._container.mux(stream.encode(frame))
        self.frames += 1

    def finish(self) -> None:
        """Write what the encoder still holds."""
        if self._stream is not None:
            self._container.mux(self._stream.encode())

    def _open(self, size: tuple[int, int]) -> av.VideoStream:
        codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
        stream = cast(av.VideoStream, self._container.add_stream(codec, rate=self._footage.rate))
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if self.aspect != 1:
            stream.codec_context.sample_aspect_ratio = self.aspect
        finest = self._footage.time_base
        stream.codec_context.time_base = max(finest, _MPEG4_FINEST) if codec == "mpeg4" else finest
        # Without B-frames, packets come in order of time, and the last one's duration is right
        # whatever the intervals are.
        stream.options = {"crf": "18", "preset": "veryfast", "bf": "0"}
        stream.codec_context.colorspace = Colorspace.ITU709
        stream.codec_context.color_primaries = ColorPrimaries.BT709
        stream.codec_context.color_trc = ColorTrc.BT709
        stream.codec_context.color_range = ColorRange.MPEG
        try:
            stream.codec_context.open()
        except av.FFmpegError as error:
            height, width = size
            raise UserError(
                f"the encoder {codec} cannot write a film of {width}x{height}, the picture beside "
                f"its depth ({error.strerror}); make it smaller first"
            ) from None
        self._stream = stream
        return stream


@contextlib.contextmanager
def writing_video(path: Path, footage: Footage) -> Iterator[VideoWriter]:
    """Yields a VideoWriter whose file becomes `path` if the block succeeds. It has no sound."""
    # Without `file:`, FFmpeg would take a colon in the name for the end of a protocol.
    with atomic_write(path) as part, av.open(f"file:{part}", "w", format="mp4") as container:
        film = VideoWriter(container, footage)
        yield film
        film.finish()
