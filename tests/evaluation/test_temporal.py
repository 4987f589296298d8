"""The temporal error, on planes by hand, and on rendered streets whose truth must have none."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.evaluation.odometry import invert
from radepth_jax.evaluation.temporal import (
    fit_scale,
    is_dense,
    pair_errors,
    same_surface,
    unhidden,
)
from radepth_jax.street import RANGES, make_world, render_frames

K = np.array([[40.0, 0, 31.5], [0, 40.0, 15.5], [0, 0, 1]], np.float32)
SIZE = np.array([32, 64], np.int32)
ALL = np.ones((32, 64), bool)
AHEAD = np.eye(4, dtype=np.float32)
AHEAD[2, 3] = -1.0


def slanted(ahead=0.0):
    """The plane z = 8 + x / 2, after the camera went ahead."""
    x = (np.arange(64) - 31.5) / 40
    return np.tile(((8 - ahead) / (1 - x / 2))[None], (32, 1)).astype(np.float32)


def test_a_plane_has_no_error():
    errors = pair_errors(slanted(), slanted(1.0), K, AHEAD, SIZE, ALL)
    assert errors.one_scale < 1e-6
    assert errors.own_scale < 1e-6
    assert 1000 < errors.pixels < 32 * 64  # the rest leaves the view


@given(log=st.floats(-0.5, 0.5), unit=st.floats(0.01, 100))
def test_a_frame_of_another_scale_costs_its_logarithm_but_not_with_its_own_scale(log, unit):
    motion = AHEAD.copy()
    motion[2, 3] *= unit
    before, after = unit * slanted(), unit * np.exp(log) * slanted(1.0)
    errors = pair_errors(before, after.astype(np.float32), K, motion, SIZE, ALL)
    np.testing.assert_allclose(errors.one_scale, abs(log), atol=1e-5)
    assert errors.own_scale < 1e-5


def test_the_error_is_the_mean_over_the_pixels_that_count():
    """By hand: no motion; one row 10 % farther, which counts with the row above it alone."""
    depth = np.full((32, 64), 5.0, np.float32)
    later = depth.copy()
    later[4] *= 1.1
    seen = np.zeros((32, 64), bool)
    seen[3:5] = True
    errors = pair_errors(depth, later, K, np.eye(4, dtype=np.float32), SIZE, seen)
    np.testing.assert_allclose(errors.one_scale, np.log(1.1) / 2, rtol=1e-5)
    # The median of 64 zeros and 64 logarithms is their mean, and each is half a logarithm off it.
    np.testing.assert_allclose(errors.own_scale, np.log(1.1) / 2, rtol=1e-5)
    assert errors.pixels == 128
    nothing = pair_errors(depth, later, K, np.eye(4, dtype=np.float32), SIZE, seen & False)
    assert jnp.isnan(nothing.one_scale)
    assert nothing.pixels == 0


def test_what_lies_beyond_the_true_size_changes_nothing():
    inside = pair_errors(slanted(), 1.2 * slanted(1.0), K, AHEAD, np.array([20, 40]), ALL)
    junk = [depth.copy() for depth in (slanted(), 1.2 * slanted(1.0))]
    for depth in junk:
        depth[20:], depth[:, 40:] = 77.0, 0.01
    same = pair_errors(*junk, K, AHEAD, np.array([20, 40]), ALL)
    np.testing.assert_array_equal(np.array(same), np.array(inside))


def test_same_surface_leaves_out_the_unknown_and_what_moves():
    truth, later = slanted(), slanted(1.0)
    everything = np.asarray(same_surface(truth, later, K, AHEAD, SIZE))
    assert everything.sum() == pair_errors(truth, later, K, AHEAD, SIZE, ALL).pixels
    car = later.copy()
    car[10:20, 30:40] *= 0.95  # came 5 % nearer by itself
    holes = truth.copy()
    holes[:8] = 0
    seen = np.asarray(same_surface(holes, car, K, AHEAD, SIZE))
    assert not seen[:8].any()
    assert not seen[14:18, 32:36].any()
    np.testing.assert_array_equal(seen[24:, :20], everything[24:, :20])


def test_a_laser_is_not_dense():
    truth = np.zeros((40, 80))
    truth[:32:2, :64:2] = 5
    assert is_dense(truth, SIZE)
    truth[:32:4] = 0
    assert not is_dense(truth, SIZE)


@pytest.mark.parametrize("unit", [0.05, 1.0, 20.0])
def test_the_scale_is_found_along_the_motion(unit):
    """Depth in another unit than the motion, and of pixels that flicker by 1 %.

    The plane must not be parallel to the motion: a road looks the same at every speed.
    """
    rng = np.random.default_rng(0)
    depths = np.stack([slanted(ahead) for ahead in range(4)])
    depths *= np.exp(rng.normal(0, 0.01, depths.shape)) / unit
    scale = fit_scale(depths, np.stack([K] * 4), np.stack([AHEAD] * 3), np.stack([SIZE] * 4))
    assert scale == pytest.approx(unit, rel=0.1)


def test_without_motion_any_scale_is_as_good():
    still = np.stack([np.eye(4, dtype=np.float32)] * 2)
    depths = np.stack([slanted()] * 3)
    assert fit_scale(depths, np.stack([K] * 3), still, np.stack([SIZE] * 3)) == 1.0


@pytest.fixture(scope="module")
def rendered():
    """Four frames of a rendered street, with its moving cars marked."""
    shot = render_frames(make_world((0, 2, 0), 6, RANGES["plain"]), range(4), size=(128, 384))
    return shot, (invert(shot.world_T_camera[1:]) @ shot.world_T_camera[:-1]).astype(np.float32)


def test_true_depth_of_a_rendered_street_has_hardly_any_error(rendered):
    """Rounding, round trunks and, of `unhidden`, silhouettes are what remains of it.

    The cars that move are left out for `unhidden`, because it cannot know of them.
    """
    shot, motions = rendered
    size = np.array([128, 384], np.int32)
    for i, motion in enumerate(motions):
        truth, later = shot.depth[i], shot.depth[i + 1]
        filled = [np.where(depth > 0, depth, 1e4).astype(np.float32) for depth in (truth, later)]
        where = shot.intrinsics, motion, size
        same = np.asarray(same_surface(truth, later, *where))
        errors = pair_errors(*filled, *where, same)
        assert errors.one_scale < 1e-3
        assert errors.pixels > 0.4 * truth.size
        seen = np.asarray(unhidden(filled[0], *where)) & ~shot.moving[i] & (truth > 0)
        # Almost all that `same_surface` refuses of these are silhouettes.
        assert (seen & ~same).sum() < 0.1 * seen.sum()
        assert pair_errors(*filled, *where, seen & same).one_scale < 1e-3


def test_a_wrong_motion_is_an_error_of_true_depth(rendered):
    """The error is not small because nothing is compared."""
    shot, motions = rendered
    size = np.array([128, 384], np.int32)
    same = same_surface(shot.depth[0], shot.depth[1], shot.intrinsics, motions[0], size)
    filled = [np.where(depth > 0, depth, 1e4).astype(np.float32) for depth in shot.depth[:2]]
    still = np.eye(4, dtype=np.float32)
    assert pair_errors(*filled, shot.intrinsics, still, size, same).one_scale > 0.01
