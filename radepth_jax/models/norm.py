"""Batch normalisation with PyTorch's running statistics, per view and across devices."""

from functools import partial
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

        if self.use_running_average or self.is_initializing():
            gain = scale * jax.lax.rsqrt(running_var.value + self.epsilon)
            offset = bias - running_mean.value * gain
            last = (*(1,) * (x.ndim - 1), channels)
            normal = x * gain.reshape(last) + offset.reshape(last)
        else:
            parts = x.reshape(self.groups, -1, channels)  # [G, n, C]
            # Only where the statistics are measured from: any value gives the same ones.
            near = jax.lax.stop_gradient(running_mean.value)
            normal, mean, var = _normalise(parts, scale, bias, near, self.epsilon, self.axis_name)
            devices = 1 if self.axis_name is None else jax.lax.axis_size(self.axis_name)
            count = parts.shape[1] * devices
            running_mean.value = self._fold(running_mean.value, mean)
            running_var.value = self._fold(running_var.value, var * (count / max(count - 1, 1)))
        return normal.astype(self.dtype).reshape(x.shape)

    def _fold(self, running: Float[Array, "C"], new: Float[Array, "G C"]) -> Float[Array, "C"]:
        """The running average after each group's statistic has entered it in order."""
        for part in range(self.groups):
            running = (1.0 - self.momentum) * running + self.momentum * new[part]
        return running


# The derivative is written out: two sums over the batch, where differentiating the statistics
# gives five, which for HRNet's 300 normalisations is most of the compile time.
@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _normalise(
    x: Float[Array, "G n C"],
    scale: Float[Array, "C"],
    bias: Float[Array, "C"],
    near: Float[Array, "C"],
    epsilon: float,
    axis_name: str | None,
) -> tuple[Float[Array, "G n C"], Float[Array, "G C"], Float[Array, "G C"]]:
    """Each group normalised; its mean and its biased variance, which carry no gradient."""
    result, _ = _normalise_forward(x, scale, bias, near, epsilon, axis_name)
    return result


def _normalise_forward(x, scale, bias, near, epsilon, axis_name):
    wide = x.astype(jnp.float32)
    mean = wide.mean(axis=1, keepdims=True)  # [G, 1, C]
    var = jnp.square(wide - mean).mean(axis=1, keepdims=True)
    if axis_name is not None:
        # The variance between devices is E[m^2] - E[m]^2. Measuring m from the running mean,
        # which all devices share, keeps that difference from cancelling, in one collective.
        local = mean - near[None, None]
        local, square = jax.lax.pmean(jnp.stack([local, var + jnp.square(local)]), axis_name)
        mean = local + near[None, None]
        var = jnp.maximum(square - jnp.square(local), 0.0)
    inverse = jax.lax.rsqrt(var + epsilon)
    normal = (wide - mean) * (inverse * scale[None, None]) + bias[None, None]
    return (normal, mean[:, 0], var[:, 0]), (x, mean, inverse, scale)


def _normalise_backward(epsilon, axis_name, residuals, cotangents):
    """Ioffe and Szegedy, section 3, with the batch means taken over all devices."""
    del epsilon
    x, mean, inverse, scale = residuals
    d_normal = cotangents[0]
    standard = (x.astype(jnp.float32) - mean) * inverse
    d_bias = d_normal.sum(axis=1, keepdims=True)  # [G, 1, C]
    # Not `(d_normal * standard).sum`: with one group, XLA's CPU backend takes 20 times as long.
    d_scale = jnp.einsum("gnc,gnc->gc", d_normal, standard, precision=jax.lax.Precision.HIGHEST)
    d_scale = d_scale[:, None]
    means = d_bias / x.shape[1], d_scale / x.shape[1]
    if axis_name is not None:
        means = jax.lax.pmean(means, axis_name)
    d_x = (d_normal - means[0] - standard * means[1]) * (inverse * scale[None, None])
    no_gradient = jnp.zeros_like(scale)
    return d_x.astype(x.dtype), _add_groups(d_scale), _add_groups(d_bias), no_gradient


def _add_groups(parts: Float[Array, "G 1 C"]) -> Float[Array, "C"]:
    # Not `parts.sum`: XLA would take that sum over the whole batch once more.
    return sum((part[0] for part in parts[1:]), parts[0, 0])


_normalise.defvjp(_normalise_forward, _normalise_backward)
