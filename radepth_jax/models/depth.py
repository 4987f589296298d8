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
        encoder: it has a `stride`, and returns features at 1/2, 1/4, ... 1/`stride`.
        decoder: it turns them into disparities at 1, 1/2, ..., as many as training supervises. If
            its `__call__` has the arguments `train` and `groups`, such as for its own norms, it
            gets them too.
        policy: the policy of both. With `remat`, the decoder's inside is computed once more.
    """

    encoder: nn.Module
    decoder: nn.Module
    policy: Policy = Policy()

    def with_policy(self, **changes: Any) -> "DepthNetwork":
        """The same network with other settings of its policy, such as `ops=PLAIN` for exports."""

        def changed(module: Any) -> Policy:
            return dataclasses.replace(module.policy, **changes)

        return self.clone(
            encoder=self.encoder.clone(policy=changed(self.encoder)),
            decoder=self.decoder.clone(policy=changed(self.decoder)),
            policy=changed(self),
        )

    @property
    def stride(self) -> int:
        """Image sides must be multiples of this, and at least twice as large."""
        return self.encoder.stride

    def __call__(
        self, images: Float[Array, "N H W 3"], train: bool = False, groups: int = 1
    ) -> tuple[Float[Array, "N h w 1"], ...]:
        """Disparities in (0, 1). The finest, at the images' size, comes first.

        Args:
            images: RGB in [0, 1]. Their sides are multiples of `stride`.
            train: whether BatchNorm normalises with batch statistics, and updates its own.
            groups: how many parts of the batch (the views) have their own statistics. The values
                are the same as with that many calls.

        Raises:
            UserError: The images' size or number does not fit.
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
