"""One training step, pure, and its two drivers over devices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from radepth_jax.devices import AXIS
from radepth_jax.runs.flat import average_statistics, flatten_like, to_trees
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.state import TrainState
from radepth_jax.training.forward import compute_loss

StepFn = Callable[[TrainState, dict, int], tuple[TrainState, dict]]


def make_train_step(recipe: Recipe) -> Callable[..., tuple[TrainState, dict]]:
    """Build `train_step(state, batch, seed, *, axis_name=None)` for a recipe.

    The step is a pure function: `batch` is this device's part of the global batch, as `place_batch`
    lays it out; `axis_name` is None or the device axis `AXIS`, over which gradients, running
    averages and metrics are averaged. With `train.accumulate` the batch is computed in that many
    parts, as consecutive in the global batch whatever the devices. A step whose loss or gradient is
    not finite changes nothing but the step number and the counters. `seed` is an argument, so that
    runs that differ in nothing else share one compilation. The state may be one of `flat_state`.

    Args:
        recipe: of `make_recipe`.

    Returns:
        train_step -> (state, metrics), metrics a dict of float32 scalars.
    """

    def train_step(
        state: TrainState,
        batch: dict[str, jax.Array],
        seed: jax.Array | int,
        *,
        axis_name: str | None = None,
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        here = recipe.over_devices() if axis_name else recipe
        grad_fn = jax.grad(partial(compute_loss, recipe=here), has_aux=True)
        networks = to_trees(state.params)

        def compute_part(
            batch_stats: Any, part: dict[str, jax.Array], index: jax.Array
        ) -> tuple[Any, Any, dict[str, jax.Array]]:
            grads, (terms, found, _) = grad_fn(
                networks, to_trees(batch_stats), part, state.step, seed, index=index
            )
            averages = average_statistics(batch_stats, found)
            return averages, flatten_like(grads, state.params), terms

        parts = recipe.options.train.accumulate
        split = {k: v.reshape(parts, -1, *v.shape[1:]) for k, v in batch.items()}
        size = split["frames"].shape[1]
        devices = jax.lax.axis_size(axis_name) if axis_name else 1
        device = jax.lax.axis_index(axis_name) if axis_name else 0
        first = (jnp.arange(parts) * devices + device) * size
        index = first[:, None] + jnp.arange(size)[None]  # [parts, size]
        batch_stats, grads, terms = _sum_parts(compute_part, state.batch_stats, split, index)
        grads, terms = jax.tree.map(lambda x: x / parts, (grads, terms))
        if axis_name:
            grads, terms, batch_stats = jax.lax.pmean((grads, terms, batch_stats), axis_name)

        # Not by `optax.apply_if_finite`: it would let in BatchNorm statistics that are not finite,
        # and after some in a row such updates too.
        grad_norm = global_norm(grads)
        finite = jnp.isfinite(grad_norm) & jnp.isfinite(terms["total"])
        updates, opt_state = recipe.optimizer.update(grads, state.opt_state, state.params)
        # Otherwise the norm below could compute every update once more. (On a CPU XLA drops the
        # barrier before it fuses, but does not divide twice.)
        updates = jax.lax.optimization_barrier(updates)
        params = optax.apply_updates(state.params, updates)
        new = (params, batch_stats, opt_state)
        old = (state.params, state.batch_stats, state.opt_state)
        params, batch_stats, opt_state = jax.tree.map(
            lambda a, b: jnp.where(finite, a, b), new, old
        )
        bad = (~finite).astype(jnp.int32)
        new_state = TrainState(
            step=state.step + 1,
            params=params,
            batch_stats=batch_stats,
            opt_state=opt_state,
            nonfinite=state.nonfinite + bad,
            nonfinite_streak=(state.nonfinite_streak + 1) * bad,
        )
        metrics = terms | {
            "gradient_norm": grad_norm,
            "parameter_norm": global_norm(params),
            "update_norm": global_norm(updates),
            "learning_rate": jnp.asarray(recipe.schedule(state.step), jnp.float32),
            "nonfinite": new_state.nonfinite,
            "nonfinite_streak": new_state.nonfinite_streak,
        }
        return new_state, metrics

    return train_step


def global_norm(tree: Any) -> jax.Array:
    """Euclidean norm of all of a tree's numbers together.

    Leaves of equal shape are added up first: a sum for each of HRNet's thousand leaves would be a
    sixth of the step's compile time on a CPU.
    """
    by_shape: dict[tuple[int, ...], Any] = {}
    for leaf in jax.tree.leaves(tree):
        by_shape[leaf.shape] = by_shape.get(leaf.shape, 0.0) + jnp.square(leaf)
    return jnp.sqrt(sum((jnp.sum(squares) for squares in by_shape.values()), jnp.zeros(())))


def _sum_parts(
    compute_part: Callable[..., tuple[Any, Any, Any]],
    batch_stats: Any,
    split: dict[str, jax.Array],
    index: jax.Array,
) -> tuple[Any, Any, Any]:
    """The batch_stats after the last part, and the gradients and terms summed over all parts."""
    first = {k: v[0] for k, v in split.items()}
    if len(index) == 1:
        return compute_part(batch_stats, first, index[0])
    shapes = jax.eval_shape(compute_part, batch_stats, first, index[0])[1:]

    def add(carry: tuple[Any, Any], part: tuple[Any, jax.Array]) -> tuple[tuple[Any, Any], None]:
        batch_stats, sums = carry
        batch_stats, *values = compute_part(batch_stats, *part)
        return (batch_stats, jax.tree.map(jnp.add, sums, tuple(values))), None

    zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    (batch_stats, sums), _ = jax.lax.scan(add, (batch_stats, zeros), (split, index))
    return batch_stats, *sums


def pmap_step(train_step: Callable[..., Any], devices: list | None = None) -> StepFn:
    """Run the step under `jax.pmap`: state replicated and never stacked, batch [devices, B, ...].

    Args:
        train_step: of `make_train_step`.
        devices: local devices; all by default.
    """
    return jax.pmap(
        partial(train_step, axis_name=AXIS),
        axis_name=AXIS,
        in_axes=(None, 0, None),
        out_axes=None,
        devices=devices,
        donate_argnums=(0,),
    )


def shard_map_step(train_step: Callable[..., Any], devices: list | None = None) -> StepFn:
    """The same step under `jit(shard_map)`, which JAX recommends for new code.

    It serves runs of one process.

    It takes the same batch as `pmap_step`, [devices, B, ...]. `check_vma=False`, because with the
    default the gradient of replicated parameters is summed over the devices before `pmean` sees it.
    """

    def on_device(state: TrainState, batch: dict[str, jax.Array], seed: jax.Array | int) -> Any:
        own = {name: values[0] for name, values in batch.items()}
        return train_step(state, own, seed, axis_name=AXIS)

    mesh = Mesh(np.asarray(devices or jax.devices()), (AXIS,))
    return jax.jit(
        jax.shard_map(
            on_device,
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec(AXIS), PartitionSpec()),
            out_specs=(PartitionSpec(), PartitionSpec()),
            check_vma=False,
        ),
        donate_argnums=(0,),
    )
