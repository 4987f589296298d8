"""BatchNorm against its definition in NumPy, in groups, over devices, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from radepth_jax import platforms
from radepth_jax.models.norm import BatchNorm, average

CHANNELS = 3


def variables(seed: int = 0) -> dict:
    rng = np.random.default_rng(seed)

    def draw(low, high):
        return jnp.asarray(rng.uniform(low, high, CHANNELS), jnp.float32)

    return {
        "params": {"scale": draw(0.5, 1.5), "bias": draw(-1, 1)},
        "batch_stats": {"mean": draw(-1, 1), "var": draw(0.5, 2)},
    }


def batch(number: int, seed: int = 1) -> jax.Array:
    rng = np.random.default_rng(seed)
    return jnp.asarray(rng.normal(2.0, 3.0, (number, 2, 5, CHANNELS)), jnp.float32)


FORMS = {"plain": platforms.PLAIN, "cpu": platforms.for_backend("cpu")}


def train(variables, x, form, **options):
    norm = BatchNorm(use_running_average=False, normalise=FORMS[form].normalise, **options)
    y, updated = norm.apply(variables, x, mutable=["batch_stats"])
    return y, updated["batch_stats"]


@pytest.mark.parametrize("form", FORMS)
def test_training_as_pytorch_defines_it(form):
    given_variables, x = variables(), batch(2)
    y, stats = train(given_variables, x, form)
    flat = np.asarray(x, np.float64).reshape(-1, CHANNELS)
    params, old = jax.tree.map(
        np.asarray, (given_variables["params"], given_variables["batch_stats"])
    )
    expected = (flat - flat.mean(0)) / np.sqrt(flat.var(0) + 1e-5) * params["scale"]
    expected += params["bias"]
    np.testing.assert_allclose(np.reshape(y, expected.shape), expected, atol=1e-5)
    # torch.nn.BatchNorm2d: momentum 0.1, and the unbiased variance in the running average.
    np.testing.assert_allclose(stats["mean"], 0.9 * old["mean"] + 0.1 * flat.mean(0), rtol=1e-5)
    unbiased = flat.var(0, ddof=1)
    np.testing.assert_allclose(stats["var"], 0.9 * old["var"] + 0.1 * unbiased, rtol=1e-5)


def test_evaluation_uses_the_running_statistics():
    given_variables, x = variables(), batch(2)
    y = BatchNorm(use_running_average=True).apply(given_variables, x)
    stats, params = jax.tree.map(
        np.asarray, (given_variables["batch_stats"], given_variables["params"])
    )
    standard = (np.asarray(x) - stats["mean"]) / np.sqrt(stats["var"] + 1e-5)
    expected = standard * params["scale"] + params["bias"]
    np.testing.assert_allclose(y, expected, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@given(groups=st.integers(1, 4), size=st.integers(1, 2), seed=st.integers(0, 9))
def test_groups_are_successive_calls(form, groups, size, seed):
    given_variables, x = variables(seed), batch(groups * size, seed)
    together, stats = train(given_variables, x, form, groups=groups)
    separate = []
    for part in jnp.split(x, groups):
        y, updated = train(given_variables, part, form)
        separate.append(y)
        given_variables = {**given_variables, "batch_stats": updated}
    np.testing.assert_allclose(together, jnp.concatenate(separate), atol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
        stats,
        given_variables["batch_stats"],
    )


@pytest.mark.parametrize("form", FORMS)
def test_the_groups_own_statistics_can_be_averaged_later(form):
    given_variables, x = variables(), batch(6)
    y, averaged = train(given_variables, x, form, groups=3)
    same, own = train(given_variables, x, form, groups=3, averages=False)
    np.testing.assert_array_equal(y, same)
    for name, running in given_variables["batch_stats"].items():
        assert own[name].shape == (3, CHANNELS)
        np.testing.assert_allclose(average(running, own[name]), averaged[name], rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_statistics_do_not_cancel_far_from_zero(form):
    x = batch(2) + 1e4
    y, stats = train(variables(), x, form)
    exact = np.asarray(x, np.float64).reshape(-1, CHANNELS)
    old = variables()["batch_stats"]["var"]
    np.testing.assert_allclose(stats["var"], 0.9 * old + 0.1 * exact.var(0, ddof=1), rtol=1e-3)
    assert np.isfinite(y).all()


def reference_normalise(x, scale, bias, groups):
    """The definition, for JAX to differentiate."""
    parts = x.reshape(groups, -1, CHANNELS)
    mean = parts.mean(1, keepdims=True)
    var = jnp.square(parts - mean).mean(1, keepdims=True)
    normal = (parts - mean) / jnp.sqrt(var + 1e-5) * scale[None, None] + bias[None, None]
    return normal.reshape(x.shape)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("groups", [1, 3])
def test_derivative_is_that_of_the_definition(form, groups):
    given_variables, x = variables(), batch(3)
    weights = batch(3, seed=5)

    def loss(params, x):
        y, _ = train({**given_variables, "params": params}, x, form, groups=groups)
        return jnp.sum(weights * y)

    def expected_loss(params, x):
        return jnp.sum(weights * reference_normalise(x, params["scale"], params["bias"], groups))

    found = jax.grad(loss, argnums=(0, 1))(given_variables["params"], x)
    expected = jax.grad(expected_loss, argnums=(0, 1))(given_variables["params"], x)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), found, expected
    )


def over_devices(step, devices: int, how: str):
    """`step(variables, x)` on `devices` devices, x split over them: sums, stats, d_x."""
    if how == "pmap":
        return jax.pmap(
            step,
            axis_name="devices",
            in_axes=(None, 0),
            out_axes=(None, None, 0),
            devices=jax.devices()[:devices],
        )
    mesh = Mesh(np.array(jax.devices()[:devices]), ("devices",))
    return jax.jit(
        jax.shard_map(
            step,
            mesh=mesh,
            in_specs=(P(), P("devices")),
            out_specs=(P(), P(), P("devices")),
            check_vma=False,
        )
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("how", ["pmap", "shard_map"])
def test_devices_together_are_one_batch(form, how):
    devices, groups, number = 2, 2, 4
    given_variables, weights = variables(), batch(number, seed=5)
    # Batches far apart: a mean over per-device variances alone would be far off.
    x = batch(number) + jnp.arange(number, dtype=jnp.float32)[:, None, None, None]

    def step(axis_name):
        def run(given_variables, x_and_weights):
            x, weights = x_and_weights[0], x_and_weights[1]

            def loss(params, x):
                y, stats = train(
                    {**given_variables, "params": params},
                    x,
                    form,
                    groups=groups,
                    axis_name=axis_name,
                )
                return jnp.sum(weights * y), stats

            (d_params, d_x), stats = jax.grad(loss, argnums=(0, 1), has_aux=True)(
                given_variables["params"], x
            )
            if axis_name:
                d_params = jax.lax.psum(d_params, axis_name)
            return d_params, stats, d_x

        return run

    d_params, stats, d_x = step(None)(given_variables, jnp.stack([x, weights]))
    # Each device holds a part of every group: images 0, 2 and images 1, 3.
    order = jnp.array([0, 2, 1, 3])
    parts = jnp.stack([x[order], weights[order]]).reshape(2, devices, groups, *x.shape[1:])
    parts = parts.swapaxes(0, 1)  # [devices, 2, groups, ...]
    if how == "shard_map":
        parts = parts.reshape(devices * 2, groups, *x.shape[1:])
    sync = over_devices(step("devices"), devices, how)(given_variables, parts)
    synced_x = sync[2].reshape(x.shape)[jnp.argsort(order)]
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4),
        (sync[0], sync[1], synced_x),
        (d_params, stats, d_x),
    )


@pytest.mark.parametrize("form", FORMS)
def test_bfloat16_keeps_float32_statistics(form):
    x = batch(2).astype(jnp.bfloat16)
    y, stats = train(variables(), x, form, dtype=jnp.bfloat16)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(stats)} == {jnp.dtype("float32")}
    _, expected = train(variables(), x.astype(jnp.float32), form)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), stats, expected)


def test_every_kind_of_derivative_is_that_of_the_definition():
    given_variables, x = variables(), batch(3)
    weights, tangent = batch(3, seed=5), batch(3, seed=6)

    def loss(x):
        return jnp.sum(weights * jnp.sin(train(given_variables, x, "plain", groups=3)[0]))

    def expected_loss(x):
        params = given_variables["params"]
        return jnp.sum(weights * jnp.sin(reference_normalise(x, *params.values(), 3)))

    def derivatives(loss):
        gradient = jax.grad(loss)
        forward = jax.jvp(loss, (x,), (tangent,))
        hessian = jax.jvp(gradient, (x,), (tangent,))
        twice = jax.grad(lambda x: jnp.sum(gradient(x) * tangent))(x)
        return forward, hessian, twice

    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
        derivatives(loss),
        derivatives(expected_loss),
    )
