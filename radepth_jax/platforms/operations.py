"""The operations that a network is made of, in their plain form."""

from collections.abc import Callable
from dataclasses import dataclass

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
            but their rounding does where `axis_name` is given.
        epsilon: added to the variance.
        axis_name: the mapped axis over whose devices the statistics are taken.

    Returns:
        The normalised batch, the means, and the biased variances, all float32.
    """
    axes = tuple(range(1, x.ndim - 1))
    scale, bias = (v.reshape(*(1,) * (x.ndim - 1), -1) for v in (scale, bias))
    wide = x.astype(jnp.float32)
    mean = wide.mean(axes, keepdims=True)
    # In two passes: the mean of the squares less the square of the mean would cancel.
    var = jnp.square(wide - mean).mean(axes, keepdims=True)
    if axis_name is not None:
        mean, var = over_devices(mean, var, near, axis_name)
    normal = (wide - mean) * (jax.lax.rsqrt(var + epsilon) * scale) + bias
    return normal, mean.squeeze(axes), var.squeeze(axes)


def over_devices(
    mean: Float[Array, "*shape C"],
    var: Float[Array, "*shape C"],
    near: Float[Array, "C"],
    axis_name: str,
) -> tuple[Float[Array, "*shape C"], Float[Array, "*shape C"]]:
    """Mean and biased variance of all devices' batches, from every device's own.

    The variance between devices is E[m^2] - E[m]^2. Measuring m from `near`, which all devices
    share, keeps that difference from cancelling, in one collective.
    """
    near = near.reshape(*(1,) * (mean.ndim - 1), -1)
    local = mean - near
    local, square = jax.lax.pmean(jnp.stack([local, var + jnp.square(local)]), axis_name)
    return local + near, jnp.maximum(square - jnp.square(local), 0.0)


PLAIN = Operations(conv=jax.lax.conv_general_dilated, relu=nn.relu, normalise=normalise)
"""Differentiable in every way, and the form of all exports."""
