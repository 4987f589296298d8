"""What a training step does, built once from a config."""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import optax
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.devices import AXIS
from radepth_jax.losses import LossOptions
from radepth_jax.models import Networks
from radepth_jax.platforms import Operations, for_backend
from radepth_jax.runs.optimizer import make_optimizer, make_schedule
from radepth_jax.runs.options import Options, PoseOptions, options_of
from radepth_jax.views import ViewOptions


@dataclass(frozen=True)
class Recipe:
    """The networks and the options of a training step; hashable, and nothing in it is traced.

    Attributes:
        networks: whose BatchNorm statistics are of one device's batch. In training they return
            those of every group; `average_statistics` puts them into the running averages.
        synchronised: the networks for a step over the device axis `devices.AXIS`; they average
            the statistics over it where the config asks for that.
        options: the config's, of the run; of a step, with the views that it has.
        seen: (width, height) at which the depth network sees the views; None is that of the views.
        fixed_statistics: whether BatchNorm normalises by its running statistics and keeps them.
        optimizer: of the parameters.
        schedule: the learning rate by step, for the log.
    """

    networks: Networks
    synchronised: Networks
    options: Options
    seen: tuple[int, int] | None
    fixed_statistics: bool
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule

    @property
    def views(self) -> ViewOptions:
        """How the views are made."""
        return self.options.views

    @property
    def loss(self) -> LossOptions:
        """The objective's options."""
        return self.options.loss

    @property
    def pose(self) -> PoseOptions:
        """How the motion and the focal length are found."""
        return self.options.pose

    def with_options(self, **groups: Any) -> "Recipe":
        """The recipe with other options, such as `views=` and `loss=`."""
        return replace(self, options=replace(self.options, **groups))

    def over_devices(self) -> "Recipe":
        """The recipe with the networks for a step over the device axis."""
        return replace(self, networks=self.synchronised)

    def at(self, step: int) -> "Recipe":
        """The recipe of a step, from 1: which views it has, how they are seen, and BatchNorm's way.

        Steps that have these in common have equal recipes.
        """
        train, views, seen = self.options.train, self.views, None
        if step <= train.middle_view_steps:
            views = replace(views, names=("middle",))
        elif train.resolutions:
            resolution = train.resolutions[step % len(train.resolutions)]
            # What is seen small is judged by the finer views: its own pixels show little motion.
            if math.prod(resolution) < math.prod(views.resolution):
                seen = resolution
            else:
                views = replace(views, resolution=resolution)
        fixed = 0 <= train.batch_statistics_steps < step
        return replace(self.with_options(views=views), seen=seen, fixed_statistics=fixed)


def make_recipe(
    config: ConfigDict,
    total_steps: int,
    ops: Operations | None = None,
) -> Recipe:
    """Build the networks, the options and the optimiser that a config describes.

    Args:
        config: as `default_config`.
        total_steps: the length of the run, for the learning rate's schedule.
        ops: the networks' operations, by default those for this process's backend. Give them to
            compile for another one, or `platforms.PLAIN` to differentiate the loss in every mode.

    Raises:
        UserError: for a setting that cannot be used.
    """

    def build(axis_name: str | None) -> Networks:
        policy = models.Policy(
            axis_name=axis_name,
            remat=config.train.rematerialise,
            ops=ops or for_backend(jax.default_backend()),
            averages=False,
        )
        return models.build(config.model, policy)

    return Recipe(
        networks=build(None),
        synchronised=build(AXIS if config.batch_norm_sync else None),
        options=options_of(config),
        seen=None,
        fixed_statistics=False,
        optimizer=make_optimizer(config.optimizer, total_steps),
        schedule=make_schedule(config.optimizer, total_steps),
    )
