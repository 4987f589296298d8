"""A run's optimiser: any of optax's by its name, with a schedule and a factor for the pose."""

import dataclasses
import inspect
from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from radepth_jax.errors import UserError, reason
from radepth_jax.settings import Settings, setting


@dataclasses.dataclass(frozen=True)
class OptimizerOptions(Settings):
    """`config.optimizer`: how the parameters follow the gradients."""

    group = "optimizer"

    name: str = setting(
        "adam",
        '"adam", "sgd" or another function of optax that takes a learning rate: "adamw", "lion", '
        "...",
    )
    options: Mapping[str, Any] = setting(
        {}, 'Its other keyword arguments, which a config file may set: {"weight_decay": 1e-4}.'
    )
    learning_rate: float = setting(1e-4, "The learning rate at its highest.", least=0)
    pose_factor: float = setting(
        1.0, "The pose network's learning rate is the depth network's times this.", least=0
    )
    schedule: str = setting(
        "step",
        '"step": the learning rate falls to a tenth after 3/4 of the steps; "cosine": it falls to '
        "zero.",
        choices=("step", "cosine"),
    )
    warmup_steps: int = setting(
        0, "Steps at the start over which the learning rate grows from zero.", least=0
    )
    clip_norm: float = setting(
        0.0, "The largest norm of the whole gradient; 0 does not clip it.", least=0
    )


def make_optimizer(config: ConfigDict, total_steps: int) -> optax.GradientTransformation:
    """Gradient clipping, the optimiser that `config.name` names, and the pose network's factor.

    Args:
        config: `config.optimizer`. `name` is a function of optax with a `learning_rate`, such as
            "adam", "adamw", "lion" or "sgd". `options` has its other keyword arguments.
        total_steps: the length of the run, for the schedule.

    Raises:
        UserError: The name is unknown, or the optimiser does not take the options.
    """
    clip = optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity()
    transforms = [clip, *_rule(config, make_schedule(config, total_steps))]
    # Only if it is needed, because states that were saved before this existed lack it.
    if config.pose_factor != 1.0:
        transforms.append(_scale_pose(config.pose_factor))
    return optax.chain(*transforms)


def _rule(config: ConfigDict, schedule: optax.Schedule) -> list[optax.GradientTransformation]:
    """The named optimiser with its learning rate. Adam and SGD are two members of the chain.

    Checkpoints hold the states of these two in one flat tuple, together with the clipping's.
    """
    options = dict(config.options)
    make = getattr(optax, config.name, None)
    if not callable(make) or "learning_rate" not in inspect.signature(make).parameters:
        raise UserError(
            "config.optimizer.name: expected one of adam, sgd, or another optimiser of optax that "
            f"takes a learning rate, such as adamw or lion; got {config.name!r}"
        )
    try:
        if config.name == "adam":
            return [optax.scale_by_adam(**options), optax.scale_by_learning_rate(schedule)]
        if config.name == "sgd" and not options:
            return [optax.identity(), optax.scale_by_learning_rate(schedule)]
        rule = make(learning_rate=schedule, **options)
        jax.eval_shape(partial(_step_once, rule), jnp.ones(2))
    except (TypeError, ValueError) as error:
        raise UserError(
            f"config.optimizer: optax.{config.name} cannot be used with the options {options} "
            f"({reason(error)})"
        ) from error
    return [rule]


def _step_once(rule: optax.GradientTransformation, params: jax.Array) -> Any:
    """A step as in training: from gradients and parameters, without the loss's value."""
    return rule.update(params, rule.init(params), params)


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
        total_steps: the length of the run.
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    if config.schedule == "cosine":
        main = optax.cosine_decay_schedule(peak, max(total_steps - warmup, 1))
    else:
        main = optax.piecewise_constant_schedule(peak, {max(total_steps * 3 // 4 - warmup, 1): 0.1})
    if not warmup:
        return main
    return optax.join_schedules([optax.linear_schedule(0.0, peak, warmup), main], [warmup])
