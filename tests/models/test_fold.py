"""Folded networks against the ones that they came from."""

import jax
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models
from radepth_jax.models import presets
from radepth_jax.models.fold import fold_norms


@pytest.mark.parametrize("name", ["ra_depth", "monodepth2", "hr_depth", "diffnet"])
def test_without_norms_the_disparities_are_the_same(name):
    model = presets.tiny(name)
    model["depth"]["encoder"]["width"] = 4
    network = models.build(model).depth
    variables = models.init_network(models.build(model), "depth", jax.random.key(0), (64, 64))
    rng = np.random.default_rng(0)
    variables = {
        "params": jax.tree.map(
            lambda x: np.float32(x + 0.05 * rng.normal(size=x.shape)), variables["params"]
        ),
        "batch_stats": jax.tree.map(
            lambda x: np.float32(x + 0.3 * rng.random(x.shape)), variables["batch_stats"]
        ),
    }
    images = rng.random((2, 64, 96, 3), np.float32)

    folded, less = fold_norms(network, variables)
    assert set(less) == {"params"}
    assert not any("scale" in str(path) for path, _ in jax.tree_util.tree_leaves_with_path(less))
    expected, got = (
        jax.jit(each.apply, compiler_options=FAST_COMPILE)(values, images)
        for each, values in ((network, variables), (folded, less))
    )
    assert np.ptp(expected[0]) > 1e-3
    for ours, theirs in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
