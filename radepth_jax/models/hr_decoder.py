"""The HR decoder of RA-Depth: it mirrors HRNet, from all branches down to one disparity map.

He et al., RA-Depth, ECCV 2022, section 3.3 (Dual HRNet).
"""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import Conv, ConvElu, reflect_pad, upsample_nearest


class HRDecoder(nn.Module):
    """Disparity from HRNet's features, whatever their number and channels.

    Attributes:
        head: channels of the last two blocks, at 1/2 and at full size.
        initial_disparity: the disparity, in (0, 1), about which an untrained network starts;
            `None` leaves the last bias to PyTorch's default, which starts near 0.5.
        dtype: compute type; parameters and the disparity are float32.
    """

    head: tuple[int, int] = (32, 16)
    initial_disparity: float | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: list[Float[Array, "N h w c"]]) -> Float[Array, "N H W 1"]:
        """Disparity in (0, 1) from features at 1/2, 1/4, ... of its size, finest first."""
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
        bias = None
        if self.initial_disparity is not None:
            bias = math.log(self.initial_disparity / (1.0 - self.initial_disparity))
        x = Conv(1, padding=0, bias=bias, dtype=self.dtype, name="disparity")(reflect_pad(x))
        return nn.sigmoid(x.astype(jnp.float32))

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
