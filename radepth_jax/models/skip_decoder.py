"""The decoder of Monodepth2: upsampling by two, skips from the encoder, and four disparities.

Godard et al., Digging Into Self-Supervised Monocular Depth Estimation, ICCV 2019, appendix.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import upsample_nearest
from radepth_jax.models.decoder import Decoder, check_widths


class SkipDecoder(Decoder):
    """Disparities at 1, 1/2, 1/4 and 1/8 from features of any encoder.

    Attributes, besides `Decoder`'s:
        channels: the channels at full size, 1/2, 1/4, ..., one for each of the features.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256)

    def check_features(self, number: int) -> None:
        """Raise a `UserError` unless there are channels for every size."""
        check_widths("channels", self.channels, number)

    @nn.compact
    def __call__(
        self, features: list[Float[Array, "N h w c"]]
    ) -> tuple[Float[Array, "N H W 1"], ...]:
        """Disparities in (0, 1), finest first, from features at 1/2, 1/4, ..., finest first."""
        x = features[-1]
        fused = []
        for scale in reversed(range(len(features))):
            width = self.channels[scale]
            x = upsample_nearest(self.block(width, name=f"up{scale}")(x), 2)
            if scale:
                x = jnp.concatenate([x, features[scale - 1]], axis=-1)
            x = self.block(width, name=f"fuse{scale}")(x)
            fused.append(x)
        return self.disparities(fused[:-5:-1])
