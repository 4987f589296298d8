"""The decoder of HR-Depth: nested dense skips, and channel gates where a diagonal ends.

Lyu et al., HR-Depth: High Resolution Self-Supervised Monocular Depth Estimation, AAAI 2021,
figure 2. Node X_rc is row r (at 1/2^(r+1)), column c; column 0 is the encoder.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import ChannelGate, TorchConv, upsample_nearest
from radepth_jax.models.decoder import Decoder, check_widths


class NestedDecoder(Decoder):
    """Disparities at 1, 1/2, 1/4 and 1/8 from five features.

    Attributes, besides `Decoder`'s:
        head: the channels of the last two blocks.
    """

    head: tuple[int, ...] = (16, 16)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_widths("head", self.head, 2)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, features: list[Float[Array, "N h w c"]]
    ) -> tuple[Float[Array, "N H W 1"], ...]:
        """Disparities in (0, 1), finest first, from features at 1/2, 1/4, ..., finest first."""
        last = len(features) - 1
        nodes = {(row, 0): feature for row, feature in enumerate(features)}
        for column in range(1, last + 1):
            for row in range(last - column + 1):
                skips = [nodes[row, c] for c in range(column)]
                nodes[row, column] = self._node(
                    nodes[row + 1, column - 1], skips, row, ends=row + column == last
                )
        finest = self.block(self.head[0], name="head1")(nodes[0, last])
        finest = self.block(self.head[1], name="head2")(upsample_nearest(finest, 2))
        seen = [finest, *(nodes[row, last - row] for row in range(3))]
        return self.disparities(seen)

    def _node(
        self,
        below: Float[Array, "N h w c"],
        skips: list[Float[Array, "N H W d"]],
        row: int,
        *,
        ends: bool,
    ) -> Float[Array, "N H W e"]:
        """X_rc from X_r+1,c-1 and all nodes to its left. `ends` is true for a row's last node."""
        name = f"{row}{len(skips)}"
        width = below.shape[-1] // 2
        sent = self.block(width, name=f"up{name}")(below)
        x = jnp.concatenate([upsample_nearest(sent, 2), *skips], axis=-1)
        if ends:
            return ChannelGate(width, policy=self.policy, name=f"gate{name}")(x)
        if len(skips) > 1:
            x = TorchConv(
                2 * width, kernel=1, use_bias=False, policy=self.policy, name=f"reduce{name}"
            )(x)
        return self.block(width, name=f"fuse{name}")(x)
