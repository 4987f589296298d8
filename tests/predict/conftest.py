import pytest

from radepth_jax.predict import load
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture(scope="session")
def run_folder(reference_config, tmp_path_factory):
    """An untrained micro network as a checkpoint."""
    folder = tmp_path_factory.mktemp("runs") / "micro"
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    return folder


@pytest.fixture(scope="session")
def predictor(run_folder):
    return load(run_folder)
