"""Batch normalisation with PyTorch's running statistics, per view and across devices."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class BatchNorm(nn.Module):
    """Batch normalisation over all axes but the last.

    The batch is normalised with its biased variance, and the running variance averages the
    unbiased one, as PyTorch does. Statistics are float32 whatever `dtype` is.

    Attributes:
        use_running_average: normalise with the running statistics (evaluation).
        groups: the batch is `groups` consecutive equal parts. Each is normalised with its own
            statistics, which enter the running averages part after part: the same as `groups`
            calls in that order.
        axis_name: mapped axis over whose devices the statistics are taken, as if their batches
            were one; `None` keeps them local.
        momentum: weight of a new statistic in the running average (PyTorch's convention).
        epsilon: added to the variance.
        dtype: of the result.

    Variables: `params` scale, bias [C]; `batch_stats` mean, var [C]; all float32.

    References:
        Ioffe and Szegedy, Batch Normalization, ICML 2015.
    """

    use_running_average: bool
    groups: int = 1
    axis_name: str | None = None
    momentum: float = 0.1
    epsilon: float = 1e-5
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N *space C"]) -> Float[Array, "N *space C"]:
        """Normalise, and in training update the running statistics too."""
        channels = x.shape[-1]
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, (channels,), jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, (channels,), jnp.float32)
        scale = self.param("scale", nn.initializers.ones, (channels,), jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, (channels,), jnp.float32)

        if self.use_running_average:
            gain = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            offset = bias - running_mean.value * gain
            return (x * _like(gain, x) + _like(offset, x)).astype(self.dtype)

        parts = x.reshape(self.groups, -1, channels).astype(jnp.float32)  # [G, n, C]
        mean, var = self._batch_statistics(parts, running_mean.value)  # [G, C]
        if not self.is_initializing():
            devices = 1 if self.axis_name is None else jax.lax.axis_size(self.axis_name)
            count = parts.shape[1] * devices
            unbiased = var * (count / max(count - 1, 1))
            running_mean.value = self._fold(running_mean.value, mean)
            running_var.value = self._fold(running_var.value, unbiased)
        gain = scale[None] * jax.lax.rsqrt(var + self.epsilon)
        normal = (parts - mean[:, None]) * gain[:, None] + bias[None, None]
        return normal.astype(self.dtype).reshape(x.shape)

    def _batch_statistics(
        self, parts: Float[Array, "G n C"], shift: Float[Array, "C"]
    ) -> tuple[Float[Array, "G C"], Float[Array, "G C"]]:
        """Mean and biased variance of each group, over the devices of `axis_name`."""
        mean = parts.mean(axis=1)
        var = jnp.square(parts - mean[:, None]).mean(axis=1)
        if self.axis_name is None or self.is_initializing():
            return mean, var
        # The variance between devices is E[m^2] - E[m]^2. Measuring m from the running mean,
        # which all devices share, keeps that difference from cancelling, in one collective.
        local = mean - shift[None]
        moments = jnp.stack([local, var + jnp.square(local)])
        local, square = jax.lax.pmean(moments, self.axis_name)
        return local + shift[None], jnp.maximum(square - jnp.square(local), 0.0)

    def _fold(self, running: Float[Array, "C"], new: Float[Array, "G C"]) -> Float[Array, "C"]:
        """The running average after each group's statistic has entered it in order."""
        new = jax.lax.stop_gradient(new)
        keep = 1.0 - self.momentum
        for part in range(self.groups):
            running = keep * running + self.momentum * new[part]
        return running


def _like(channelwise: Float[Array, "C"], x: Float[Array, "*axes C"]) -> Float[Array, "*ones C"]:
    """`channelwise` with the rank and type of `x`."""
    return channelwise.reshape((1,) * (x.ndim - 1) + (-1,))
