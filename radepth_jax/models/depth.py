"""A depth network: an encoder and a decoder."""

import dataclasses
import inspect
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.models.policy import Policy


class DepthNetwork(nn.Module):
    """Disparities from an image.

    Attributes:
        encoder: has a `stride`, and gives features at 1/2, 1/4, ... 1/`stride`.
        decoder: makes of them disparities at 1, 1/2, ..., as many as it supervises. It is called
            with `train` and `groups` too if its `__call__` has them, such as for norms of its own.
        policy: of both; with `remat`, the decoder's inside is computed once more.
    """

    encoder: nn.Module
    decoder: nn.Module
    policy: Policy = Policy()

    def with_policy(self, **changes: Any) -> "DepthNetwork":
        """The same network computed otherwise, such as with `ops=PLAIN` for exports."""

        def changed(module: Any) -> Policy:
            return dataclasses.replace(module.policy, **changes)

        return self.clone(
            encoder=self.encoder.clone(policy=changed(self.encoder)),
            decoder=self.decoder.clone(policy=changed(self.decoder)),
            policy=changed(self),
        )

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this, twice it at least."""
        return self.encoder.stride

    def __call__(
        self, images: Float[Array, "N H W 3"], train: bool = False, groups: int = 1
    ) -> tuple[Float[Array, "N h w 1"], ...]:
        """Disparities in (0, 1), the finest, at the images' size, first.

        Args:
            images: RGB in [0, 1]; sides are multiples of `stride`.
            train: BatchNorm uses and updates with batch statistics.
            groups: parts of the batch (the views) with statistics of their own; the same
                values as that many calls.

        Raises:
            UserError: the images' size or number does not fit.
        """
        features = self.encode(images, train=train, groups=groups)
        taken = inspect.signature(type(self.decoder).__call__).parameters
        given = {k: v for k, v in (("train", train), ("groups", groups)) if k in taken}
        if self.policy.remat:
            decode = nn.remat(lambda decoder, features: decoder(features, **given))
            return decode(self.decoder, features)
        return self.decoder(features, **given)

    def encode(
        self, images: Float[Array, "N H W 3"], train: bool = False, groups: int = 1
    ) -> list[Any]:
        """The encoder's features at 1/2, 1/4, ... 1/`stride`: arrays, or lists of them."""
        number, height, width, _ = images.shape
        check_resolution((width, height), self.stride)
        if number % groups:
            raise UserError(f"a batch of {number} images cannot be split into {groups} groups")
        return self.encoder(images, train=train, groups=groups)


def check_resolution(resolution: tuple[int, int], stride: int) -> None:
    """Raise a `UserError` unless a network of `stride` takes images of (width, height)."""
    # Not "unless they are int": an export's sides may be symbols.
    if len(resolution) != 2 or any(isinstance(side, float | str) for side in resolution):
        raise UserError(
            f"resolution {tuple(resolution)}: expected two whole numbers, (width, height)"
        )
    # The coarsest features need two rows and columns: reflection padding mirrors the second.
    if any(side % stride or side < 2 * stride for side in resolution):
        width, height = resolution
        nearest = [max(2, round(side / stride)) * stride for side in resolution]
        raise UserError(
            f"resolution {width}x{height}: this depth network needs sides that are multiples of "
            f"{stride}, {2 * stride} at least; the nearest is {nearest[0]}x{nearest[1]}"
        )
