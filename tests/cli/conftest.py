import jax
import pytest

from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture(scope="session")
def checkpoint(reference_config, tmp_path_factory):
    """A run with random weights whose pose network counts as trained."""
    folder = tmp_path_factory.mktemp("runs") / "micro"
    variables = variables_of(init_state(reference_config, 1))
    variables["pose"] = jax.tree.map(lambda leaf: 1.5 * leaf, variables["pose"])
    save_model(variables, reference_config, folder)
    return folder
