"""What training carries from step to step."""

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
        step: int32 [], steps taken (skipped ones too): it names the next batch and its randomness.
        params: {"depth", "pose"} parameters, float32; where the camera is learned also "camera".
        batch_stats: BatchNorm's running averages of the same, float32.
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


def camera_variables(config: ConfigDict) -> dict:
    """What is learned of the camera, as variables of a third network; {} where it is known.

    `log_focal` [] is what `focal_length` takes.
    """
    if not config.pose.learned_fov:
        return {}
    focal = focal_from_fov(config.pose.learned_fov)
    params = {"log_focal": jnp.asarray(math.log(focal) / _PACE, jnp.float32)}
    return {"camera": {"params": params, "batch_stats": {}}}


def focal_length(log_focal: jax.Array) -> jax.Array:
    """The focal length in widths of the image: the exponential of 5 times the parameter.

    An optimiser such as Adam moves a parameter by the learning rate. Its gradient is mostly noise
    here, so with a factor of 1 the focal length would be on its way for thousands of steps.
    """
    return jnp.exp(_PACE * log_focal)


def learned_fov(params: dict) -> float | None:
    """The horizontal field of view in degrees that a state's parameters hold, if they hold one."""
    if "camera" not in params:
        return None
    return fov_from_focal(float(focal_length(params["camera"]["log_focal"])))


def create_state(variables: dict, optimizer: optax.GradientTransformation) -> TrainState:
    """A state at step 0 from the networks' variables.

    Args:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}}, and of `camera_variables`.
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
    return jax.eval_shape(
        lambda variables: create_state(variables | camera_variables(config), optimizer), shapes
    )


def init_state(config: ConfigDict, total_steps: int) -> TrainState:
    """A fresh state: networks initialised from `config.seed`, nothing pretrained."""
    networks = models.build(config.model)
    key = jax.random.key(config.seed)
    variables = models.init_variables(networks, key, tuple(config.views.resolution))
    optimizer = make_optimizer(config.optimizer, total_steps)
    return create_state(variables | camera_variables(config), optimizer)
