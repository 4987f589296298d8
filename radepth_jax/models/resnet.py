"""ResNet-18 and -50 without their classifier (He et al., Deep Residual Learning, CVPR 2016)."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import BasicBlock, Bottleneck, ConvNorm, residual_layers

# Layers -> (block, blocks of each stage).
LAYERS = {18: (BasicBlock, (2, 2, 2, 2)), 50: (Bottleneck, (3, 4, 6, 3))}

# What `normalise` subtracts and divides by.
MEAN, DEVIATION = 0.45, 0.225


class ResNet(nn.Module):
    """Features at every size, of images with any number of channels.

    Attributes:
        layers: 18 or 50.
        width: channels of the stem and inside the first stage's blocks; doubled by each stage.
        stages: 3 or 4; the coarsest features are at 1/16 or 1/32.
        portable: without forms that only XLA knows (`fence.py`), for exports.
        rematerialise: keep the results of blocks alone for the derivative, and compute what is
            inside them once more.
        axis_name: mapped axis over which BatchNorm is synchronised.
        dtype: compute type; parameters are float32.
    """

    layers: int = 18
    width: int = 64
    stages: int = 4
    portable: bool = False
    rematerialise: bool = False
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this: the stride of the coarsest features."""
        return 2 ** (self.stages + 1)

    @nn.compact
    def __call__(
        self, images: Float[Array, "N H W C"], train: bool = False, groups: int = 1
    ) -> list[Float[Array, "N h w c"]]:
        """Features at 1/2 (stem), 1/4, 1/8, 1/16 and, with four stages, 1/32; images in [0, 1]."""
        layers = residual_layers(
            train=train,
            groups=groups,
            axis_name=self.axis_name,
            dtype=self.dtype,
            portable=self.portable,
        )
        kind, blocks = LAYERS[self.layers]
        kind = nn.remat(kind) if self.rematerialise else kind
        stem = ConvNorm(self.width, layers, kernel=7, stride=2, name="stem")(normalise(images))
        x = nn.max_pool(stem, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
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
    """ImageNet's mean and standard deviation, one value for all channels."""
    return (images - MEAN) / DEVIATION
