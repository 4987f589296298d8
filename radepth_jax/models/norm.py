"""Batch normalisation with PyTorch's running statistics, per view and across devices."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.platforms import PLAIN


def average(
    running: Float[Array, "N"], new: Float[Array, "G N"], momentum: float = 0.1
) -> Float[Array, "N"]:
    """The running averages after each group's statistics have entered them in order.

    Args:
        running: the averages so far, of any number of norms.
        new: the groups' statistics.
        momentum: the weight of a new statistic (PyTorch's convention).
    """
    for group in new:
        running = (1.0 - momentum) * running + momentum * group
    return running


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last.

    The batch is normalised with its biased variance, and the running variance averages the
    unbiased one, as PyTorch does. Statistics are float32 whatever `dtype` is.

    Attributes:
        use_running_average: whether to normalise with the running statistics (evaluation).
        groups: the batch is `groups` consecutive equal parts. Each is normalised with its own
            statistics, which enter the running averages part after part. The result is the same as
            of `groups` calls in that order.
        axis_name: the mapped axis over whose devices the statistics are taken, as if their batches
            were one. `None` keeps them local.
        averages: whether training replaces the running averages by updated ones. Otherwise it
            replaces them by the groups' statistics [groups, C], which `average` takes.
        epsilon: it is added to the variance.
        dtype: the result's type.
        normalise: computes what training needs (see `radepth_jax.platforms`).

    Variables: `params` has scale and bias [C], `batch_stats` has mean and var [C], all float32.

    References:
        Ioffe and Szegedy, Batch Normalization, ICML 2015.
    """

    use_running_average: bool
    groups: int = 1
    axis_name: str | None = None
    averages: bool = True
    epsilon: float = 1e-5
    dtype: Any = jnp.float32
    normalise: Callable[..., Any] = PLAIN.normalise

    @nn.compact
    def __call__(self, x: Float[Array, "N *space C"]) -> Float[Array, "N *space C"]:
        """Normalise, and in training update the running statistics too."""
        channels = x.shape[-1]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)

        if self.use_running_average or self.is_initializing():
            gain = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            offset = bias - running_mean.value * gain
            last = (*(1,) * (x.ndim - 1), channels)
            normal = x * gain.reshape(last) + offset.reshape(last)
        else:
            parts = x.reshape(self.groups, -1, *x.shape[1:])
            near = jax.lax.stop_gradient(running_mean.value)
            normal, mean, var = self.normalise(
                parts, scale, bias, near, self.epsilon, self.axis_name
            )
            devices = 1 if self.axis_name is None else jax.lax.axis_size(self.axis_name)
            count = devices * x.size // (self.groups * channels)
            var *= count / max(count - 1, 1)
            if self.averages:
                mean, var = average(running_mean.value, mean), average(running_var.value, var)
            running_mean.value, running_var.value = mean, var
        return normal.astype(self.dtype).reshape(x.shape)


class Shift(nn.Module):
    """What is left of a folded BatchNorm: a bias for each channel.

    Attributes:
        dtype: the result's type.
    """

    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N *space C"]) -> Float[Array, "N *space C"]:
        """Add the bias."""
        bias = self.param("bias", nn.initializers.zeros, (x.shape[-1],), jnp.float32)
        return x + bias.astype(self.dtype).reshape(*(1,) * (x.ndim - 1), -1)
