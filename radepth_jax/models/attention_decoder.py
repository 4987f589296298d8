"""The decoder of DIFFNet: channel gates over all of HRNet's intermediate features.

Zhou et al., Self-Supervised Monocular Depth Estimation with Internal Feature Fusion, BMVC 2021.
"""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import ChannelGate, upsample_nearest
from radepth_jax.models.decoder import Decoder, check_widths


class AttentionDecoder(Decoder):
    """Disparities at 1, 1/2, 1/4 and 1/8 from lists of features (`HRNet` with `every_stage`).

    Attributes, besides `Decoder`'s:
        channels: the channels at full size, 1/2, 1/4, ..., one for each size of features.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)
    needs: ClassVar[str] = "every_stage"

    def check_features(self, number: int) -> None:
        """Raise a `UserError` unless there are channels for every size."""
        check_widths("channels", self.channels, number)

    @nn.compact
    def __call__(
        self, features: list[list[Float[Array, "N h w c"]]]
    ) -> tuple[Float[Array, "N H W 1"], ...]:
        """Disparities in (0, 1), finest first, from the features at 1/2, 1/4, ..."""
        x = jnp.concatenate(features[-1], axis=-1)
        fused = []
        for scale in reversed(range(1, len(features))):
            x = jnp.concatenate([upsample_nearest(x, 2), *features[scale - 1]], axis=-1)
            gate = ChannelGate(self.channels[scale], 3, policy=self.policy, name=f"gate{scale}")
            x = gate(x)
            fused.append(x)
        x = self.block(self.channels[0], name="head1")(x)
        x = self.block(self.channels[0], name="head2")(upsample_nearest(x, 2))
        fused.append(x)
        return self.disparities(fused[:-5:-1])
