"""The pose network that compares two frames: its window, its statistics, its configuration."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.models.correlation_pose import CorrelationPose, similarities
from radepth_jax.models.variables import draw_variables

REACH = (2, 3)
CENTRE = REACH[0] * (2 * REACH[1] + 1) + REACH[1]
SMALL = CorrelationPose(features=(4, 8), reach=REACH, widths=(8, 8))


def features(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def best(similar: jax.Array) -> np.ndarray:
    """The window's offset (dy, dx) of the greatest similarity, [N, h, w, 2]."""
    index = np.asarray(jnp.argmax(similar, axis=-1))
    return np.stack(np.divmod(index, 2 * REACH[1] + 1), axis=-1) - np.array(REACH)


def test_a_still_pair_peaks_at_the_centre():
    x = features(2, 8, 12, 16)
    similar = similarities(x, x, REACH)
    assert similar.shape == (2, 8, 12, 35)
    np.testing.assert_array_equal(best(similar), 0)
    np.testing.assert_allclose(similar[..., CENTRE], 1.0, atol=1e-3)
    assert np.abs(similar).max() <= 1.0


@given(dy=st.integers(-2, 2), dx=st.integers(-3, 3), seed=st.integers(0, 9))
@settings(deadline=None)
def test_a_shift_peaks_at_its_offset(dy, dx, seed):
    x = features(1, 10, 14, 16, seed=seed)
    moved = np.roll(x, (dy, dx), axis=(1, 2))  # what was at (y, x) is at (y + dy, x + dx)
    found = best(similarities(x, moved, REACH))
    inside = found[:, REACH[0] : -REACH[0], REACH[1] : -REACH[1]]
    np.testing.assert_array_equal(inside, np.broadcast_to([dy, dx], inside.shape))


def test_swapped_frames_mirror_the_window():
    a, b = features(1, 8, 12, 5), features(1, 8, 12, 5, seed=1)
    forth, back = (np.asarray(similarities(*pair, REACH)) for pair in ((a, b), (b, a)))
    forth, back = (x.reshape(1, 8, 12, 5, 7) for x in (forth, back))
    for y, x, dy, dx in ((3, 4, 2, -3), (4, 6, -1, 2), (2, 5, 0, 1), (0, 0, 1, 1)):
        there = forth[0, y, x, dy + 2, dx + 3]
        np.testing.assert_allclose(back[0, y + dy, x + dx, 2 - dy, 3 - dx], there, atol=1e-6)


def test_beyond_the_border_nothing_is_alike():
    x = np.abs(features(1, 4, 5, 3)) + 0.1
    similar = np.asarray(similarities(x, x, REACH)).reshape(1, 4, 5, 5, 7)
    assert not similar[0, 0, :, :2].any()
    assert not similar[0, :, -1, :, 4:].any()
    assert similar[0, 2, 2, 2, 3] > 0


def images(number: int, seed: int = 0) -> jax.Array:
    return jax.random.uniform(jax.random.key(seed), (number, 64, 96, 6))


@pytest.fixture(scope="module")
def variables():
    return draw_variables(SMALL, jax.random.key(0), jax.ShapeDtypeStruct((1, 64, 96, 6), "float32"))


def test_a_shift_of_four_pixels_is_one_cell(variables):
    wide = jax.random.uniform(jax.random.key(1), (2, 64, 104, 3))
    first, second = wide[:, :, :96], wide[:, :, 4:100]  # what was at x is at x - 4
    seen = []

    def keep(call, args, kwargs, context):
        result = call(*args, **kwargs)
        if context.module.name == "frame2":
            seen.append(result)
        return result

    with nn.intercept_methods(keep):
        SMALL.apply(variables, jnp.concatenate([first, second], axis=-1))
    found = best(similarities(*jnp.split(seen[0], 2), REACH))[:, 3:-3, 5:-5]
    np.testing.assert_array_equal(found, np.broadcast_to([0, -1], found.shape))


def test_shapes_and_types(variables):
    for dtype in (jnp.float32, jnp.bfloat16):
        network = SMALL.clone(policy=models.Policy(dtype=dtype))
        axisangle, translation = network.apply(variables, images(2))
        assert axisangle.shape == translation.shape == (2, 3)
        assert axisangle.dtype == translation.dtype == jnp.float32


def test_groups_are_separate_calls(variables):
    pairs = images(4)

    def train(variables, pairs, groups):
        return SMALL.apply(variables, pairs, train=True, groups=groups, mutable=["batch_stats"])

    together, stats = train(variables, pairs, 2)
    separate, state = [], variables
    for part in jnp.split(pairs, 2):
        pose, updated = train(state, part, 1)
        separate.append(pose)
        state = {**state, **updated}
    for found, *parts in zip(together, *separate, strict=True):
        np.testing.assert_allclose(found, jnp.concatenate(parts), atol=1e-6)
    # Of the layers on pairs; those on single frames see the first frames of all groups first.
    for layer in ("layer0", "layer1"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
            stats["batch_stats"][layer],
            state["batch_stats"][layer],
        )


@pytest.mark.parametrize("pairs", [jnp.zeros((2, 64, 96, 6)), images(2)], ids=["black", "noise"])
def test_gradients_are_finite(variables, pairs):
    def loss(params, pairs):
        (axisangle, translation), _ = SMALL.apply(
            {**variables, "params": params}, pairs, train=True, mutable=["batch_stats"]
        )
        return jnp.sum(axisangle) + jnp.sum(jnp.square(translation))

    for gradient in jax.tree.leaves(jax.grad(loss, argnums=(0, 1))(variables["params"], pairs)):
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("features", (16,)),
        ("features", (0, 4)),
        ("reach", (3, 0)),
        ("reach", (1, 2, 3)),
        ("widths", ()),
        ("widths", (8, -1)),
        ("scale", 0.0),
        ("scale", float("nan")),
    ],
)
def test_a_wrong_value_is_named(field, value):
    config = presets.tiny()
    config["pose"] = presets.CORRELATION_POSE | {field: value}
    with pytest.raises(UserError, match=rf"^model\.pose\.{field} is .*: expected"):
        models.build(config)
