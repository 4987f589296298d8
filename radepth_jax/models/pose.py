"""Pose networks: the motion between two frames, as axis-angle and translation."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.models.blocks import ConvNorm, TorchConv
from radepth_jax.models.policy import Policy
from radepth_jax.models.resnet import ResNet, normalise

# The last convolution's outputs are multiplied by this, so the network starts near the identity.
POSE_SCALE = 0.01

Pose = tuple[Float[Array, "N 3"], Float[Array, "N 3"]]


class PoseHead(nn.Module):
    """Axis-angle and translation from features: the published RA-Depth pose decoder.

    It predicts a motion for each of the two frames. The first one is returned. The second one is
    not used, but published weights have it.
    """

    policy: Policy = Policy()

    @nn.compact
    def __call__(self, features: Float[Array, "N h w c"]) -> Pose:
        """Axis-angle and translation of the first frame, [N, 3] each."""
        conv = partial(TorchConv, policy=self.policy)
        x = nn.relu(conv(256, kernel=1, name="squeeze")(features))
        x = nn.relu(conv(256, name="layer1")(x))
        x = nn.relu(conv(256, name="layer2")(x))
        x = conv(12, kernel=1, name="motion")(x)
        return scaled_mean(x, POSE_SCALE)


class ResNetPose(nn.Module):
    """ResNet-18 on two frames, and the head. With all four stages it has 12,500,492 parameters.

    Attributes:
        stages: the ResNet's stages, 3 or 4.
        policy: how it computes.

    Raises:
        UserError: A value is out of range.
    """

    stages: int = 4
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.stages not in (3, 4):
            raise UserError(f"stages is {self.stages!r}: expected 3 or 4")
        super().__post_init__()

    @nn.compact
    def __call__(
        self, pairs: Float[Array, "N H W 6"], train: bool = False, groups: int = 1
    ) -> Pose:
        """Pose between the two frames of each pair, given in temporal order.

        Args:
            pairs: two RGB frames in [0, 1], one after the other in the channels.
            train: whether BatchNorm normalises with batch statistics, and updates its own.
            groups: how many parts of the batch have their own statistics (see `BatchNorm`).

        Returns:
            Axis-angle [N, 3] in radians and translation [N, 3]. They map the first frame's camera
            coordinates to the second's.
        """
        encoder = ResNet(stages=self.stages, policy=self.policy, name="encoder")
        features = encoder(pairs, train=train, groups=groups)
        return PoseHead(self.policy, name="head")(features[-1])


class ConvPose(nn.Module):
    """A plain pose network for tiny configurations: stride-2 convolutions with BatchNorm.

    Without the normalisation, features shrink from layer to layer, and the scaled motion hardly
    moves for hundreds of steps. The depth network then learns nothing.

    Attributes:
        widths: the channels of the convolutions. The first two have 7x7 and 5x5 kernels, and the
            others 3x3 (as in Zhou et al., SfMLearner, CVPR 2017).
        scale: the motion is this times the last convolution's output.
        policy: how it computes. It is too small for `remat`.

    Raises:
        UserError: A value is out of range.
    """

    widths: tuple[int, ...] = (16, 32, 64, 96, 96)
    scale: float = POSE_SCALE
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        """Check the ranges."""
        check_channels(self.widths)
        check_scale(self.scale)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, pairs: Float[Array, "N H W 6"], train: bool = False, groups: int = 1
    ) -> Pose:
        """The same call as that of `ResNetPose`."""
        layers = self.policy.layers(train=train, groups=groups)
        x = normalise(pairs)
        for i, features in enumerate(self.widths):
            kernel = {0: 7, 1: 5}.get(i, 3)
            x = ConvNorm(features, layers, kernel=kernel, stride=2, name=f"layer{i}")(x)
        motion = TorchConv(6, kernel=1, policy=self.policy, name="motion")
        return scaled_mean(motion(x), self.scale)


def check_channels(widths: tuple[int, ...]) -> None:
    """Raise a `UserError` unless there is a convolution, and every one has channels."""
    if not widths or min(widths) < 1:
        raise UserError(f"widths is {tuple(widths)}: expected channels, such as (16, 32, 64)")


def check_scale(scale: float) -> None:
    """Raise a `UserError` unless the scale of a motion is positive."""
    if not scale > 0:
        raise UserError(f"scale is {scale}: expected a positive number")


def scaled_mean(x: Float[Array, "N h w 6*frames"], scale: float) -> Pose:
    """Spatial mean of the first frame's six numbers, scaled."""
    motion = scale * x[..., :6].astype(jnp.float32).mean(axis=(1, 2))
    return motion[:, :3], motion[:, 3:]
