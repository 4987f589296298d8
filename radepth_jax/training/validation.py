"""What a run measures on its validation split: depth metrics, or the photometric error.

The photometric error is for data sets without depth.
"""

from collections.abc import Callable

import jax
from ml_collections import ConfigDict

from radepth_jax.data import Dataset, EvaluationSource
from radepth_jax.errors import UserError
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.evaluation.row import Row, UnusablePredictionError
from radepth_jax.runs.options import validation_resolutions
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.saved_model import Model
from radepth_jax.runs.state import TrainState, variables_of
from radepth_jax.training.metric_log import MetricLog
from radepth_jax.training.photometric_validation import PhotometricValidation


class Validation:
    """The measurement of a run's states.

    Args:
        recipe: the run's recipe.
        config: the run's config.
        dataset: what it trains on. If it lacks the config's validation split, nothing is measured.
        say: prints a line.
    """

    def __init__(
        self, recipe: Recipe, config: ConfigDict, dataset: Dataset, say: Callable[[str], None]
    ) -> None:
        self._recipe, self._config, self._say = recipe, config, say
        split = config.data.validation_split
        self._truth: EvaluationSource | None = None
        self._photometric: PhotometricValidation | None = None
        if not config.train.validate_every:
            return
        if dataset.has_depth(split):
            self._truth = EvaluationSource(dataset, split)
        elif split in dataset.splits and jax.process_index() == 0:
            self._photometric = _photometric(recipe, dataset, split)

    @property
    def before_training(self) -> bool:
        """Whether the measurement before the first step is worth its time."""
        return self._photometric is not None

    def __call__(self, step: int, state: TrainState, log: MetricLog) -> None:
        """Measure, log and print. All processes of a run call this together.

        Args:
            step: the state's step.
            state: a state on the host, with trees of parameters.
            log: gets the figures.
        """
        if self._truth is not None:
            for row in self._evaluate(step, state, self._truth):
                log.scalars(step, row.metrics, f"validation/{row.resolution}")
                self._say(
                    f"step {step}: validation AbsRel {row.metrics['abs_rel']:.4f} "
                    f"at {row.resolution}"
                )
        if self._photometric is not None:
            error, picture = self._photometric(state)
            log.scalars(step, {"photometric": error}, "validation")
            log.picture(step, "held_out", picture)
            when = f"step {step}" if step else "before training"
            count = len(self._photometric)
            self._say(f"{when}: photometric error {error:.4f} on {count} held-out samples")

    def _evaluate(self, step: int, state: TrainState, source: EvaluationSource) -> list[Row]:
        """The rows of the table.

        A network whose predictions cannot be judged may yet learn: it gets no rows and one line.
        """
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


def _photometric(recipe: Recipe, dataset: Dataset, split: str) -> PhotometricValidation | None:
    """The measurement, or None if no frame of the split has all its neighbours."""
    try:
        return PhotometricValidation(recipe, dataset, split)
    except UserError:
        return None
