"""Modules of one form, one after the other, compiled once."""

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp


def repeat(
    parent: nn.Module, names: Sequence[str], make: Callable[..., nn.Module], x: Any, *, scan: bool
) -> Any:
    """`x` through the submodules `names` of `parent`, which `make(name=...)` makes, in order.

    With `scan`, where there is more than one, their variables are stacked and one module's program
    runs in a loop: a fraction of the time to trace and compile. The variables' layout and the
    result are the same.

    Args:
        parent: the module that calls this in its compact method.
        names: of the submodules.
        make: a module with BatchNorm in training mode where `scan`; keeps its input's shapes.
        x: arrays.
        scan: whether to loop.
    """
    if not scan or len(names) == 1 or parent.is_initializing():
        for name in names:
            x = make(name=name)(x)
        return x
    each = [{kind: values[name] for kind, values in parent.variables.items()} for name in names]
    module = make(parent=None)
    x, updates = jax.lax.scan(
        lambda x, variables: module.apply(variables, x, mutable=["batch_stats"]),
        x,
        jax.tree.map(lambda *leaves: jnp.stack(leaves), *each),
    )
    for index, name in enumerate(names):
        update = jax.tree.map(lambda leaf, index=index: leaf[index], updates["batch_stats"])
        parent.put_variable("batch_stats", name, update)
    return x
