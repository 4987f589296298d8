"""The views of a sample: the same frames at several scales, all of them the same canvas size."""

import flax.struct
from jaxtyping import Array, Bool, Float, Int


@flax.struct.dataclass
class View:
    """Frames resized to `size`, of which the canvas shows the part that starts at `offset`.

    A canvas pixel plus `offset` is a pixel of the resized frame. Where the canvas reaches beyond
    the resized frame (as of the low view), it repeats the frame's last columns and rows.

    Attributes:
      images: [F, H, W, 3] in [0, 1]; frame 0 is the target.
      intrinsics: [3, 3] in canvas pixels.
      size: [2] (h, w) the whole frame was resized to.
      offset: [2] (y, x) of the canvas's first pixel in the resized frame.
      flipped: [] whether the frames were mirrored; poses known from elsewhere (stereo) must then
        go through `geometry.se3.mirror`. None where frames are never mirrored.
    """

    images: Float[Array, "*batch F H W 3"]
    intrinsics: Float[Array, "*batch 3 3"]
    size: Int[Array, "*batch 2"]
    offset: Int[Array, "*batch 2"]
    flipped: Bool[Array, "*batch"] | None = None


@flax.struct.dataclass
class Views:
    """All views of a sample, along the first axis V of every array.

    A batch of samples (`vmap`) has its axes in front of V.

    Attributes:
      names: of the V views, in their order; static.
      images: [V, F, H, W, 3], see `View`.
      intrinsics: [V, 3, 3].
      size: [V, 2].
      offset: [V, 2].
      flipped: [], the same for all views.
      filled: whether any of the canvases may reach beyond its frame; static.
    """

    names: tuple[str, ...] = flax.struct.field(pytree_node=False)
    images: Float[Array, "*batch V F H W 3"]
    intrinsics: Float[Array, "*batch V 3 3"]
    size: Int[Array, "*batch V 2"]
    offset: Int[Array, "*batch V 2"]
    flipped: Bool[Array, "*batch"] | None = None
    filled: bool = flax.struct.field(pytree_node=False, default=True)

    def __getitem__(self, name: str) -> View:
        """One view by its name, of one sample or of a batch."""
        index = self.names.index(name)
        return View(
            images=self.images[..., index, :, :, :, :],
            intrinsics=self.intrinsics[..., index, :, :],
            size=self.size[..., index, :],
            offset=self.offset[..., index, :],
            flipped=self.flipped,
        )
