"""The networks against the published PyTorch implementations, on the same weights and inputs."""

import jax
import numpy as np
import pytest
from published_networks import FAST_COMPILE, SYSTEMS, images, pairs, reference, state_dicts

from radepth_jax import models
from radepth_jax.interop.torch_keys import torch_from_variables, variables_from_torch
from radepth_jax.models import presets

# RA-Depth has one disparity, the others have four.
SCALES = {"ra_depth": 1, "monodepth2": 4, "hr_depth": 4, "diffnet": 4}


@pytest.fixture(scope="module", params=list(SYSTEMS))
def system(request):
    return request.param


@pytest.fixture(scope="module")
def networks(system):
    return models.build(presets.MODELS[system]())


@pytest.fixture(scope="module")
def variables(system, networks):
    parts = state_dicts(system)
    if "pose" not in parts:  # the variables have one all the same
        fresh = models.init_variables(networks, jax.random.key(0), (192, 64))
        drawn = torch_from_variables(fresh, presets.MODELS[system]())
        parts |= {part: drawn[part] for part in ("pose_encoder", "pose")}
    return variables_from_torch(parts, presets.MODELS[system]())


def test_features_and_disparities_in_evaluation(system, networks, variables):
    def run(variables, images):
        features = networks.depth.apply(variables, images, method="encode")
        return features, networks.depth.apply(variables, images)

    run = jax.jit(run, compiler_options=FAST_COMPILE)
    features, disparities = run(variables["depth"], images())
    expected = reference(system)
    assert len(features) == 5
    for i, size in enumerate(features):
        for j, feature in enumerate(size if isinstance(size, list) else [size]):
            # The reference has the first image, every fourth row and column.
            some = np.asarray(feature)[:1, ::4, ::4]
            np.testing.assert_allclose(some, expected[f"eval/feature_{i}_{j}"], atol=1e-5)
    assert len(disparities) == SCALES[system]
    for scale, disparity in enumerate(disparities):
        np.testing.assert_allclose(disparity, expected[f"eval/disp_{scale}"], atol=1e-5)


def test_disparities_and_running_statistics_in_training(system, networks, variables):
    @jax.jit(compiler_options=FAST_COMPILE)
    def run(variables, images):
        return networks.depth.apply(variables, images, train=True, mutable=["batch_stats"])

    disparities, updated = run(variables["depth"], images())
    expected = reference(system)
    for scale, disparity in enumerate(disparities):
        np.testing.assert_allclose(disparity, expected[f"train/disp_{scale}"], atol=1e-4)
    stem = "stem1" if "stem1" in updated["batch_stats"]["encoder"] else "stem"
    first = updated["batch_stats"]["encoder"][stem]["bn"]
    np.testing.assert_allclose(first["mean"], expected["train/encoder.bn1.running_mean"], atol=1e-6)
    np.testing.assert_allclose(first["var"], expected["train/encoder.bn1.running_var"], rtol=1e-6)


@pytest.mark.parametrize("system", ["ra_depth", "monodepth2"], indirect=True)
def test_pose(system, networks, variables):
    run = jax.jit(networks.pose.apply, compiler_options=FAST_COMPILE)
    axisangle, translation = run(variables["pose"], pairs())
    expected = reference(system)
    # The published network gives a motion for both frames and uses the first.
    np.testing.assert_allclose(axisangle, expected["pose/axisangle"][:, 0, 0], atol=1e-8)
    np.testing.assert_allclose(translation, expected["pose/translation"][:, 0, 0], atol=1e-8)
