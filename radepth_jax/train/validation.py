"""What a run measures of its validation split: depth metrics, or without depth the rebuilding."""

from collections.abc import Callable

import jax
from ml_collections import ConfigDict

from radepth_jax.data import Dataset, EvaluationSource
from radepth_jax.errors import UserError
from radepth_jax.evaluate.evaluator import evaluate
from radepth_jax.evaluate.row import Row, UnusablePredictionError
from radepth_jax.runs.options import validation_resolutions
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.saved_model import Model
from radepth_jax.runs.state import TrainState, variables_of
from radepth_jax.train.held_out import HeldOut
from radepth_jax.train.metric_log import MetricLog


class Validation:
    """The measurement of a run's states.

    Args:
        recipe: of the run.
        config: likewise.
        dataset: what it trains on; without the config's validation split nothing is measured.
        say: prints a line.
    """

    def __init__(
        self, recipe: Recipe, config: ConfigDict, dataset: Dataset, say: Callable[[str], None]
    ) -> None:
        self._recipe, self._config, self._say = recipe, config, say
        split = config.data.validation_split
        self._truth: EvaluationSource | None = None
        self._held_out: HeldOut | None = None
        if not config.train.validate_every:
            return
        if dataset.has_depth(split):
            self._truth = EvaluationSource(dataset, split)
        elif split in dataset.splits and jax.process_index() == 0:
            self._held_out = _held_out(recipe, dataset, split)

    @property
    def before_training(self) -> bool:
        """Whether there is something worth measuring before the first step."""
        return self._held_out is not None

    def __call__(self, step: int, state: TrainState, log: MetricLog) -> None:
        """Measure, log and say it; all processes of a run call this together.

        Args:
            step: of the state.
            state: on the host, with trees of parameters.
            log: gets the figures.
        """
        if self._truth is not None:
            for row in self._evaluate(step, state, self._truth):
                log.scalars(step, row.metrics, f"validation/{row.resolution}")
                self._say(
                    f"step {step}: validation AbsRel {row.metrics['abs_rel']:.4f} "
                    f"at {row.resolution}"
                )
        if self._held_out is not None:
            error, picture = self._held_out(state)
            log.scalars(step, {"photometric": error}, "validation")
            log.picture(step, "held_out", picture)
            when = f"step {step}" if step else "before training"
            self._say(
                f"{when}: photometric error {error:.4f} on {len(self._held_out)} held-out samples"
            )

    def _evaluate(self, step: int, state: TrainState, source: EvaluationSource) -> list[Row]:
        """The rows; none, with a line, of a network that cannot be judged, which may yet learn."""
        config = self._config
        try:
            rows = evaluate(
                Model("validation", self._recipe.networks, variables_of(state), config),
                source,
                validation_resolutions(config),
                protocol=protocol_of(config),
                factor=config.evaluate.scale_factor,
                batch_size=config.evaluate.batch_size,
            )
        except UnusablePredictionError as error:
            self._say(f"step {step}: no figures, {error}")
            return []
        return [row for row in rows if row.scaling == config.evaluate.scaling]


def _held_out(recipe: Recipe, dataset: Dataset, split: str) -> HeldOut | None:
    """None where the split has no frame with all the neighbours."""
    try:
        return HeldOut(recipe, dataset, split)
    except UserError:
        return None
