"""How a network computes, apart from what it computes."""

from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from radepth_jax.models.init import HeNormal
from radepth_jax.models.norm import BatchNorm, Shift
from radepth_jax.platforms import PLAIN, Operations, for_backend


@dataclass(frozen=True)
class Policy:
    """The settings that every part of a network shares. All but `folded` change no parameter.

    Attributes:
        dtype: the compute type. Parameters and results are float32.
        axis_name: the mapped axis over which BatchNorm is synchronised. `None` means not at all.
        remat: whether only the results of blocks are kept for the derivative. What is inside them
            is then computed once more, which takes less memory and more time.
        ops: the operations of convolutions, ReLUs and norms. `PLAIN` can be differentiated in
            every way and exported.
        averages: whether BatchNorm returns new running averages in training. Otherwise it returns
            every group's own statistics, and `runs.flat.average_statistics` averages those of all
            norms at once.
        folded: whether the norms are folded into the convolutions (see `fold_norms`).
    """

    dtype: Any = jnp.float32
    axis_name: str | None = None
    remat: bool = False
    ops: Operations = PLAIN
    averages: bool = True
    folded: bool = False

    @classmethod
    def native(cls, **fields: Any) -> "Policy":
        """A policy with `fields`, whose operations are fast on this process's backend."""
        return cls(ops=for_backend(jax.default_backend()), **fields)

    def layers(self, *, train: bool, groups: int = 1) -> "Layers":
        """The layers of an encoder for a call with these arguments."""
        return Layers(self, train, groups)


@dataclass(frozen=True)
class Layers:
    """The layers of residual blocks: convolutions without bias, BatchNorm and ReLU.

    Attributes:
        policy: the network's policy.
        train: whether BatchNorm normalises with batch statistics, and updates its own.
        groups: how many parts of the batch have their own statistics (see `BatchNorm`).
    """

    policy: Policy
    train: bool
    groups: int = 1

    def conv(self, features: int, kernel: int, stride: int, *, name: str) -> nn.Conv:
        """A square convolution with He initialisation, padded with half its size of zeros."""
        return nn.Conv(
            features,
            (kernel, kernel),
            strides=stride,
            padding=kernel // 2,
            use_bias=False,
            dtype=self.policy.dtype,
            kernel_init=HeNormal(),
            conv_general_dilated=self.policy.ops.conv,
            name=name,
        )

    def norm(self, *, name: str) -> nn.Module:
        """A BatchNorm for this call, or the bias that is left of it in a folded network."""
        if self.policy.folded:
            return Shift(self.policy.dtype, name=name)
        return BatchNorm(
            use_running_average=not self.train,
            groups=self.groups,
            axis_name=self.policy.axis_name,
            averages=self.policy.averages,
            dtype=self.policy.dtype,
            normalise=self.policy.ops.normalise,
            name=name,
        )

    def relu(self, x: Array) -> Array:
        """max(x, 0)."""
        return self.policy.ops.relu(x)
