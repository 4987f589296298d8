import pytest

from radepth_jax.predict import load


@pytest.fixture(scope="session")
def predictor(run_folder):
    return load(run_folder)
