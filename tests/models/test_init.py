"""Initial variables: those of Linen's `init`, without compiling the networks."""

import jax
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models
from radepth_jax.models import presets

CONFIG = presets.tiny()


@pytest.fixture(scope="module")
def networks():
    return models.build(CONFIG)


def test_structure_and_distributions_are_those_of_linen_s_init(networks):
    drawn = models.init_variables(networks, jax.random.key(0), (192, 64))
    shapes = {"depth": (1, 32, 32, 3), "pose": (1, 32, 32, 6)}
    for name, network in networks._asdict().items():
        init = jax.jit(
            lambda key, network=network, shape=shapes[name]: network.init(
                key, jax.numpy.zeros(shape)
            ),
            compiler_options=FAST_COMPILE,
        )
        expected = jax.tree.map(np.asarray, init(jax.random.key(0)))
        assert jax.tree.structure(drawn[name]) == jax.tree.structure(expected)

        def compare(path, a, b):
            assert a.shape == b.shape, path
            assert a.dtype == b.dtype, path
            if a.size > 500:
                # Of n draws the sample deviation varies by about 1/sqrt(2n), below 4 %.
                np.testing.assert_allclose(a.std(), b.std(), rtol=0.2, err_msg=str(path))
                np.testing.assert_allclose(a.mean(), 0.0, atol=5 * b.std() / a.size**0.5)
            if b.size > 1 and np.ptp(b) == 0:
                np.testing.assert_array_equal(a, b, err_msg=str(path))

        jax.tree_util.tree_map_with_path(compare, drawn[name], expected)


def test_the_key_decides(networks):
    first, again, other = (
        models.init_variables(networks, jax.random.key(seed), (192, 64)) for seed in (0, 0, 1)
    )
    jax.tree.map(np.testing.assert_array_equal, first, again)
    kernels = [
        np.asarray(variables["depth"]["params"]["encoder"]["stem1"]["conv"]["kernel"])
        for variables in (first, other)
    ]
    assert not np.array_equal(*kernels)


def test_leaves_of_one_shape_differ(networks):
    variables = models.init_variables(networks, jax.random.key(0), (192, 64))
    kernels = [
        leaf.tobytes()
        for leaf in map(np.asarray, jax.tree.leaves(variables["depth"]["params"]))
        if leaf.ndim == 4
    ]
    assert len(kernels) == len(set(kernels))
