"""Weights that go back towards a checkpoint's after training."""

import jax
import numpy as np
import pytest

from radepth_jax.runs.state import init_state, variables_of
from radepth_jax.training.weight_interpolation import interpolate_weights


def leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_all_of_the_networks_goes_back_by_the_share(micro_config, share):
    old, new = (jax.device_get(init_state(micro_config, 4)) for _ in range(2))
    new = new.replace(
        params=jax.tree.map(lambda x: x + 4, new.params) | {"camera": {"log_focal": 2.0}},
        batch_stats=jax.tree.map(lambda x: x + 4, new.batch_stats),
    )
    kept = interpolate_weights(new, variables_of(old), share)
    for field in ("params", "batch_stats"):
        for name in ("depth", "pose"):
            before, after = (leaves(getattr(s, field)[name]) for s in (old, kept))
            assert len(before) == len(after) > 0
            for a, b in zip(before, after, strict=True):
                np.testing.assert_allclose(b, a + 4 * (1 - share), atol=1e-6)
                assert b.dtype == np.float32
    assert kept.params["camera"] == {"log_focal": 2.0}
    assert kept.step == new.step
