"""ResNet-18 without its classifier (He et al., Deep Residual Learning, CVPR 2016)."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import BasicBlock, ConvNorm, residual_layers


class ResNet18(nn.Module):
    """Features [N, H/32, W/32, 512] of images with any number of channels.

    Attributes:
        axis_name: mapped axis over which BatchNorm is synchronised.
        dtype: compute type; parameters are float32.
    """

    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, images: Float[Array, "N H W C"], train: bool = False, groups: int = 1
    ) -> Float[Array, "N h w 512"]:
        """Features of the last stage, at 1/32."""
        conv, norm = residual_layers(
            train=train, groups=groups, axis_name=self.axis_name, dtype=self.dtype
        )
        block = partial(BasicBlock, conv=conv, norm=norm)
        x = ConvNorm(64, conv, norm, kernel=7, stride=2, name="stem")(images)
        x = nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, features in enumerate((64, 128, 256, 512), start=1):
            stride = 1 if stage == 1 else 2
            x = block(features, stride=stride, name=f"stage{stage}_block0")(x)
            x = block(features, name=f"stage{stage}_block1")(x)
        return x
