"""Batch normalisation that reads its batch twice in each direction, and starts few kernels.

The plain form reads it three times, because its variance waits for its mean, and XLA adds up each
of its sums in kernels of its own.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.platforms.operations import over_devices

# Rows that one block adds up. Longer sums XLA would cut itself, each into two more kernels.
_ROWS = 2048


def normalise(
    x: Float[Array, "G N *space C"],
    scale: Float[Array, "C"],
    bias: Float[Array, "C"],
    near: Float[Array, "C"],
    epsilon: float,
    axis_name: str | None,
) -> tuple[Float[Array, "G N *space C"], Float[Array, "G C"], Float[Array, "G C"]]:
    """As `operations.normalise`, but the mean and the variance carry no gradient.

    Both are taken in one pass, of the differences to each group's first pixel: nothing cancels
    where that pixel is within some standard deviations of the mean.
    """
    flat = x.reshape(x.shape[0], -1, x.shape[-1])  # [G, n, C]
    near = jax.lax.stop_gradient(near)
    normal, mean, var = _normalise(flat, scale, bias, near, epsilon, axis_name)
    return normal.reshape(x.shape), mean, var


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _normalise(
    x: Float[Array, "G n C"],
    scale: Float[Array, "C"],
    bias: Float[Array, "C"],
    near: Float[Array, "C"],
    epsilon: float,
    axis_name: str | None,
) -> tuple[Float[Array, "G n C"], Float[Array, "G C"], Float[Array, "G C"]]:
    result, _ = _forward(x, scale, bias, near, epsilon, axis_name)
    return result


def _forward(x, scale, bias, near, epsilon, axis_name):
    wide = x.astype(jnp.float32)
    apart = wide - wide[:, :1]
    first, second = _means(apart, jnp.square(apart))  # [G, C]
    mean, var = wide[:, 0] + first, jnp.maximum(second - jnp.square(first), 0.0)
    if axis_name is not None:
        mean, var = over_devices(mean, var, near, axis_name)
    inverse = jax.lax.rsqrt(var + epsilon)
    normal = (wide - mean[:, None]) * (inverse * scale[None])[:, None] + bias[None, None]
    return (normal, mean, var), (x, mean, inverse, scale)


def _means(a: Float[Array, "G n C"], b: Float[Array, "G n C"]) -> Float[Array, "2 G C"]:
    """Means of both over n, by sums of `_ROWS` at most."""
    groups, number, channels = a.shape
    rows = next(r for r in range(min(_ROWS, number), 0, -1) if number % r == 0)
    parts = jnp.stack([v.reshape(groups, -1, rows, channels).sum(2) for v in (a, b)])
    return parts.sum(2) / number


def _backward(epsilon, axis_name, residuals, cotangents):
    """Ioffe and Szegedy, section 3, with the batch means taken over all devices."""
    del epsilon
    x, mean, inverse, scale = residuals
    d_normal = cotangents[0]
    standard = (x.astype(jnp.float32) - mean[:, None]) * inverse[:, None]
    # Not by `_means`: XLA would write the products down first.
    d_bias, d_scale = d_normal.sum(1), (d_normal * standard).sum(1)  # [G, C]
    means = d_bias / x.shape[1], d_scale / x.shape[1]
    if axis_name is not None:
        means = jax.lax.pmean(means, axis_name)
    d_x = d_normal - means[0][:, None] - standard * means[1][:, None]
    d_x = d_x * (inverse * scale[None])[:, None]
    return d_x.astype(x.dtype), d_scale.sum(0), d_bias.sum(0), jnp.zeros_like(scale)


_normalise.defvjp(_forward, _backward)
