import jax
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.runs.saved_model import load_model, save_model, store_metric_scale
from radepth_jax.runs.state import init_state, variables_of


def test_saved_model_loads_exactly_with_its_scale(reference_config, tmp_path):
    variables = variables_of(init_state(reference_config, 1))
    save_model(variables, reference_config, tmp_path / "converted")
    model = load_model(tmp_path / "converted")
    assert (model.name, model.step, model.metric_scale) == ("converted", 0, None)
    assert model.depth_range == (0.1, 100.0)
    assert_same(model.variables, variables)
    store_metric_scale(tmp_path / "converted", 0, 5.4)
    model = load_model(tmp_path / "converted")
    assert model.metric_scale == 5.4
    assert_same(model.variables, variables)


def assert_same(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_second_model_in_one_folder_is_refused(reference_config, tmp_path):
    variables = variables_of(init_state(reference_config, 1))
    save_model(variables, reference_config, tmp_path)
    with pytest.raises(UserError, match="already holds a checkpoint"):
        save_model(variables, reference_config, tmp_path)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", *(f'{{"metres_per_unit": {v}}}' for v in ("-2", "NaN", "null"))]
)
def test_damaged_scale_names_the_file(reference_config, tmp_path, content):
    save_model(variables_of(init_state(reference_config, 1)), reference_config, tmp_path)
    path = store_metric_scale(tmp_path, 0, 2.0)
    path.write_text(content)
    with pytest.raises(UserError, match=r"metric_scale\.json: cannot be read"):
        load_model(tmp_path)
