"""Running statistics from real images, for networks whose norms have none."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jaxtyping import Array, Float

from radepth_jax.models.norm import BatchNorm


def recalibrate(
    network: nn.Module, variables: dict[str, Any], images: Float[Array, "N H W C"]
) -> dict[str, Any]:
    """Give every BatchNorm of `models.norm` the statistics of its input, and keep the results.

    Weights into which BatchNorm was folded come with norms that change nothing in evaluation mode.
    Training normalises by the batch's statistics, and would lose the scale of every channel. With
    the mean and the (biased) variance over `images` as running statistics, and a scale and a bias
    that undo them, results in evaluation mode stay as they are, and those in training mode on
    `images` are the same.

    Args:
        network: a network that is called with (images, train).
        variables: its {"params", "batch_stats"}.
        images: images like those that it will be trained on.

    Returns:
        New variables: `params` has other scales and biases of norms, and `batch_stats` has other
        means and variances.
    """
    measured = set()

    def measure(next_function, args, kwargs, context):
        result = next_function(*args, **kwargs)
        if isinstance(context.module, BatchNorm) and context.method_name == "__call__":
            measured.add(context.module.path)
            x = args[0].astype(jnp.float32)
            axes = tuple(range(x.ndim - 1))
            context.module.put_variable("batch_stats", "mean", x.mean(axes))
            context.module.put_variable("batch_stats", "var", x.var(axes))
        return result

    @jax.jit
    def statistics(variables: Any, images: Array) -> Any:
        # The blocks' own `jit` is off, because other calls share its traces.
        with nn.intercept_methods(measure), jax.disable_jit():
            _, updates = network.apply(variables, images, train=False, mutable=["batch_stats"])
        return updates["batch_stats"]

    params = flatten_dict(variables["params"])
    old, new = (
        flatten_dict(stats) for stats in (variables["batch_stats"], statistics(variables, images))
    )
    for norm in measured:
        scale, bias, mean, var = ((*norm, leaf) for leaf in ("scale", "bias", "mean", "var"))
        gain = params[scale] * jax.lax.rsqrt(old[var] + BatchNorm.epsilon)
        params[bias] = params[bias] + (new[mean] - old[mean]) * gain
        params[scale] = jnp.sqrt(new[var] + BatchNorm.epsilon) * gain
    return variables | {"params": unflatten_dict(params), "batch_stats": unflatten_dict(new)}
