"""What all decoders have: their blocks and the convolutions that end in a disparity."""

import math
from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.models.blocks import Conv, ConvElu, reflect_pad


class Decoder(nn.Module, kw_only=True):
    """Disparities from features; the base of every decoder.

    Attributes:
        initial_disparity: the disparity about which an untrained network starts; `None` leaves
            the bias to PyTorch's default, which starts near 0.5.
        dtype: compute type; parameters and disparities are float32.
        portable: see `Conv`.
    """

    initial_disparity: float | None = None
    dtype: Any = jnp.float32
    portable: bool = False

    def block(self, features: int, kernel: int = 3, *, name: str) -> ConvElu:
        """A `ConvElu` of this decoder's compute type."""
        return ConvElu(features, kernel, portable=self.portable, dtype=self.dtype, name=name)

    def disparity(self, x: Float[Array, "N H W C"], *, name: str) -> Float[Array, "N H W 1"]:
        """In (0, 1), float32: a reflection-padded 3x3 convolution called `name`, sigmoid."""
        start = self.initial_disparity
        bias = None if start is None else math.log(start / (1.0 - start))
        conv = Conv(1, padding=0, bias=bias, portable=self.portable, dtype=self.dtype, name=name)
        return nn.sigmoid(conv(reflect_pad(x)).astype(jnp.float32))

    def disparities(
        self, features: Sequence[Float[Array, "N h w c"]]
    ) -> tuple[Float[Array, "N h w 1"], ...]:
        """A `disparity` for the features of every scale, finest first: disparity0, ..."""
        return tuple(self.disparity(x, name=f"disparity{i}") for i, x in enumerate(features))
