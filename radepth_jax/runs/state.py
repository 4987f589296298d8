"""What training carries from step to step."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from radepth_jax import models


@flax.struct.dataclass
class TrainState:
    """Everything a checkpoint needs to continue exactly.

    Attributes:
        step: int32 [], steps taken (skipped ones too): it names the next batch and its randomness.
        params: {"depth", "pose"} parameters, float32.
        batch_stats: {"depth", "pose"} BatchNorm running averages, float32.
        opt_state: the optimiser's.
        nonfinite: int32 [], steps skipped so far for a non-finite loss or gradient.
        nonfinite_streak: int32 [], of these, how many in a row up to now.
    """

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any
    nonfinite: jax.Array
    nonfinite_streak: jax.Array


def variables_of(state: TrainState) -> dict:
    """The networks' variables: {"depth": {"params", "batch_stats"}, "pose": {...}}."""
    return {
        name: {"params": state.params[name], "batch_stats": state.batch_stats[name]}
        for name in state.params
    }


def make_optimizer(config: ConfigDict, total_steps: int) -> optax.GradientTransformation:
    """Adam or SGD with the step schedule (METHOD: x0.1 after 3/4 of the steps) or cosine decay."""
    transforms = [
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity(),
        optax.scale_by_adam() if config.name == "adam" else optax.identity(),
        optax.scale_by_learning_rate(make_schedule(config, total_steps)),
    ]
    if config.pose_factor != 1.0:  # Only then, so that states saved before there was this fit.
        transforms.append(_scale_pose(config.pose_factor))
    return optax.chain(*transforms)


def _scale_pose(factor: float) -> optax.GradientTransformation:
    """The pose network's updates times `factor`."""

    def scale(updates: Any, params: Any) -> Any:
        del params
        return updates | {"pose": jax.tree.map(lambda update: factor * update, updates["pose"])}

    return optax.stateless(scale)


def make_schedule(config: ConfigDict, total_steps: int) -> optax.Schedule:
    """Learning rate by step.

    Args:
        config: `config.optimizer`.
        total_steps: length of the run.
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "cosine":
        main = optax.cosine_decay_schedule(peak, max(total_steps - warmup, 1))
    else:
        main = optax.piecewise_constant_schedule(peak, {max(total_steps * 3 // 4 - warmup, 1): 0.1})
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])


def create_state(variables: dict, optimizer: optax.GradientTransformation) -> TrainState:
    """A state at step 0 from the networks' variables.

    Args:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}}.
        optimizer: of `make_optimizer`.
    """
    params = {name: v["params"] for name, v in variables.items()}
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats={name: v.get("batch_stats", {}) for name, v in variables.items()},
        opt_state=optimizer.init(params),
        nonfinite=jnp.zeros((), jnp.int32),
        nonfinite_streak=jnp.zeros((), jnp.int32),
    )


def state_shapes(config: ConfigDict, total_steps: int) -> TrainState:
    """As `init_state`, but only shapes and types (`jax.ShapeDtypeStruct`)."""
    shapes = models.variable_shapes(models.build(config.model), tuple(config.views.resolution))
    optimizer = make_optimizer(config.optimizer, total_steps)
    return jax.eval_shape(lambda variables: create_state(variables, optimizer), shapes)


def init_state(config: ConfigDict, total_steps: int) -> TrainState:
    """A fresh state: networks initialised from `config.seed`, nothing pretrained."""
    networks = models.build(config.model)
    key = jax.random.key(config.seed)
    variables = models.init_variables(networks, key, tuple(config.views.resolution))
    return create_state(variables, make_optimizer(config.optimizer, total_steps))
