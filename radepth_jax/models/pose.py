"""Pose networks: the motion between two frames, as axis-angle and translation."""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import Conv, ConvNorm, residual_layers
from radepth_jax.models.resnet import ResNet, normalise

# The network starts near the identity: its outputs are this times the last convolution's.
POSE_SCALE = 0.01

Pose = tuple[Float[Array, "N 3"], Float[Array, "N 3"]]


class PoseHead(nn.Module):
    """Axis-angle and translation from features: the published RA-Depth pose decoder.

    It predicts a motion for each of the two frames; the first is returned, the second is kept
    for the sake of published weights.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, features: Float[Array, "N h w c"]) -> Pose:
        """Axis-angle and translation of the first frame, [N, 3] each."""
        x = nn.relu(Conv(256, kernel=1, dtype=self.dtype, name="squeeze")(features))
        x = nn.relu(Conv(256, dtype=self.dtype, name="layer1")(x))
        x = nn.relu(Conv(256, dtype=self.dtype, name="layer2")(x))
        x = Conv(12, kernel=1, dtype=self.dtype, name="motion")(x)
        return scaled_mean(x, POSE_SCALE)


class ResNetPose(nn.Module):
    """ResNet-18 on two frames and the head: 12,500,492 parameters with all four stages."""

    stages: int = 4  # as of `ResNet`
    rematerialise: bool = False  # as of `ResNet`
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, pairs: Float[Array, "N H W 6"], train: bool = False, groups: int = 1
    ) -> Pose:
        """Pose between the two frames of each pair, given in temporal order.

        Args:
            pairs: two RGB frames in [0, 1], one after the other in the channels.
            train: BatchNorm uses and updates with batch statistics.
            groups: parts of the batch with statistics of their own; see `BatchNorm`.

        Returns:
            Axis-angle [N, 3] in radians and translation [N, 3], of the second frame's camera
            coordinates from the first's.
        """
        encoder = ResNet(
            stages=self.stages,
            rematerialise=self.rematerialise,
            axis_name=self.axis_name,
            dtype=self.dtype,
            name="encoder",
        )
        features = encoder(pairs, train=train, groups=groups)
        return PoseHead(dtype=self.dtype, name="head")(features[-1])


class ConvPose(nn.Module):
    """A plain pose network for tiny configurations: stride-2 convolutions with BatchNorm.

    Without the normalisation, features shrink from layer to layer and the scaled motion hardly
    moves for hundreds of steps; the depth network then learns nothing.

    Attributes:
        widths: channels of the convolutions; the first two have 7x7 and 5x5 kernels, the
            others 3x3 (as in Zhou et al., SfMLearner, CVPR 2017).
        scale: the motion is this times the last convolution's output.
        axis_name: mapped axis over which BatchNorm is synchronised; `None`: not at all.
        dtype: compute type; parameters are float32.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 96)
    scale: float = POSE_SCALE
    axis_name: str | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, pairs: Float[Array, "N H W 6"], train: bool = False, groups: int = 1
    ) -> Pose:
        """As `ResNetPose`."""
        layers = residual_layers(
            train=train, groups=groups, axis_name=self.axis_name, dtype=self.dtype
        )
        x = normalise(pairs)
        for i, features in enumerate(self.widths):
            kernel = {0: 7, 1: 5}.get(i, 3)
            x = ConvNorm(features, layers, kernel=kernel, stride=2, name=f"layer{i}")(x)
        return scaled_mean(Conv(6, kernel=1, dtype=self.dtype, name="motion")(x), self.scale)


def scaled_mean(x: Float[Array, "N h w 6*frames"], scale: float) -> Pose:
    """Spatial mean of the first frame's six numbers, scaled."""
    motion = scale * x[..., :6].astype(jnp.float32).mean(axis=(1, 2))
    return motion[:, :3], motion[:, 3:]
