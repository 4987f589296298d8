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
    """

    head: tuple[int, ...] = (32, 16)
    initial_disparity: float | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: list[Float[Array, "N h w c"]]) -> tuple[Float[Array, "N H W 1"]]:
        """One disparity in (0, 1) from features at 1/2, 1/4, ... of its size, finest first."""
        stem, *xs = features
        level = 0
        while len(xs) > 1:
            xs = [self._block(x, f"level{level}_branch{i}") for i, x in enumerate(xs)]
            xs = [self._receive(xs, i, level) for i in range(len(xs) - 1)]
            level += 1

        stem = self._block(stem, "stem")
        x = self._block(xs[0], "last_branch")
        # A 1x1 block treats pixels alike, so it may run before the pixels are repeated.
        x = ConvElu(stem.shape[-1], kernel=1, dtype=self.dtype, name="stem_from0")(x)
        x = stem + upsample_nearest(x, 2)
        x = ConvElu(self.head[0], dtype=self.dtype, name="head1")(x)
        x = ConvElu(self.head[1], dtype=self.dtype, name="head2")(upsample_nearest(x, 2))
        initial = self.initial_disparity
        return (disparity_head(x, initial=initial, dtype=self.dtype, name="disparity"),)

    def _block(self, x: Float[Array, "N h w c"], name: str) -> Float[Array, "N h w c"]:
        return ConvElu(x.shape[-1], dtype=self.dtype, name=name)(x)

    def _receive(
        self, xs: list[Float[Array, "N h w c"]], i: int, level: int
    ) -> Float[Array, "N h w c"]:
        """Branch i plus what every coarser branch sends it."""
        total = xs[i]
        for j in range(i + 1, len(xs)):
            name = f"level{level}_fuse{i}_from{j}"
            sent = ConvElu(xs[i].shape[-1], kernel=1, dtype=self.dtype, name=name)(xs[j])
            total = total + upsample_nearest(sent, 2 ** (j - i))
        return total
