"""One training step, pure, and its two drivers over devices."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.devices import AXIS
from radepth_jax.train.forward import compute_loss
from radepth_jax.train.state import TrainState, make_optimizer, make_schedule

StepFn = Callable[[TrainState, dict], tuple[TrainState, dict]]


def make_train_step(config: ConfigDict, total_steps: int) -> Callable[..., tuple[TrainState, dict]]:
    """Build `train_step(state, batch, *, axis_name=None)` for a config.

    The step is a pure function: `batch` is this device's part of the global batch; `axis_name`
    names the device axis, over which gradients, running averages and metrics are averaged. A step
    whose loss or gradient is not finite changes nothing but the step number and the counters.

    Args:
        config: the whole config.
        total_steps: length of the run (for the learning-rate schedule).

    Returns:
        train_step -> (state, metrics), metrics a dict of float32 scalars.
    """
    optimizer = make_optimizer(config.optimizer, total_steps)
    schedule = make_schedule(config.optimizer, total_steps)

    def train_step(
        state: TrainState, batch: dict[str, jax.Array], *, axis_name: str | None = None
    ) -> tuple[TrainState, dict[str, jax.Array]]:
        networks = models.build(
            config.model, axis_name=axis_name if config.batch_norm_sync else None
        )
        grad_fn = jax.value_and_grad(
            partial(compute_loss, networks=networks, config=config, axis_name=axis_name),
            has_aux=True,
        )
        (_, (terms, batch_stats, _)), grads = grad_fn(
            state.params, state.batch_stats, batch, state.step
        )
        if axis_name:
            grads, terms, batch_stats = jax.lax.pmean((grads, terms, batch_stats), axis_name)

        grad_norm = optax.global_norm(grads)
        finite = jnp.isfinite(grad_norm) & jnp.isfinite(terms["total"])
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
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
            "parameter_norm": optax.global_norm(params),
            "update_norm": optax.global_norm(updates),
            "learning_rate": jnp.asarray(schedule(state.step), jnp.float32),
            "nonfinite": new_state.nonfinite,
            "nonfinite_streak": new_state.nonfinite_streak,
        }
        return new_state, metrics

    return train_step


def pmap_step(train_step: Callable[..., Any], devices: list | None = None) -> StepFn:
    """Run the step under `jax.pmap`: state replicated and never stacked, batch [devices, B, ...].

    Args:
        train_step: of `make_train_step`.
        devices: local devices; all by default.
    """
    return jax.pmap(
        partial(train_step, axis_name=AXIS),
        axis_name=AXIS,
        in_axes=(None, 0),
        out_axes=None,
        devices=devices,
        donate_argnums=(0,),
    )


def shard_map_step(train_step: Callable[..., Any], devices: list | None = None) -> StepFn:
    """The same step under `jit(shard_map)`, which JAX recommends for new code; batch [B, ...].

    `check_vma=False`, because with the default the gradient of replicated parameters is summed over
    the devices before `pmean` sees it.
    """
    mesh = Mesh(np.asarray(devices or jax.devices()), (AXIS,))
    return jax.jit(
        jax.shard_map(
            partial(train_step, axis_name=AXIS),
            mesh=mesh,
            in_specs=(PartitionSpec(), PartitionSpec(AXIS)),
            out_specs=(PartitionSpec(), PartitionSpec()),
            check_vma=False,
        ),
        donate_argnums=(0,),
    )
