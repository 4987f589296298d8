"""The base of all decoders: their blocks and the convolutions that end in a disparity."""

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
    """Disparities from features. Every decoder derives from this class.

    A decoder is a file with its module, and an entry of `build.DECODERS`.

    Attributes:
        initial_disparity: the disparity in (0, 1) that an untrained network starts from. 0 leaves
            the bias to PyTorch's default, which starts near 0.5.
        policy: the network's policy.
        needs: a field of the encoder that this decoder turns on. The encoder must have it, with the
            metadata `settings.FOR_DECODERS`.

    Raises:
        UserError: A value is out of range.
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
        """Raise a `UserError` unless the decoder takes features of that many sizes."""

    def block(self, features: int, kernel: int = 3, *, name: str) -> ConvElu:
        """A `ConvElu` with this decoder's policy."""
        return ConvElu(features, kernel, policy=self.policy, name=name)

    def disparity(self, x: Float[Array, "N H W C"], *, name: str) -> Float[Array, "N H W 1"]:
        """A disparity in (0, 1), float32, by a reflection-padded 3x3 convolution and a sigmoid."""
        start = self.initial_disparity
        bias = math.log(start / (1.0 - start)) if start else None
        conv = TorchConv(1, padding=0, bias=bias, policy=self.policy, name=name)
        return nn.sigmoid(conv(reflect_pad(x)).astype(jnp.float32))

    def disparities(
        self, features: Sequence[Float[Array, "N h w c"]]
    ) -> tuple[Float[Array, "N h w 1"], ...]:
        """A `disparity` of each scale's features, finest first. They are called disparity0, ..."""
        return tuple(self.disparity(x, name=f"disparity{i}") for i, x in enumerate(features))


def check_widths(field: str, widths: Sequence[int], number: int) -> None:
    """Raise a `UserError` unless `widths` are `number` numbers of channels."""
    if len(widths) != number or min(widths) < 1:
        raise UserError(f"{field} is {tuple(widths)}: expected {number} numbers of channels")
