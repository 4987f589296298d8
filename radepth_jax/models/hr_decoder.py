"""The HR decoder of RA-Depth: it mirrors HRNet, from all branches down to one disparity map.

He et al., RA-Depth, ECCV 2022, section 3.3 (Dual HRNet).
"""

import flax.linen as nn
from jaxtyping import Array, Float

from radepth_jax.models.blocks import UpConvElu, upsample_nearest
from radepth_jax.models.decoder import Decoder, check_widths


class HRDecoder(Decoder):
    """Disparity from HRNet's features, of any number and with any channels.

    Attributes, besides `Decoder`'s:
        head: the channels of the last two blocks, at 1/2 and at full size.
    """

    head: tuple[int, ...] = (32, 16)

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_widths("head", self.head, 2)
        super().__post_init__()

    @nn.compact
    def __call__(self, features: list[Float[Array, "N h w c"]]) -> tuple[Float[Array, "N H W 1"]]:
        """One disparity in (0, 1) from features at 1/2, 1/4, ... of its size, finest first."""
        stem, *xs = features
        level = 0
        while len(xs) > 1:
            xs = [
                self.block(x.shape[-1], name=f"level{level}_branch{i}")(x) for i, x in enumerate(xs)
            ]
            xs = [self._receive(xs, i, level) for i in range(len(xs) - 1)]
            level += 1

        stem = self.block(stem.shape[-1], name="stem")(stem)
        x = self.block(xs[0].shape[-1], name="last_branch")(xs[0])
        # A 1x1 block treats pixels alike, so it may run before the pixels are repeated.
        x = self.block(stem.shape[-1], 1, name="stem_from0")(x)
        x = stem + upsample_nearest(x, 2)
        x = self.block(self.head[0], name="head1")(x)
        x = UpConvElu(self.head[1], policy=self.policy, name="head2")(x)
        return (self.disparity(x, name="disparity"),)

    def _receive(
        self, xs: list[Float[Array, "N h w c"]], i: int, level: int
    ) -> Float[Array, "N h w c"]:
        """Branch i plus what every coarser branch sends to it."""
        total = xs[i]
        for j in range(i + 1, len(xs)):
            name = f"level{level}_fuse{i}_from{j}"
            sent = self.block(xs[i].shape[-1], 1, name=name)(xs[j])
            total = total + upsample_nearest(sent, 2 ** (j - i))
        return total
