"""What all decoders have: their blocks and the convolutions that end in a disparity."""

import math
from collections.abc import Sequence
from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.models.blocks import ConvElu, TorchConv, reflect_pad
from radepth_jax.models.policy import Policy


class Decoder(nn.Module, kw_only=True):
    """Disparities from features; the base of every decoder.

    A decoder is a file with its module, and an entry of `build.DECODERS`.

    Attributes:
        initial_disparity: the disparity in (0, 1) about which an untrained network starts; 0 leaves
            the bias to PyTorch's default, which starts near 0.5.
        policy: of the network.
        needs: the field of an encoder that must be on, and that the encoder must have with the
            metadata `settings.FOR_DECODERS`.

    Raises:
        UserError: a value out of range.
    """

    initial_disparity: float = 0.0
    policy: Policy = Policy()
    needs: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0.0 <= self.initial_disparity < 1.0:
            raise UserError(
                f"initial_disparity is {self.initial_disparity}: expected a number between 0 and 1,"
                " or 0 for the default initialisation"
            )
        super().__post_init__()

    def check_features(self, number: int) -> None:
        """Raise a `UserError` unless the decoder takes features of so many sizes."""

    def block(self, features: int, kernel: int = 3, *, name: str) -> ConvElu:
        """A `ConvElu` of this decoder's policy."""
        return ConvElu(features, kernel, policy=self.policy, name=name)

    def disparity(self, x: Float[Array, "N H W C"], *, name: str) -> Float[Array, "N H W 1"]:
        """In (0, 1), float32: a reflection-padded 3x3 convolution called `name`, sigmoid."""
        start = self.initial_disparity
        bias = math.log(start / (1.0 - start)) if start else None
        conv = TorchConv(1, padding=0, bias=bias, policy=self.policy, name=name)
        return nn.sigmoid(conv(reflect_pad(x)).astype(jnp.float32))

    def disparities(
        self, features: Sequence[Float[Array, "N h w c"]]
    ) -> tuple[Float[Array, "N h w 1"], ...]:
        """A `disparity` for the features of every scale, finest first: disparity0, ..."""
        return tuple(self.disparity(x, name=f"disparity{i}") for i, x in enumerate(features))


def check_widths(field: str, widths: Sequence[int], number: int) -> None:
    """Raise a `UserError` unless `widths` are so many numbers of channels."""
    if len(widths) != number or min(widths) < 1:
        raise UserError(f"{field} is {tuple(widths)}: expected {number} numbers of channels")
