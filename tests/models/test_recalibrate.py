"""Norms that get the statistics of their input keep what the network computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from radepth_jax import models
from radepth_jax.models import presets
from radepth_jax.models.recalibrate import recalibrate


def small(name: str) -> models.Networks:
    config = presets.tiny(name)
    if name == "ra_depth":
        # Two equal blocks in a branch, which are traced once.
        config["depth"]["encoder"] |= {"width": 4, "stem_width": 4, "blocks": 2}
    else:
        config["depth"]["encoder"] |= {"width": 4}
    return models.build(config)


def with_random_norms(variables):
    """Norms with any scale, bias, mean and variance, as of weights from anywhere."""
    random = np.random.default_rng(0)
    low = {"scale": 0.5, "bias": -0.5, "mean": -0.5, "var": 0.5}

    def change(path, leaf):
        if path[-2].key != "bn":
            return leaf
        start = low[path[-1].key]
        return jnp.asarray(random.uniform(start, start + 1, leaf.shape), jnp.float32)

    return jax.tree_util.tree_map_with_path(change, variables)


@pytest.mark.parametrize("name", ["monodepth2", "ra_depth"])
def test_results_stay_and_those_of_training_are_the_same(name):
    network = small(name).depth
    variables = models.init_variables(small(name), jax.random.key(0), (64, 32))["depth"]
    variables = with_random_norms(variables)
    images = jax.random.uniform(jax.random.key(1), (4, 32, 64, 3))
    others = jax.random.uniform(jax.random.key(2), (2, 32, 64, 3)) ** 3
    new = recalibrate(network, variables, images)

    @jax.jit
    def features(variables, images):
        return network.apply(variables, images, method="encode")

    for seen in (images, others):
        for found, expected in zip(features(new, seen), features(variables, seen), strict=True):
            scale = np.abs(expected).max()
            np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)

    @jax.jit
    def train(variables):
        return network.apply(
            variables, images, train=True, method="encode", mutable=["batch_stats"]
        )

    trained, updates = train(new)
    for found, expected in zip(trained, features(variables, images), strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-4)
    # A step on the same images would move the running means nowhere.
    old_stats, new_stats = (
        flatten_dict(stats) for stats in (new["batch_stats"], updates["batch_stats"])
    )
    for path, mean in old_stats.items():
        if path[-1] == "mean":
            deviation = np.sqrt(old_stats[*path[:-1], "var"] + 1e-5)
            np.testing.assert_allclose(new_stats[path] / deviation, mean / deviation, atol=1e-4)


def test_convolutions_are_left_alone():
    networks = small("monodepth2")
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))["depth"]
    images = jax.random.uniform(jax.random.key(1), (2, 32, 64, 3))
    before = flatten_dict(variables["params"])
    new = recalibrate(networks.depth, variables, images)
    after = flatten_dict(new["params"])
    assert before.keys() == after.keys()
    assert set(flatten_dict(new["batch_stats"])) == set(flatten_dict(variables["batch_stats"]))
    for path, value in before.items():
        if "bn" not in path:
            np.testing.assert_array_equal(after[path], value)
