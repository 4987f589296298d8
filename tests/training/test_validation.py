"""What a run measures on the way."""

import jax
import numpy as np

from radepth_jax.data import open_dataset
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.training.validation import Validation


class Log:
    def scalars(self, *values):
        raise AssertionError(f"logged {values}")


def test_a_network_that_cannot_be_judged_has_no_figure_and_trains_on(micro_config):
    lines = []
    dataset = open_dataset(micro_config.data.name, micro_config.data.data_dir)
    validate = Validation(make_recipe(micro_config, 1), micro_config, dataset, lines.append)
    state = jax.tree.map(np.asarray, init_state(micro_config, 1))
    depth = jax.tree.map(lambda leaf: leaf * np.nan, state.params["depth"])
    validate(3, state.replace(params=state.params | {"depth": depth}), Log())
    (line,) = lines
    assert line.startswith("step 3: no figures, validation at 64x32: the predicted depth is NaN")
