"""The state that training carries from step to step."""

import math
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.data.intrinsics import focal_from_fov, fov_from_focal
from radepth_jax.runs.optimizer import make_optimizer

_PACE = 5.0  # see `focal_length`


@flax.struct.dataclass
class TrainState:
    """Everything a checkpoint needs to continue exactly.

    Attributes:
        step: int32 [], how many steps were taken, skipped ones included. It determines the next
            batch and its randomness.
        params: {"depth", "pose"} parameters, float32, and "camera" if the camera is learned.
        batch_stats: BatchNorm's running averages of the networks, float32.
        opt_state: the optimiser's state.
        nonfinite: int32 [], how many steps were skipped for a loss or gradient that was not finite.
        nonfinite_streak: int32 [], how many of these were the last steps in a row.
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


def camera_variables(config: ConfigDict) -> dict:
    """The learned part of the camera, as variables of a third network. {} if it is known.

    `log_focal` [] is the parameter of `focal_length`.
    """
    if not config.pose.learned_fov:
        return {}
    focal = focal_from_fov(config.pose.learned_fov)
    params = {"log_focal": jnp.asarray(math.log(focal) / _PACE, jnp.float32)}
    return {"camera": {"params": params, "batch_stats": {}}}


def focal_length(log_focal: jax.Array) -> jax.Array:
    """The focal length in widths of the image: the exponential of 5 times the parameter.

    An optimiser such as Adam moves a parameter by the learning rate. This parameter's gradient is
    mostly noise, so with a factor of 1 the focal length would need thousands of steps.
    """
    return jnp.exp(_PACE * log_focal)


def learned_fov(params: dict) -> float | None:
    """The horizontal field of view in degrees in a state's parameters, if it is learned."""
    if "camera" not in params:
        return None
    return fov_from_focal(float(focal_length(params["camera"]["log_focal"])))


def create_state(variables: dict, optimizer: optax.GradientTransformation) -> TrainState:
    """A state at step 0 from the networks' variables.

    Args:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}} and `camera_variables`.
        optimizer: from `make_optimizer`.
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
    """The shapes and types of `init_state` (`jax.ShapeDtypeStruct`)."""
    shapes = models.variable_shapes(models.build(config.model), tuple(config.views.resolution))
    optimizer = make_optimizer(config.optimizer, total_steps)
    return jax.eval_shape(
        lambda variables: create_state(variables | camera_variables(config), optimizer), shapes
    )


def init_state(config: ConfigDict, total_steps: int) -> TrainState:
    """A fresh state, whose networks are initialised from `config.seed` and not pretrained."""
    networks = models.build(config.model)
    key = jax.random.key(config.seed)
    variables = models.init_variables(networks, key, tuple(config.views.resolution))
    optimizer = make_optimizer(config.optimizer, total_steps)
    return create_state(variables | camera_variables(config), optimizer)
