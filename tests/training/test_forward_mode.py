"""Derivatives of the training loss in forward mode, which the plain operations allow."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import platforms
from radepth_jax.data import TrainingSource, make_loader, open_dataset, prepare
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.training.forward import compute_loss


@pytest.fixture(scope="module")
def problem(reference_config):
    """The training loss of the smallest networks as a function of the parameters, and those."""
    config = reference_config.copy_and_resolve_references()
    config.data.batch_size = 2
    prepare(config.data.name, data_dir=config.data.data_dir)
    dataset = open_dataset(config.data.name, config.data.data_dir)
    source = TrainingSource(dataset, "train", (0, -1, 1))
    with make_loader(source, global_batch=2, seed=0, workers=0) as loader:
        batch = {k: jnp.asarray(v) for k, v in next(loader).items() if k != "skipped"}
    state = init_state(config, 4)

    recipe = make_recipe(config, 4, platforms.PLAIN)

    def loss(params):
        return compute_loss(
            params,
            state.batch_stats,
            batch,
            jnp.int32(0),
            0,
            recipe=recipe,
            index=jnp.arange(2),
        )[0]

    return loss, state.params


def direction(params, seed: int):
    """A random tangent, in proportion to every leaf's size."""
    random = np.random.default_rng(seed)
    return jax.tree.map(
        lambda x: jnp.float32(random.standard_normal(x.shape) * (np.std(x) + 1e-3)), params
    )


def dot(a, b):
    return sum(jnp.vdot(x, y) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True))


def test_a_directional_derivative_is_that_of_reverse_mode(problem):
    loss, params = problem
    v = direction(params, 0)

    @partial(jax.jit, compiler_options=FAST_COMPILE)
    def both(params, v):
        return jax.jvp(loss, (params,), (v,))[1], dot(jax.grad(loss)(params), v)

    forward, reverse = both(params, v)
    assert abs(reverse) > 1e-4
    np.testing.assert_allclose(forward, reverse, rtol=1e-3)


def test_a_hessian_vector_product_is_that_of_reverse_over_reverse(problem):
    loss, params = problem
    v, w = direction(params, 0), direction(params, 1)

    @partial(jax.jit, compiler_options=FAST_COMPILE)
    def both(params, v, w):
        gradient = jax.grad(loss)
        forward = dot(jax.jvp(gradient, (params,), (v,))[1], w)
        return forward, dot(jax.grad(lambda params: dot(gradient(params), v))(params), w)

    forward, reverse = both(params, v, w)
    assert abs(reverse) > 1e-4
    np.testing.assert_allclose(forward, reverse, rtol=1e-3)
