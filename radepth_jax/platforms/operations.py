"""The operations that a network is made of, in their plain form."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@dataclass(frozen=True)
class Operations:
    """What convolutions, ReLUs and norms compute with. Every form gives the same values.

    Attributes:
        conv: a convolution with the arguments of `jax.lax.conv_general_dilated`.
        relu: max(x, 0), elementwise.
        normalise: batch normalisation with the arguments and results of `normalise`.
    """

    conv: Callable[..., Array]
    relu: Callable[[Array], Array]
    normalise: Callable[..., tuple[Array, Array, Array]]


@partial(jax.custom_jvp, nondiff_argnums=(4, 5))
def normalise(
    x: Float[Array, "G N *space C"],
    scale: Float[Array, "C"],
    bias: Float[Array, "C"],
    near: Float[Array, "C"],
    epsilon: float,
    axis_name: str | None,
) -> tuple[Float[Array, "G N *space C"], Float[Array, "G C"], Float[Array, "G C"]]:
    """Normalise every group of a batch with its own mean and variance.

    Args:
        x: G groups of N samples.
        scale: the standard deviation of the result.
        bias: the mean of the result.
        near: a number near the mean, the same on all devices. The statistics do not depend on it,
            but their rounding does if `axis_name` is given.
        epsilon: added to the variance.
        axis_name: the mapped axis over whose devices the statistics are taken.

    Returns:
        The normalised batch, the means, and the biased variances, all float32.
    """
    standard, mean, var = _standardise(x, near, epsilon, axis_name)
    axes = tuple(range(1, x.ndim - 1))
    scale, bias = (v.reshape(*(1,) * (x.ndim - 1), -1) for v in (scale, bias))
    return standard * scale + bias, mean.squeeze(axes), var.squeeze(axes)


def _standardise(x, near, epsilon, axis_name):
    """The batch with mean 0 and variance 1, and its statistics [G, 1, ..., C]."""
    axes = tuple(range(1, x.ndim - 1))
    wide = x.astype(jnp.float32)
    mean = wide.mean(axes, keepdims=True)
    # This takes two passes, because the mean of the squares less the square of the mean cancels.
    var = jnp.square(wide - mean).mean(axes, keepdims=True)
    if axis_name is not None:
        mean, var = over_devices(mean, var, near, axis_name)
    return (wide - mean) * jax.lax.rsqrt(var + epsilon), mean, var


# By default JAX transposes the statistics to five sums over the batch, and the training step has a
# fifth more kernels on a GPU. In this order the transpose has two sums (Ioffe and Szegedy, ICML
# 2015, section 3). It is linear in the tangents and made of plain operations, so every kind of
# derivative works.
@normalise.defjvp
def _normalise_jvp(epsilon, axis_name, primals, tangents):
    x, scale, _, near = primals
    d_x, d_scale, d_bias, _ = tangents
    axes = tuple(range(1, x.ndim - 1))

    def spread(v):
        # This is not left to broadcasting, because XLA would sum over the whole batch again.
        return jnp.stack([v] * len(x)).reshape(len(x), *(1,) * (x.ndim - 2), -1)

    def mean_of(v):
        v = v.mean(axes, keepdims=True)
        return v if axis_name is None else jax.lax.pmean(v, axis_name)

    standard, _, var = _standardise(x, near, epsilon, axis_name)
    inverse = jax.lax.rsqrt(var + epsilon)
    gain = inverse * scale.reshape(*(1,) * (x.ndim - 1), -1)
    d_x = d_x.astype(jnp.float32)
    d_mean, along = mean_of(d_x), mean_of(standard * d_x)
    d_normal = (
        gain * d_x + (spread(d_bias) - gain * d_mean) + standard * (spread(d_scale) - gain * along)
    )
    d_var = 2.0 * along / inverse
    primals_out = normalise(*primals, epsilon, axis_name)
    return primals_out, (d_normal, d_mean.squeeze(axes), d_var.squeeze(axes))


def over_devices(
    mean: Float[Array, "*shape C"],
    var: Float[Array, "*shape C"],
    near: Float[Array, "C"],
    axis_name: str,
) -> tuple[Float[Array, "*shape C"], Float[Array, "*shape C"]]:
    """Mean and biased variance of all devices' batches, from each device's mean and variance.

    The variance between devices is E[m^2] - E[m]^2. If m is measured from `near`, which all devices
    share, that difference does not cancel, and one collective is enough.
    """
    near = near.reshape(*(1,) * (mean.ndim - 1), -1)
    local = mean - near
    local, square = jax.lax.pmean(jnp.stack([local, var + jnp.square(local)]), axis_name)
    return local + near, jnp.maximum(square - jnp.square(local), 0.0)


PLAIN = Operations(conv=jax.lax.conv_general_dilated, relu=nn.relu, normalise=normalise)
"""The plain operations. They can be differentiated in every way, and all exports use them."""
