"""Steps at another resolution than the views': what the network sees, and what the losses see."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest

from radepth_jax.models.depth import DepthNetwork
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.training.forward import compute_loss


@pytest.fixture
def batch(micro_config):
    width, height = micro_config.views.resolution
    rng = np.random.default_rng(0)
    K = [[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]]
    return {
        "frames": rng.integers(0, 255, (2, 3, 2 * height, 2 * width, 3), np.uint8),
        "size": np.tile(np.array([2 * height, 2 * width], np.int32), (2, 1)),
        "intrinsics": np.tile(2 * np.array(K, np.float32), (2, 1, 1)),
    }


def losses(recipe, config, batch):
    state = init_state(config, 10)
    return partial(
        compute_loss,
        state.params,
        state.batch_stats,
        batch,
        state.step,
        0,
        recipe=recipe,
        index=np.arange(2, dtype=np.int32),
    )


@pytest.mark.parametrize(
    ("resolution", "seen", "judged"),
    [((48, 32), (48, 32), (64, 32)), ((96, 64), (96, 64), (96, 64)), (None, (64, 32), (64, 32))],
)
def test_the_network_sees_the_resolution_and_the_losses_no_smaller_one(
    micro_config, batch, resolution, seen, judged
):
    micro_config.train.resolutions = (resolution,) if resolution else ()
    recipe = make_recipe(micro_config, 10).at(1)
    sizes = []

    def record(call, args, kwargs, context):
        if isinstance(context.module, DepthNetwork) and context.method_name == "__call__":
            sizes.append(args[0].shape[1:3])
        return call(*args, **kwargs)

    loss = losses(recipe, micro_config, batch)
    with nn.intercept_methods(record):
        _, (_, _, shown) = jax.eval_shape(loss)
    assert sizes == [seen[::-1]]
    for name in ("high", "middle", "low"):
        assert shown["views"][name].shape == (2, *judged[::-1], 3)
        assert shown["disparities"][name].shape == (2, *judged[::-1], 1)


def test_views_made_for_the_network_are_those_of_the_losses(micro_config, batch):
    """Seen at their own resolution, they give the same loss: the same crop, flip and colours."""
    recipe = make_recipe(micro_config, 10)
    apart = dataclasses.replace(recipe, seen=recipe.views.resolution)
    totals = [jax.jit(losses(r, micro_config, batch))()[0] for r in (recipe, apart)]
    np.testing.assert_allclose(*totals, rtol=1e-6)
