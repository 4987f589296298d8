"""Optimisers by name, and the pose network's own learning rate."""

import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.runs.config import default_config
from radepth_jax.runs.state import make_optimizer


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_the_pose_factor_scales_the_pose_networks_updates_alone(name):
    params = {"depth": jnp.ones(3), "pose": jnp.ones(2)}
    gradients = {"depth": jnp.array([1.0, -2.0, 3.0]), "pose": jnp.array([0.5, -4.0])}
    updates = {}
    for factor in (1.0, 5.0):
        config = default_config().optimizer
        config.name, config.pose_factor = name, factor
        optimizer = make_optimizer(config, 100)
        updates[factor], _ = optimizer.update(gradients, optimizer.init(params), params)
    np.testing.assert_allclose(updates[5.0]["depth"], updates[1.0]["depth"], rtol=1e-6)
    np.testing.assert_allclose(updates[5.0]["pose"], 5 * updates[1.0]["pose"], rtol=1e-6)


def test_without_a_pose_factor_the_state_has_the_form_of_earlier_checkpoints():
    config = default_config().optimizer
    assert len(make_optimizer(config, 100).init({"depth": jnp.ones(1), "pose": jnp.ones(1)})) == 3
