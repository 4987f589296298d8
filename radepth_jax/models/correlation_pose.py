"""A small pose network that first compares the two frames, so that it sees the pixels' motion.

A plain network has to learn from the photometric loss alone that motion is what makes two frames
differ. This network measures where each pixel went in the other frame, as FlowNetC does
(Dosovitskiy et al., FlowNet, ICCV 2015), and PWC-Net in a small window (Sun et al., CVPR 2018). It
learns the camera's motion from that. From random weights it is right within hundreds of steps,
and `ConvPose` takes thousands (experiments/RESULTS.md).
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.models.blocks import ConvNorm, TorchConv
from radepth_jax.models.policy import Policy
from radepth_jax.models.pose import POSE_SCALE, Pose, check_channels, check_scale, scaled_mean
from radepth_jax.models.resnet import normalise

# Cosine similarities are multiplied by this before the softmax. A match of 0.9 then has e^4 times
# the share of a match of 0.7.
_SHARPNESS = 20.0


class CorrelationPose(nn.Module):
    """Features of each frame, their similarity in a window, and convolutions on the result.

    Attributes:
        features: channels of the two stride-2 convolutions on each frame.
        reach: (rows, columns) that the window reaches in each direction, in pixels of 1/4 size.
        widths: channels of the convolutions on the similarities; all but the first have stride 2.
        scale: the motion is this times the last convolution's output.
        policy: how it computes. It is too small for `remat`, and the similarities are float32.

    Raises:
        UserError: A value is out of range.
    """

    features: tuple[int, ...] = (16, 32)
    reach: tuple[int, ...] = (3, 4)
    widths: tuple[int, ...] = (64, 64, 96, 96)
    scale: float = POSE_SCALE
    policy: Policy = Policy()

    def __post_init__(self) -> None:
        """Check the ranges."""
        for field in ("features", "reach"):
            values = tuple(getattr(self, field))
            if len(values) != 2 or min(values) < 1:
                raise UserError(f"{field} is {values}: expected 2 numbers of 1 or more")
        check_channels(self.widths)
        check_scale(self.scale)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, pairs: Float[Array, "N H W 6"], train: bool = False, groups: int = 1
    ) -> Pose:
        """The same call as that of `ResNetPose`."""
        pairs = normalise(pairs)
        # Both frames in one call, so their statistics are apart: those of N pairs, then N more.
        frames = jnp.concatenate([pairs[..., :3], pairs[..., 3:]])
        layers = self.policy.layers(train=train, groups=2 * groups)
        x = ConvNorm(self.features[0], layers, kernel=5, stride=2, name="frame0")(frames)
        x = ConvNorm(self.features[1], layers, stride=2, name="frame1")(x)
        x = TorchConv(self.features[1], policy=self.policy, name="frame2")(x)
        first, second = jnp.split(x, 2)

        similar = similarities(first, second, (self.reach[0], self.reach[1]))
        dtype = self.policy.dtype
        share = nn.softmax(_SHARPNESS * similar).astype(dtype)
        x = jnp.concatenate([share, _unit(first).astype(dtype), _position(first)], axis=-1)
        layers = self.policy.layers(train=train, groups=groups)
        for i, width in enumerate(self.widths):
            x = ConvNorm(width, layers, stride=min(i, 1) + 1, name=f"layer{i}")(x)
        motion = TorchConv(6, kernel=1, policy=self.policy, name="motion")
        return scaled_mean(motion(x), self.scale)


def similarities(
    first: Float[Array, "N h w C"], second: Float[Array, "N h w C"], reach: tuple[int, int]
) -> Float[Array, "N h w D"]:
    """Cosine similarity of every pixel's features with those in a window of the other frame.

    Args:
        first: features of one frame.
        second: features of the other.
        reach: (rows, columns) in each direction; D = (2 rows + 1)(2 columns + 1).

    Returns:
        Similarities in [-1, 1], float32, row by row of the window: entry (dy + rows)(2 columns + 1)
        + dx + columns compares pixel (y, x) of the first frame with (y + dy, x + dx) of the second.
        Beyond the second frame's border the similarity is 0.
    """
    rows, columns = reach
    first, second = _unit(first), _unit(second)
    height = first.shape[1]
    padded = jnp.pad(second, ((0, 0), (rows, rows), (columns, columns), (0, 0)))
    window_rows = (padded[:, dy : dy + height] for dy in range(2 * rows + 1))
    products = (jnp.einsum("nyxc,nyuc->nyxu", first, row) for row in window_rows)
    return jnp.concatenate([_band(p, 2 * columns + 1) for p in products], axis=-1)


def _band(products: Float[Array, "N h w U"], wanted: int) -> Float[Array, "N h w D"]:
    """Every row's entries from the diagonal on: entry d of row x is the product at (x, x + d).

    Products of whole rows are matrix products, which every backend computes well. A sum for each
    shift takes twice as long on a CPU. If the rows are read as one entry longer, each diagonal
    becomes a column.
    """
    number, height, width, long = products.shape
    flat = products.reshape(number, height, width * long)
    flat = jnp.pad(flat, ((0, 0), (0, 0), (0, width)))
    return flat.reshape(number, height, width, long + 1)[..., :wanted]


def _unit(features: Float[Array, "N h w C"]) -> Float[Array, "N h w C"]:
    """Every pixel's features scaled to length 1, float32. Features of length 0 stay 0."""
    features = features.astype(jnp.float32)
    return features * jax.lax.rsqrt(1e-4 + jnp.sum(jnp.square(features), -1, keepdims=True))


def _position(like: Float[Array, "N h w C"]) -> Float[Array, "N h w 2"]:
    """Each pixel's (x, y), -1 to 1 from border to border. It decides what motion a flow means."""
    number, height, width, _ = like.shape
    x, y = jnp.meshgrid(jnp.linspace(-1, 1, width), jnp.linspace(-1, 1, height))
    return jnp.broadcast_to(jnp.stack([x, y], -1).astype(like.dtype), (number, height, width, 2))
