"""ResNet-18 and -50 without their classifier (He et al., Deep Residual Learning, CVPR 2016)."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.models.blocks import BasicBlock, Bottleneck, ConvNorm
from radepth_jax.models.policy import Policy
from radepth_jax.settings import check_choice

# Maps layers to (block, blocks of each stage).
LAYERS = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3))}

# The numbers that `normalise` subtracts and divides by.
MEAN, DEVIATION = 0.45, 0.225


class ResNet(nn.Module):
    """Features at every size, of images with any number of channels.

    Attributes:
        layers: 18 or 50.
        width: the channels of the stem and inside the first stage's blocks. Each stage doubles
            them.
        stages: 3 or 4. The coarsest features are at 1/16 or 1/32.
        policy: how it computes.

    Raises:
        UserError: A value is out of range.
    """

    layers: int = 18
    width: int = 64
    stages: int = 4
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_choice("layers", self.layers, LAYERS)
        if self.stages not in (3, 4):
            raise UserError(f"stages is {self.stages!r}: expected 3 or 4")
        if self.width < 1:
            raise UserError(f"width is {self.width}: expected 1 or more")
        super().__post_init__()

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this: the stride of the coarsest features."""
        return 2 ** (self.stages + 1)

    @nn.compact
    def __call__(
        self, images: Float[Array, "N H W C"], train: bool = False, groups: int = 1
    ) -> list[Float[Array, "N h w c"]]:
        """Features of images in [0, 1]: at 1/2 (stem), 1/4, 1/8, 1/16, and 1/32 if four stages."""
        layers = self.policy.layers(train=train, groups=groups)
        kind, blocks = LAYERS[self.layers]
        kind = nn.remat(kind) if self.policy.remat else kind
        stem = ConvNorm(self.width, layers, kernel=7, stride=2, name="stem")(normalise(images))
        # jax2onnx does not support a pooling's own padding. XLA makes one operation of both.
        around = ((0, 0), (1, 1), (1, 1), (0, 0))
        padded = jnp.pad(stem, around, constant_values=-jnp.inf)
        x = nn.max_pool(padded, window_shape=(3, 3), strides=(2, 2))
        features = [stem]
        for stage, number in enumerate(blocks[: self.stages], start=1):
            for block in range(number):
                x = kind(
                    self.width * 2 ** (stage - 1),
                    layers,
                    stride=2 if stage > 1 and block == 0 else 1,
                    name=f"stage{stage}_block{block}",
                )(x)
            features.append(x)
        return features


def normalise(images: Float[Array, "N H W C"]) -> Float[Array, "N H W C"]:
    """Normalise by ImageNet's mean and standard deviation, with one value for all channels."""
    return (images - MEAN) / DEVIATION
