"""Depth in metres while training, from the camera's height over the road."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from radepth_jax.errors import UserError
from radepth_jax.geometry.camera import centred_intrinsics
from radepth_jax.losses import LossOptions
from radepth_jax.losses.height import height_error
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.training.forward import compute_loss

SIZE, KNOWN = (48, 96), 1.65
K = centred_intrinsics(0.6, SIZE)


def road(height: float) -> jax.Array:
    """Depth [H, W, 1] of a flat road `height` below a level camera; a wall beyond 30 m."""
    rows = jnp.arange(SIZE[0], dtype=jnp.float32)
    below = jnp.maximum((rows - K[1, 2]) / K[1, 1], 1e-6)
    return jnp.broadcast_to(jnp.minimum(height / below, 30.0)[:, None, None], (*SIZE, 1))


@pytest.mark.parametrize("factor", [0.05, 0.5, 1.0, 3.0])
def test_the_error_is_the_logarithm_of_the_factor_and_its_gradient_changes_that_alone(factor):
    depth = factor * road(KNOWN)
    error, slope = jax.value_and_grad(height_error)(depth, K, KNOWN)
    log = np.log(factor)
    np.testing.assert_allclose(error, np.sqrt(log**2 + 0.01) - 0.1, atol=2e-3)
    # By the logarithm of each depth the derivative is the same.
    by_pixel = np.asarray(slope * depth)
    np.testing.assert_allclose(by_pixel, by_pixel.mean(), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(by_pixel.sum(), log / np.sqrt(log**2 + 0.01), atol=2e-2)


def test_without_a_road_it_is_silent():
    wall = jnp.full((*SIZE, 1), 5.0)
    error, slope = jax.value_and_grad(height_error)(wall, K, KNOWN)
    assert error == 0
    assert not np.asarray(slope).any()


@pytest.mark.parametrize("weights", [{}, {"alignment": 0.5, "height": 2.0}])
def test_it_is_a_part_of_the_total_beside_alignment(micro_config, weights):
    """Both by the weights of the config, which have their defaults where it gives none."""
    micro_config.pose.align = (4, 2)
    micro_config.loss.camera_height = KNOWN
    micro_config.loss.weights = ConfigDict(
        {"photometric": 1.0, "smoothness": 1e-3, "consistency": 1.0} | weights
    )
    recipe = make_recipe(micro_config, 10)
    state = init_state(micro_config, 10)
    width, height = micro_config.views.resolution
    rng = np.random.default_rng(0)
    batch = {
        "frames": rng.integers(0, 255, (2, 3, height, width, 3), np.uint8),
        "size": np.tile(np.array([height, width], np.int32), (2, 1)),
        "intrinsics": np.tile(np.asarray(centred_intrinsics(0.6, (height, width))), (2, 1, 1)),
    }
    _, (terms, _, _) = jax.jit(compute_loss, static_argnames="recipe")(
        state.params,
        state.batch_stats,
        batch,
        jnp.zeros((), jnp.int32),
        0,
        recipe=recipe,
        index=jnp.arange(2),
    )
    assert np.isfinite(terms["height"])
    others = sum(
        recipe.loss.weights[name] * terms[f"{name}_{view}"]
        for name in ("photometric", "smoothness", "consistency")
        for view in ("high", "middle", "low")
        if f"{name}_{view}" in terms
    )
    alignment, height = weights.get("alignment", 1.0), weights.get("height", 0.02)
    expected = others + alignment * terms["alignment"] + height * terms["height"]
    np.testing.assert_allclose(terms["total"], expected, rtol=1e-4)


def test_a_height_below_the_road_is_named():
    with pytest.raises(UserError, match=r"loss\.camera_height: expected a number from 0, got -1"):
        LossOptions(camera_height=-1.65)
