"""What a training step does, built once from a config."""

import math
from dataclasses import dataclass, replace

import jax
import optax
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.devices import AXIS
from radepth_jax.losses import LossOptions
from radepth_jax.models import Networks
from radepth_jax.platforms import Operations, for_backend
from radepth_jax.runs.optimizer import make_optimizer, make_schedule
from radepth_jax.views import ViewOptions


@dataclass(frozen=True)
class Recipe:
    """The networks and the options of a training step; hashable, and nothing in it is traced.

    Attributes:
        networks: whose BatchNorm statistics are of one device's batch. In training they return
            those of every group; `average_statistics` puts them into the running averages.
        synchronised: the networks for a step over the device axis `devices.AXIS`; they average
            the statistics over it where the config asks for that.
        fixed_statistics: whether BatchNorm normalises by its running statistics and keeps them.
        batch_norm: "per_view" (the high, middle and low views apart) or "joint".
        frame_offsets: of a sample's frames, the target's 0 first; "s" is the opposite camera.
        views: how the views are made.
        resolutions: that steps take in turns; empty where all have that of `views`.
        seen: (width, height) at which the depth network sees the views; None is that of `views`.
        loss: the objective's options.
        true_scale: where positive, the data set's own poses replace the pose network's, their
            metres times this.
        align: of each step of direct image alignment after the pose network, by how much it shrinks
            the images; none where empty.
        turns_from: the step from which alignment finds rotations too.
        learns_camera: whether the focal length is a parameter, in place of the data set's camera.
        learn_fov_from: the step from which it moves.
        accumulate: the number of consecutive parts in which a step's batch is computed.
        optimizer: of the parameters.
        schedule: the learning rate by step, for the log.
    """

    networks: Networks
    synchronised: Networks
    fixed_statistics: bool
    batch_norm: str
    frame_offsets: tuple[int | str, ...]
    views: ViewOptions
    resolutions: tuple[tuple[int, int], ...]
    seen: tuple[int, int] | None
    loss: LossOptions
    true_scale: float
    align: tuple[int, ...]
    turns_from: int
    learns_camera: bool
    learn_fov_from: int
    accumulate: int
    optimizer: optax.GradientTransformation
    schedule: optax.Schedule

    def over_devices(self) -> "Recipe":
        """The recipe with the networks for a step over the device axis."""
        return replace(self, networks=self.synchronised)

    def with_views(self, *names: str) -> "Recipe":
        """The recipe with these views alone."""
        return replace(self, views=replace(self.views, names=names))

    def with_fixed_statistics(self) -> "Recipe":
        """The recipe for steps that keep BatchNorm's statistics."""
        return replace(self, fixed_statistics=True)

    def in_turns(self) -> tuple["Recipe", ...]:
        """A recipe for each of the resolutions."""
        return tuple(map(self._at, self.resolutions)) or (self,)

    def _at(self, resolution: tuple[int, int]) -> "Recipe":
        # What is seen small is judged by the finer views: its own pixels show little motion.
        if math.prod(resolution) < math.prod(self.views.resolution):
            return replace(self, seen=resolution)
        return replace(self, views=replace(self.views, resolution=resolution))


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
        fixed_statistics=False,
        batch_norm=config.batch_norm,
        frame_offsets=tuple(config.data.frame_offsets),
        views=ViewOptions(**config.views),
        resolutions=tuple(map(tuple, config.train.resolutions)),
        seen=None,
        loss=LossOptions(**config.loss),
        true_scale=config.pose.true_scale,
        align=tuple(config.pose.align),
        turns_from=config.pose.turns_from,
        learns_camera=config.pose.learned_fov > 0,
        learn_fov_from=config.pose.learn_fov_from,
        accumulate=config.train.accumulate,
        optimizer=make_optimizer(config.optimizer, total_steps),
        schedule=make_schedule(config.optimizer, total_steps),
    )
