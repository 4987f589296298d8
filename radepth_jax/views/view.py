"""One view of a sample: the same frames at some scale, all of them the same canvas size."""

import flax.struct
from jaxtyping import Array, Bool, Float, Int

NAMES = ("high", "middle", "low")


@flax.struct.dataclass
class View:
    """Frames resized to `size`, of which the canvas shows the part that starts at `offset`.

    A canvas pixel plus `offset` is a pixel of the resized frame. Where the canvas reaches beyond
    the resized frame (the low view), it repeats the frame's last columns and rows.

    Attributes:
      images: [F, H, W, 3] in [0, 1]; frame 0 is the target.
      intrinsics: [3, 3] in canvas pixels.
      size: [2] (h, w) the whole frame was resized to.
      offset: [2] (y, x) of the canvas's first pixel in the resized frame.
      flipped: [] whether the frames were mirrored; poses known from elsewhere (stereo) must then
        go through `geometry.se3.mirror`. None where frames are never mirrored.
    """

    images: Float[Array, "F H W 3"]
    intrinsics: Float[Array, "3 3"]
    size: Int[Array, "2"]
    offset: Int[Array, "2"]
    flipped: Bool[Array, ""] | None = None
