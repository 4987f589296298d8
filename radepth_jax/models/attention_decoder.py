"""The decoder of DIFFNet: channel gates over all of HRNet's intermediate features.

Zhou et al., Self-Supervised Monocular Depth Estimation with Internal Feature Fusion, BMVC 2021.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import ChannelGate, ConvElu, disparity_heads, upsample_nearest


class AttentionDecoder(nn.Module):
    """Disparities at 1, 1/2, 1/4 and 1/8 from lists of features (`HRNet` with `every_stage`).

    Attributes:
        channels: at full size, 1/2, 1/4, ...; one for each size of features.
        initial_disparity: see `disparity_head`.
        dtype: compute type; parameters and the disparities are float32.
        portable: see `Conv`.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    initial_disparity: float | None = None
    dtype: Any = jnp.float32
    portable: bool = False

    @nn.compact
    def __call__(
        self, features: list[list[Float[Array, "N h w c"]]]
    ) -> tuple[Float[Array, "N H W 1"], ...]:
        """Disparities in (0, 1), finest first, from the features at 1/2, 1/4, ..."""
        x = jnp.concatenate(features[-1], axis=-1)
        fused = []
        for scale in reversed(range(1, len(features))):
            x = jnp.concatenate([upsample_nearest(x, 2), *features[scale - 1]], axis=-1)
            gate = ChannelGate(self.channels[scale], 3, dtype=self.dtype, name=f"gate{scale}")
            x = gate(x)
            fused.append(x)
        x = self._block(self.channels[0], name="head1")(x)
        x = self._block(self.channels[0], name="head2")(upsample_nearest(x, 2))
        fused.append(x)
        return disparity_heads(
            fused[:-5:-1],
            initial=self.initial_disparity,
            dtype=self.dtype,
            portable=self.portable,
        )

    def _block(self, features: int, kernel: int = 3, *, name: str) -> ConvElu:
        return ConvElu(features, kernel, portable=self.portable, dtype=self.dtype, name=name)
