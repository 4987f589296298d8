"""The filter on planes with known motion, and its step as a film's frames come."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.data import open_dataset
from radepth_jax.inference.steady import Steady, filter_depth, start, steady_step
from radepth_jax.runs.saved_model import load_model

K = jnp.array([[40.0, 0, 31.5], [0, 40.0, 15.5], [0, 0, 1]])
IMAGE = jnp.zeros((2, 2, 3))
STEP = 0.2
AHEAD = jnp.eye(4).at[2, 3].set(-STEP)


def slanted(frame):
    """The plane z = 8 + x / 2 after that many steps ahead, [32, 64]."""
    x = (jnp.arange(64.0) - 31.5) / 40
    return jnp.tile(((8 - STEP * frame) / (1 - x / 2))[None], (32, 1))


def run(depths, motion=AHEAD, **options):
    """The states and the flicker of all frames."""
    step = jax.jit(lambda state, own: filter_depth(state, IMAGE, own, K, motion, **options))
    states, flickers = [start((2, 2), (64, 32))], []
    for own in depths:
        state, flicker = step(states[-1], own)
        states.append(state)
        flickers.append(flicker)
    np.testing.assert_array_equal(states[1].depth, depths[0])
    assert np.isnan(flickers[0].after)
    return states[1:], flickers[1:]


def test_steady_depth_stays_as_it_is():
    states, flickers = run([slanted(i) for i in range(8)])
    for i, state in enumerate(states):
        np.testing.assert_allclose(state.depth, slanted(i), rtol=1e-5)
    assert max(float(pair.before) for pair in flickers) < 1e-5
    assert max(float(pair.after) for pair in flickers) < 1e-5
    # The middle stays in view: it is an average of as many frames as are allowed.
    np.testing.assert_allclose(states[-1].frames[10:20, 20:40], 6, atol=1e-3)


@given(seed=st.integers(0, 1000), level=st.floats(0.01, 0.04))
def test_noise_is_averaged_over_frames_and_lags_behind_nothing(seed, level):
    """The errors of a frame's four by four blocks are new in each frame."""
    rng = np.random.default_rng(seed)
    truths = [slanted(i) for i in range(8)]
    noise = np.exp(level * rng.normal(size=(8, 8, 16))).repeat(4, 1).repeat(4, 2)
    owns = [truth * jnp.asarray(one, jnp.float32) for truth, one in zip(truths, noise, strict=True)]
    states, flickers = run(owns)

    def error(depth):
        logs = np.log(depth / truths[-1])[4:-4, 8:-8]
        return np.abs(logs - np.median(logs)).mean()

    # The mean of six independent errors is 1 / sqrt(6) of one. The moving blocks blur it besides.
    assert error(states[-1].depth) < 0.6 * error(owns[-1])
    assert float(flickers[-1].after) < 0.5 * float(flickers[-1].before)


def test_one_scale_for_the_film():
    """Every second frame is 20 % farther. Its scale is that of the frames before it."""
    owns = [slanted(i) * (1.2 if i % 2 else 1.0) for i in range(8)]
    states, flickers = run(owns, kept_scale=1.0)
    for i, state in enumerate(states):
        np.testing.assert_allclose(state.depth, slanted(i), rtol=1e-4)
    assert float(flickers[-1].before) == pytest.approx(np.log(1.2), rel=1e-3)
    assert float(flickers[-1].after) < 1e-4


def test_the_scale_returns_to_the_networks_own():
    """By hand: after n steps without motion, a first frame of another scale counts 0.9^n."""
    owns = [1.5 * slanted(0)] + [slanted(0)] * 30
    states, _ = run(owns, motion=jnp.eye(4))
    np.testing.assert_allclose(
        np.log(states[-1].depth / slanted(0)), np.log(1.5) * 0.9**30, atol=1e-5
    )


def test_what_moves_by_itself_is_forgotten_at_once():
    """A car that was 5 m away is gone, and one that came from elsewhere stands at 4 m."""
    before = jnp.full((32, 64), 10.0).at[8:20, 10:22].set(5.0)
    after = jnp.full((32, 64), 10.0).at[8:20, 40:52].set(4.0)
    states, _ = run([before] * 4 + [after], motion=jnp.eye(4))
    np.testing.assert_allclose(states[-1].depth, after, rtol=1e-4)
    changed = np.asarray(before != after)
    np.testing.assert_array_equal(np.asarray(states[-1].frames)[changed], 1)
    np.testing.assert_allclose(np.asarray(states[-1].frames)[~changed], 5, rtol=1e-4)


def test_a_cut_starts_again():
    owns = [slanted(0)] * 3 + [jnp.flip(slanted(0), 1) ** 2]
    states, flickers = run(owns, motion=jnp.eye(4))
    np.testing.assert_array_equal(states[-1].depth, owns[-1])
    np.testing.assert_array_equal(states[-1].frames, 1)
    assert float(states[-1].scale) == 0
    assert np.isfinite(flickers[-2].before)
    assert np.isnan(flickers[-1].before)
    assert np.isnan(flickers[-1].after)


def test_a_motion_that_is_not_finite_is_a_cut():
    states, flickers = run([slanted(0), 2 * slanted(0)], motion=jnp.full((4, 4), jnp.nan))
    np.testing.assert_array_equal(states[-1].depth, 2 * slanted(0))
    assert np.isnan(flickers[-1].after)


@pytest.fixture(scope="module")
def film(street_dir):
    dataset = open_dataset("street/tiny", street_dir)
    images, K = zip(*(dataset.image(position) for position in range(5)), strict=True)
    rng = np.random.default_rng(0)
    depths = [10 * np.exp(0.05 * rng.normal(size=(32, 96))).astype(np.float32) for _ in images]
    return images, depths, K[0]


def test_a_film_compiles_once_and_its_unit_changes_nothing(film, run_folder):
    images, depths, intrinsics = film
    model = load_model(run_folder)
    steady_step.clear_cache()
    steady = Steady(model, intrinsics)
    steadied = [steady(image, depth) for image, depth in zip(images, depths, strict=True)]
    assert steady_step._cache_size() == 1
    np.testing.assert_allclose(steadied[0], depths[0], rtol=1e-6)
    assert all(depth.shape == (32, 96) and (depth > 0).all() for depth in steadied)
    assert len(steady.flicker) == 4
    assert all(after < before for before, after in steady.flicker)
    metres = Steady(model, intrinsics, unit=30.0)
    for image, depth, ours in zip(images, depths, steadied, strict=True):
        np.testing.assert_allclose(metres(image, 30 * depth), 30 * ours, rtol=1e-4)
    assert steady_step._cache_size() == 1


def test_filtered_at_full_size_nothing_is_resized(film, run_folder):
    images, depths, intrinsics = film
    steady = Steady(load_model(run_folder), intrinsics, working=(96, 32))
    for image, depth in zip(images, depths, strict=True):
        steadied = steady(image, depth)
    np.testing.assert_allclose(steadied, steady._state.depth, rtol=1e-5)
