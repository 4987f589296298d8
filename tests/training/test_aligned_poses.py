"""Training with poses that direct alignment corrects."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.geometry import se3
from radepth_jax.runs.config import check_config
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.training.forward import compute_loss
from radepth_jax.training.motions import align_poses
from radepth_jax.views import make_views


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


def scene(recipe, config):
    """Views of two samples, their disparities, and motions that turn a little."""
    batch = sequence(np.random.default_rng(1), config)
    views = jax.vmap(partial(make_views, options=recipe.views))(
        jax.random.split(jax.random.key(0), 2), *batch.values()
    )
    disparities = jax.random.uniform(jax.random.key(1), (1, 2, 32, 64, 1), minval=0.1, maxval=0.3)
    turned = se3.transform_from_pose(jnp.array([0.0, 0.01, 0.0]), jnp.zeros(3))
    return views, disparities, jnp.broadcast_to(turned, (2, 2, 4, 4))


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
    np.testing.assert_allclose(terms["total"], total + terms["alignment"], rtol=1e-5)
    for name in ("depth", "pose"):
        assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(gradient[name])) > 0, name

    # Better poses explain the images better.
    aligned_config.pose.align = ()
    _, without = grad(state.params, make_recipe(aligned_config, 10))
    assert "alignment" not in without
    assert terms["photometric_middle"] < without["photometric_middle"]


def test_at_first_alignment_finds_translations_alone(aligned_config):
    aligned_config.pose.turns_from = 5
    recipe = make_recipe(aligned_config, 10)
    views, disparities, turned = scene(recipe, aligned_config)
    for step, turns in ((4, False), (5, True)):
        found = align_poses(views, disparities, turned, jnp.array(step), recipe)
        still = bool(
            jnp.array_equal(found[..., :3, :3], jnp.broadcast_to(jnp.eye(3), (2, 2, 3, 3)))
        )
        assert still is not turns


def test_steps_that_do_not_divide_the_image_are_named(aligned_config):
    aligned_config.pose.align = (4, 3)
    with pytest.raises(UserError, match=r"config.pose.align: \(4, 3\): expected numbers that div"):
        check_config(aligned_config)


def test_the_opposite_camera_is_not_aligned(aligned_config):
    aligned_config.data.frame_offsets = (0, -1, "s")
    with pytest.raises(
        UserError, match=r"config\.pose\.align: \(4, 2\): not with the opposite cam"
    ):
        check_config(aligned_config)
