"""Optimisers by name, and the pose network's own learning rate."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from radepth_jax.errors import UserError
from radepth_jax.runs.config import default_config
from radepth_jax.runs.optimizer import make_optimizer


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


@pytest.mark.parametrize(
    ("name", "options"),
    [("adamw", {"weight_decay": 0.1}), ("lion", {}), ("sgd", {"momentum": 0.9}), ("rmsprop", {})],
)
def test_any_optimiser_of_optax_is_had_by_its_name(name, options):
    """Two steps at a fixed learning rate, beside optax's own."""
    config = default_config().optimizer
    config.name, config.options, config.learning_rate = name, ConfigDict(options), 0.1
    ours = make_optimizer(config, 100)
    theirs = getattr(optax, name)(learning_rate=0.1, **options)
    params = {"depth": jnp.array([3.0, -1.0]), "pose": jnp.ones(2)}
    states, found = [ours.init(params), theirs.init(params)], [params, params]
    for gradient in (1.0, 0.3):
        for i, optimizer in enumerate((ours, theirs)):
            gradients = {"depth": gradient * found[i]["depth"], "pose": jnp.array([gradient, 2.0])}
            updates, states[i] = optimizer.update(gradients, states[i], found[i])
            found[i] = optax.apply_updates(found[i], updates)
    assert jnp.abs(found[0]["depth"] - params["depth"]).max() > 1e-3
    for part in ("depth", "pose"):
        np.testing.assert_allclose(found[0][part], found[1][part], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("newton", {}, "config.optimizer.name: expected one of adam, sgd, or another"),
        ("chain", {}, "config.optimizer.name: expected one of adam, sgd, or another"),
        ("adam", {"momentum": 0.9}, r"optax.adam cannot be used with .*momentum"),
        ("adamw", {"decay": 0.9}, r"optax.adamw cannot be used with .*decay"),
        ("lbfgs", {}, "optax.lbfgs cannot be used"),  # it wants the loss's value
        ("polyak_sgd", {}, "config.optimizer.name: expected one of adam, sgd, or another"),
    ],
)
def test_an_optimiser_that_cannot_be_used_is_named(name, options, message):
    config = default_config().optimizer
    config.name, config.options = name, ConfigDict(options)
    with pytest.raises(UserError, match=message):
        make_optimizer(config, 100)
