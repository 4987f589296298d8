"""What the networks share: convolutions, residual blocks, and resampling by fixed factors.

Images and features are [N, H, W, C]. Residual blocks get their convolutions and norms as `Layers`,
so that the policy, the training mode and the groups are set once.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from radepth_jax.geometry.resize import resample
from radepth_jax.models.init import Constant, UniformFanIn
from radepth_jax.models.policy import Layers, Policy


class ConvNorm(nn.Module):
    """Convolution, BatchNorm and, unless `relu` is off, ReLU."""

    features: int
    layers: Layers
    kernel: int = 3
    stride: int = 1
    relu: bool = True

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N h w D"]:
        """Features at 1/`stride` of the size."""
        x = self.layers.conv(self.features, self.kernel, self.stride, name="conv")(x)
        x = self.layers.norm(name="bn")(x)
        return self.layers.relu(x) if self.relu else x


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut (He et al., CVPR 2016, fig. 5 left)."""

    features: int
    layers: Layers
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N h w D"]:
        """Features at 1/`stride` of the size."""
        layer = partial(ConvNorm, self.features, self.layers)
        y = layer(stride=self.stride, name="layer1")(x)
        y = layer(relu=False, name="layer2")(y)
        if x.shape != y.shape:
            x = layer(kernel=1, stride=self.stride, relu=False, name="shortcut")(x)
        return self.layers.relu(x + y)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with a shortcut (He et al., CVPR 2016, fig. 5 right).

    The result has `4 * features` channels. The 3x3 convolution has the stride, as in torchvision.
    """

    features: int
    layers: Layers
    stride: int = 1

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N h w 4*D"]:
        """Features at 1/`stride` of the size."""
        layer = partial(ConvNorm, layers=self.layers)
        y = layer(self.features, kernel=1, name="layer1")(x)
        y = layer(self.features, stride=self.stride, name="layer2")(y)
        y = layer(4 * self.features, kernel=1, relu=False, name="layer3")(y)
        if x.shape != y.shape:
            x = layer(4 * self.features, kernel=1, stride=self.stride, relu=False, name="shortcut")(
                x
            )
        return self.layers.relu(x + y)


class TorchConv(nn.Module):
    """Convolution with PyTorch's default initialisation, padded with zeros.

    Attributes:
        padding: how many zeros there are on each side. `None` is half the kernel.
        use_bias: whether it has a bias.
        bias: the value that the bias starts at. `None` is PyTorch's default.
        repeated: whether it sees every pixel repeated twice (see `convolve_repeated`).
        policy: the network's policy.
    """

    features: int
    kernel: int = 3
    stride: int = 1
    padding: int | None = None
    use_bias: bool = True
    bias: float | None = None
    repeated: bool = False
    policy: Policy = Policy()

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N h w D"]:
        """Features at 1/`stride` of the size, less what padding does not cover."""
        initial = UniformFanIn(self.kernel**2 * x.shape[-1])
        layer = RepeatedConv if self.repeated else nn.Conv
        return layer(
            self.features,
            (self.kernel, self.kernel),
            strides=self.stride,
            padding=self.kernel // 2 if self.padding is None else self.padding,
            use_bias=self.use_bias,
            kernel_init=initial,
            bias_init=initial if self.bias is None else Constant(self.bias),
            dtype=self.policy.dtype,
            conv_general_dilated=self.policy.ops.conv,
            name="conv",
        )(x)


class ConvElu(nn.Module):
    """Convolution and ELU. With a 3x3 kernel the padding is reflected."""

    features: int
    kernel: int = 3
    policy: Policy = Policy()

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H W D"]:
        """Features of the same size."""
        x = reflect_pad(x) if self.kernel == 3 else x
        conv = TorchConv(self.features, self.kernel, padding=0, policy=self.policy, name="conv")
        return nn.elu(conv(x))


class UpConvElu(nn.Module):
    """`ConvElu` with a 3x3 kernel on an image in which each pixel is repeated twice."""

    features: int
    policy: Policy = Policy()

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N 2*H 2*W D"]:
        """Features of twice the size."""
        return nn.elu(
            TorchConv(self.features, padding=0, repeated=True, policy=self.policy, name="conv")(x)
        )


class RepeatedConv(nn.Conv):
    """`convolve_repeated`, with the fields and the parameters of `nn.Conv`."""

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N 2*H 2*W D"]:
        """Features of twice the size."""
        shape = (3, 3, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape, self.param_dtype)
        bias = self.param("bias", self.bias_init, shape[-1:], self.param_dtype)
        x, kernel, bias = nn.dtypes.promote_dtype(x, kernel, bias, dtype=self.dtype)
        conv = self.conv_general_dilated or jax.lax.conv_general_dilated
        return convolve_repeated(x, kernel, conv) + bias[None, None, None]


def convolve_repeated(
    x: Float[Array, "N H W C"], kernel: Float[Array, "3 3 C D"], conv: Callable[..., Array]
) -> Float[Array, "N 2*H 2*W D"]:
    """`kernel` over `reflect_pad(upsample_nearest(x, 2))`, computed at the size of `x`.

    Each pixel of `x` becomes four. Three repeated pixels in a row hold two different pixels of `x`,
    so each of the four results is a smaller convolution of `x`, with the same products in another
    order. All four are one convolution with zeros in its kernel, which is fast everywhere. On a TPU
    the repeated image, which fills a few of 128 lanes, was the most expensive part of the decoder
    (experiments/RESULTS.md).

    Args:
        x: features.
        kernel: the weights.
        conv: the `conv` of `Operations`.
    """
    first = jnp.array([[1, 0, 0], [0, 1, 1], [0, 0, 0]], kernel.dtype)  # for even output rows
    second = jnp.array([[0, 0, 0], [1, 1, 0], [0, 0, 1]], kernel.dtype)  # for odd output rows
    sums = jnp.stack([first, second])
    kernels = jnp.einsum("ark,bsl,klcd->rscabd", sums, sums, kernel, precision="highest")
    # A row beyond the border mirrors a row that repeats the border itself.
    padded = _pad(x, beyond=0)
    layout = ("NHWC", "HWIO", "NHWC")
    kernels = kernels.reshape(3, 3, x.shape[-1], -1)
    y = conv(padded, kernels, (1, 1), ((0, 0), (0, 0)), dimension_numbers=layout)
    n, h, w, _ = x.shape
    y = y.reshape(n, h, w, 2, 2, -1).transpose(0, 1, 3, 2, 4, 5)
    return y.reshape(n, 2 * h, 2 * w, -1)


class ChannelGate(nn.Module):
    """Scales every channel by a factor computed from all channels' means, then mixes them.

    Squeeze and excitation (Hu et al., CVPR 2018) and a convolution with ReLU: HR-Depth's fSE with
    a 1x1 kernel, DIFFNet's attention module with 3x3 (zero padding).
    """

    features: int
    kernel: int = 1
    policy: Policy = Policy()

    @nn.compact
    def __call__(self, x: Float[Array, "N H W C"]) -> Float[Array, "N H W D"]:
        """Features of the same size."""
        channels = x.shape[-1]
        y = x.mean(axis=(1, 2))
        y = nn.relu(self._linear(max(channels // 16, 1), channels, "squeeze")(y))
        y = nn.sigmoid(self._linear(channels, y.shape[-1], "excite")(y))
        mix = TorchConv(self.features, self.kernel, policy=self.policy, name="mix")
        return nn.relu(mix(x * y[:, None, None]))

    def _linear(self, features: int, fan_in: int, name: str) -> nn.Dense:
        return nn.Dense(
            features,
            use_bias=False,
            kernel_init=UniformFanIn(fan_in),
            dtype=self.policy.dtype,
            name=name,
        )


def reflect_pad(x: Float[Array, "N H W C"]) -> Float[Array, "N H+2 W+2 C"]:
    """Pad height and width (at least 2) by one pixel, mirrored about the border pixel."""
    return _pad(x, beyond=1)


def _pad(x: Float[Array, "N H W C"], beyond: int) -> Float[Array, "N H+2 W+2 C"]:
    """Pad each side with a copy of the pixels that are `beyond` pixels from that border."""
    # `x[:, 1:2]` would be a gather if an export leaves the batch size open.
    for axis in (1, 2):
        size = x.shape[axis]
        first = jax.lax.slice_in_dim(x, beyond, beyond + 1, axis=axis)
        last = jax.lax.slice_in_dim(x, size - 1 - beyond, size - beyond, axis=axis)
        x = jnp.concatenate([first, x, last], axis=axis)
    return x


def upsample_nearest(x: Float[Array, "N H W C"], factor: int) -> Float[Array, "N fH fW C"]:
    """Repeat each pixel `factor` times along height and width."""
    n, h, w, c = x.shape
    x = jnp.broadcast_to(x[:, :, None, :, None], (n, h, factor, w, factor, c))
    return x.reshape(n, h * factor, w * factor, c)


def upsample_bilinear(x: Float[Array, "N H W C"], size: tuple[Any, Any]) -> Float[Array, "N h w C"]:
    """Bilinear interpolation to `size` (h, w) where corner pixels keep their centres.

    PyTorch's `interpolate(..., mode="bilinear", align_corners=True)`, as one small matrix per
    axis: matrix products compile and differentiate far more cheaply than gathers. They have full
    precision, because published weights were trained with an exact interpolation. Sizes may be
    symbolic, for exports that leave them open.
    """
    rows, columns = (
        aligned_weights(new, old).astype(x.dtype)
        for new, old in zip(size, x.shape[1:3], strict=True)
    )
    return resample(x, rows, columns)


def aligned_weights(out_size: Any, in_size: Any) -> Array:
    """[out, in] weights of linear interpolation between aligned end points.

    `geometry.resize_weights` aligns the edges of the outermost pixels instead of their centres.
    """
    if isinstance(out_size, int) and isinstance(in_size, int):
        fixed = np.linspace(0.0, in_size - 1.0, out_size)
        return jnp.asarray(np.maximum(0.0, 1.0 - np.abs(fixed[:, None] - np.arange(in_size))))
    across = jnp.asarray(in_size - 1, jnp.float32) / jnp.asarray(out_size - 1, jnp.float32)
    position = jnp.arange(out_size, dtype=jnp.float32) * across
    index = jnp.arange(in_size, dtype=jnp.float32)
    return jnp.maximum(0.0, 1.0 - jnp.abs(position[:, None] - index[None, :]))
