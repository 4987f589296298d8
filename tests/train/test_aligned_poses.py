"""Training with poses that direct alignment corrects."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.runs.config import check_config
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.train.forward import compute_loss


@pytest.fixture
def aligned_config(micro_config):
    micro_config.views.names = ("middle",)
    micro_config.loss.weights.consistency = 0.0
    micro_config.pose.align = (4, 2)
    return micro_config


def sequence(rng, config, samples=2):
    """Frames of one smooth picture that moves by two pixels a frame."""
    width, height = config.views.resolution
    coarse = rng.random((samples, height // 4, width // 4 + 4, 3))
    picture = jax.image.resize(coarse, (samples, height, width + 16, 3), "cubic")
    frames = np.stack([picture[:, :, 8 + x : 8 + x + width] for x in (0, -2, 2)], axis=1)
    return {
        "frames": (np.clip(frames, 0, 1) * 255).astype(np.uint8),
        "size": np.tile(np.array([height, width], np.int32), (samples, 1)),
        "intrinsics": np.tile(
            np.array([[width, 0, width / 2], [0, width, height / 2], [0, 0, 1]], np.float32),
            (samples, 1, 1),
        ),
    }


def test_the_depth_learns_from_the_aligned_poses_and_the_pose_network_learns_them(aligned_config):
    recipe = make_recipe(aligned_config, 10)
    state = init_state(aligned_config, 10)
    batch = sequence(np.random.default_rng(0), aligned_config)

    def loss(params, recipe):
        index = jnp.arange(len(batch["frames"]))
        total, (terms, _, _) = compute_loss(
            params,
            state.batch_stats,
            batch,
            jnp.zeros((), jnp.int32),
            0,
            recipe=recipe,
            index=index,
        )
        return total, terms

    grad = partial(jax.jit, static_argnums=1)(jax.grad(loss, has_aux=True))
    gradient, terms = grad(state.params, recipe)
    assert terms["alignment"] > 0
    total = sum(
        recipe.loss.weights[name] * terms[f"{name}_middle"]
        for name in ("photometric", "smoothness")
    )
    np.testing.assert_allclose(terms["total"], total, rtol=1e-5)
    for name in ("depth", "pose"):
        assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(gradient[name])) > 0, name

    # Better poses explain the images better.
    aligned_config.pose.align = ()
    _, without = grad(state.params, make_recipe(aligned_config, 10))
    assert "alignment" not in without
    assert terms["photometric_middle"] < without["photometric_middle"]


def test_steps_that_do_not_divide_the_image_are_named(aligned_config):
    aligned_config.pose.align = (4, 3)
    with pytest.raises(UserError, match=r"config.pose.align: \(4, 3\): expected numbers that div"):
        check_config(aligned_config)
