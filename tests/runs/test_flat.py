"""States as vectors: nothing is lost, and optimisers see the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from radepth_jax.models.norm import average
from radepth_jax.runs.flat import (
    ELEMENTWISE,
    average_statistics,
    flat_state,
    flatten,
    flatten_like,
    to_trees,
)
from radepth_jax.runs.optimizer import make_optimizer
from radepth_jax.runs.state import init_state

TREE = {
    "conv": {"kernel": np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)},
    "dense": {"kernel": np.ones((2, 3), np.float32), "bias": np.full(3, 7, np.float32)},
    "scale": np.zeros((), np.float32),
}
SIZES = (("first", 3), ("second", 5))


@pytest.mark.parametrize("of", [np.asarray, jnp.asarray])
def test_a_tree_comes_back_from_its_vector(of):
    tree = jax.tree.map(of, TREE)
    flat = flatten(tree)
    assert flat.vector.shape == (130,)
    assert isinstance(flat.vector, type(tree["scale"]))
    jax.tree.map(np.testing.assert_array_equal, flat.tree(), TREE)


def test_kernels_of_convolutions_lie_with_their_output_channels_first():
    vector = flatten(TREE).vector
    np.testing.assert_array_equal(vector[:24], TREE["conv"]["kernel"][..., 0].ravel())


def test_the_vector_is_the_only_leaf():
    flat = flatten(TREE)
    assert len(jax.tree.leaves(flat)) == 1
    doubled = jax.tree.map(lambda x: 2 * x, flat)
    np.testing.assert_array_equal(doubled.tree()["dense"]["bias"], 14)


def test_only_what_the_other_has_as_a_vector_becomes_one():
    other = {"depth": flatten(TREE), "pose": TREE}
    like = flatten_like({"depth": TREE, "pose": TREE}, other)
    assert jax.tree.structure(like) == jax.tree.structure(other)


def test_statistics_of_a_vector_are_averaged_as_those_of_its_tree():
    random = np.random.default_rng(0)
    old = {name: {"mean": random.normal(size=n), "var": random.random(n)} for name, n in SIZES}
    groups = {3: 2, 5: 4}  # of norms with so many channels
    new = jax.tree.map(lambda x: random.normal(size=(groups[len(x)], len(x))), old)
    expected = jax.tree.map(average, old, new)
    found = average_statistics(
        {"tree": old, "vector": flatten(old), "unused": old, "camera": {}},
        {"tree": new, "vector": new, "unused": None, "camera": None},
    )
    assert set(found) == {"tree", "vector", "unused", "camera"}
    for name, tree in (("tree", expected), ("vector", expected), ("unused", old)):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6),
            to_trees(found[name]),
            tree,
        )


def test_statistics_that_a_module_has_averaged_itself_are_taken_as_they_are():
    random = np.random.default_rng(0)
    old = {"own": {"mean": np.zeros(3)}, "linen": {"mean": np.zeros(3), "kernel": np.zeros(())}}
    new = {
        "own": {"mean": random.normal(size=(2, 3))},
        "linen": {"mean": random.normal(size=3), "kernel": random.normal(size=())},
    }
    expected = new | {"own": jax.tree.map(average, old["own"], new["own"])}
    found = average_statistics({"tree": old, "vector": flatten(old)}, dict(tree=new, vector=new))
    assert jax.tree.structure(found["vector"]) == jax.tree.structure(flatten(old))
    for tree in to_trees(found).values():
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), tree, expected)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_state_comes_back_from_its_vectors(reference_config, name):
    config = reference_config.copy_and_resolve_references()
    config.optimizer.name, config.optimizer.clip_norm = name, 1.0
    state = jax.device_get(init_state(config, 10))
    flat = flat_state(state)
    # Two networks' parameters, statistics, and each of the optimiser's moments; and counters.
    moments = 0 if name == "sgd" else 2
    assert sum(np.ndim(leaf) > 0 for leaf in jax.tree.leaves(flat)) == 2 * (2 + moments)
    back = to_trees(flat)
    assert jax.tree.structure(back) == jax.tree.structure(state)
    jax.tree.map(np.testing.assert_array_equal, back, state)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_an_elementwise_optimiser_updates_a_vector_as_its_tree(reference_config, name):
    config = reference_config.copy_and_resolve_references().optimizer
    config.name, config.clip_norm, config.pose_factor = name, 0.5, 2.0
    optimizer = make_optimizer(config, 10)
    params = {"depth": jax.tree.map(jnp.asarray, TREE), "pose": jax.tree.map(jnp.asarray, TREE)}
    gradients = jax.tree.map(lambda x: jnp.sin(x + 0.3), params)
    flat = {network: flatten(tree) for network, tree in params.items()}
    results = []
    for start, grads in ((params, gradients), (flat, flatten_like(gradients, flat))):
        state, values = optimizer.init(start), start
        for _ in range(3):
            updates, state = optimizer.update(grads, state, values)
            values = optax.apply_updates(values, updates)
        results.append(to_trees(values))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6), *results)
