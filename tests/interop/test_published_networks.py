"""The networks against the published PyTorch implementation, on the same weights and inputs."""

import jax
import numpy as np
import pytest
from published_networks import FAST_COMPILE, images, pairs, reference, state_dicts

from radepth_jax import models
from radepth_jax.interop.torch_keys import variables_from_torch
from radepth_jax.models import presets


@pytest.fixture(scope="module")
def networks():
    return models.build(presets.ra_depth())


@pytest.fixture(scope="module")
def variables():
    return variables_from_torch(state_dicts(), presets.ra_depth())


def test_features_and_disparity_in_evaluation(networks, variables):
    def run(variables, images):
        depth = networks.depth
        return depth.apply(variables, images, method="encode"), depth.apply(variables, images)

    run = jax.jit(run, compiler_options=FAST_COMPILE)
    features, disparities = run(variables["depth"], images())
    expected = reference()
    assert len(features) == 5
    for i, feature in enumerate(features):
        # The reference has the first image, every fourth row and column.
        some = np.asarray(feature)[:1, ::4, ::4]
        np.testing.assert_allclose(some, expected[f"eval/feature_{i}_0"], atol=1e-5)
    assert len(disparities) == 1
    np.testing.assert_allclose(disparities[0], expected["eval/disp_0"], atol=1e-5)


def test_disparity_and_running_statistics_in_training(networks, variables):
    @jax.jit(compiler_options=FAST_COMPILE)
    def run(variables, images):
        return networks.depth.apply(variables, images, train=True, mutable=["batch_stats"])

    (disparity,), updated = run(variables["depth"], images())
    expected = reference()
    np.testing.assert_allclose(disparity, expected["train/disp_0"], atol=1e-4)
    first = updated["batch_stats"]["encoder"]["stem1"]["bn"]
    np.testing.assert_allclose(first["mean"], expected["train/encoder.bn1.running_mean"], atol=1e-6)
    np.testing.assert_allclose(first["var"], expected["train/encoder.bn1.running_var"], rtol=1e-6)


def test_pose(networks, variables):
    run = jax.jit(networks.pose.apply, compiler_options=FAST_COMPILE)
    axisangle, translation = run(variables["pose"], pairs())
    expected = reference()
    # The published network gives a motion for both frames and uses the first.
    np.testing.assert_allclose(axisangle, expected["pose/axisangle"][:, 0, 0], atol=1e-8)
    np.testing.assert_allclose(translation, expected["pose/translation"][:, 0, 0], atol=1e-8)
