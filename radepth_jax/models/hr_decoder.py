"""The HR decoder of RA-Depth: it mirrors HRNet, from all branches down to one disparity map.

He et al., RA-Depth, ECCV 2022, section 3.3 (Dual HRNet).
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import ConvElu, disparity_head, upsample_nearest


class HRDecoder(nn.Module):
    """Disparity from HRNet's features, whatever their number and channels.

    Attributes:
        head: channels of the last two blocks, at 1/2 and at full size.
        initial_disparity: see `disparity_head`.
        dtype: compute type; parameters and the disparity are float32.
        portable: see `Conv`.
    """

    head: tuple[int, ...] = (32, 16)
    initial_disparity: float | None = None
    dtype: Any = jnp.float32
    portable: bool = False

    @nn.compact
    def __call__(self, features: list[Float[Array, "N h w c"]]) -> tuple[Float[Array, "N H W 1"]]:
        """One disparity in (0, 1) from features at 1/2, 1/4, ... of its size, finest first."""
        stem, *xs = features
        level = 0
        while len(xs) > 1:
            xs = [
                self._block(x.shape[-1], name=f"level{level}_branch{i}")(x)
                for i, x in enumerate(xs)
            ]
            xs = [self._receive(xs, i, level) for i in range(len(xs) - 1)]
            level += 1

        stem = self._block(stem.shape[-1], name="stem")(stem)
        x = self._block(xs[0].shape[-1], name="last_branch")(xs[0])
        # A 1x1 block treats pixels alike, so it may run before the pixels are repeated.
        x = self._block(stem.shape[-1], 1, name="stem_from0")(x)
        x = stem + upsample_nearest(x, 2)
        x = self._block(self.head[0], name="head1")(x)
        x = self._block(self.head[1], name="head2")(upsample_nearest(x, 2))
        disparity = disparity_head(
            x,
            initial=self.initial_disparity,
            dtype=self.dtype,
            name="disparity",
            portable=self.portable,
        )
        return (disparity,)

    def _block(self, features: int, kernel: int = 3, *, name: str) -> ConvElu:
        return ConvElu(features, kernel, portable=self.portable, dtype=self.dtype, name=name)

    def _receive(
        self, xs: list[Float[Array, "N h w c"]], i: int, level: int
    ) -> Float[Array, "N h w c"]:
        """Branch i plus what every coarser branch sends it."""
        total = xs[i]
        for j in range(i + 1, len(xs)):
            name = f"level{level}_fuse{i}_from{j}"
            sent = self._block(xs[i].shape[-1], 1, name=name)(xs[j])
            total = total + upsample_nearest(sent, 2 ** (j - i))
        return total
