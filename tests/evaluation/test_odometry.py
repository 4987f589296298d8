import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.evaluation import odometry

seeds = st.integers(0, 10_000)


def drive(seed: int, frames: int = 20) -> np.ndarray:
    """A winding trajectory [frames, 4, 4] in a world of its own."""
    random = np.random.default_rng(seed)
    axisangle = random.normal(0, 0.1, (frames, 3))
    translation = random.normal([0, 0, -1], [0.1, 0.05, 0.3], (frames, 3))
    start = odometry.motions(random.normal(size=(1, 3)), random.normal(0, 30, (1, 3)))
    return start @ odometry.chain(odometry.motions(axisangle, translation))[:frames]


def disturbed(truth: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, 1])
    error = odometry.motions(
        random.normal(0, 0.02, (len(truth), 3)), random.normal(0, 0.1, (len(truth), 3))
    )
    return truth @ error


def similar(poses: np.ndarray, seed: int) -> np.ndarray:
    """The same trajectory in another world and at another scale."""
    random = np.random.default_rng([seed, 2])
    scaled = poses.copy()
    scaled[:, :3, 3] *= random.uniform(0.01, 100)
    return odometry.motions(random.normal(0, 1, (1, 3)), random.normal(0, 9, (1, 3))) @ scaled


@given(seeds)
def test_chained_motions_are_the_trajectory_from_its_first_camera(seed):
    truth = drive(seed)
    later_T_earlier = np.linalg.inv(truth[1:]) @ truth[:-1]
    expected = np.linalg.inv(truth[0]) @ truth
    np.testing.assert_allclose(odometry.chain(later_T_earlier), expected, atol=1e-9)


def test_a_camera_that_moves_forward_sees_the_world_come_towards_it():
    # Points ahead get nearer: later_T_earlier moves them by -1 along z, the camera goes to +1.
    later_T_earlier = odometry.motions(np.zeros((2, 3)), np.array([[0, 0, -1.0]] * 2))
    positions = odometry.chain(later_T_earlier)[:, :3, 3]
    np.testing.assert_array_equal(positions, [[0, 0, 0], [0, 0, 1], [0, 0, 2]])
    np.testing.assert_array_equal(odometry.straight_ahead(3)[:, :3, 3], positions)


@given(seeds)
def test_the_truth_at_any_scale_and_in_any_world_has_no_error(seed):
    truth = drive(seed)
    score = odometry.score(similar(truth, seed), truth)
    assert score.snippet_ate.shape == (16,)
    np.testing.assert_allclose(score.snippet_ate, 0, atol=1e-9)
    assert score.aligned["7dof"].ate < 1e-9
    steps = [np.linalg.norm(b - a) for a, b in itertools.pairwise(truth[:, :3, 3])]
    assert score.length == pytest.approx(sum(steps))


@given(seeds)
def test_scale_and_world_of_a_prediction_do_not_matter(seed):
    truth = drive(seed)
    predicted = disturbed(truth, seed)
    one, two = odometry.score(predicted, truth), odometry.score(similar(predicted, seed), truth)
    assert one.aligned["7dof"].ate > 0.01
    np.testing.assert_allclose(one.snippet_ate, two.snippet_ate, rtol=1e-6)
    assert one.aligned["7dof"].ate == pytest.approx(two.aligned["7dof"].ate, rel=1e-6)


@given(seeds)
def test_snippets_as_published_one_by_one(seed):
    truth = drive(seed, frames=9)
    predicted = disturbed(truth, seed)
    ate, rmse = odometry.snippet_errors(predicted, truth)
    assert len(ate) == 5
    for i in range(5):
        xyz = {}
        for name, poses in (("truth", truth), ("predicted", predicted)):
            origin = np.linalg.inv(poses[i])
            xyz[name] = np.array([(origin @ poses[i + k] @ [0, 0, 0, 1])[:3] for k in range(5)])
        # The least-squares factor, found without the formula.
        factor = np.linalg.lstsq(xyz["predicted"].reshape(-1, 1), xyz["truth"].ravel(), rcond=None)[
            0
        ]
        error = factor * xyz["predicted"] - xyz["truth"]
        assert ate[i] == pytest.approx(np.sqrt((error**2).sum()) / 5, rel=1e-9)
        assert rmse[i] == pytest.approx(np.sqrt((error**2).sum(axis=1).mean()), rel=1e-9)


def test_a_line_is_aligned_although_its_roll_is_free():
    predicted, truth = odometry.straight_ahead(8), similar(odometry.straight_ahead(8), 0)
    assert odometry.score(predicted, truth).aligned["7dof"].ate < 1e-9


def test_standing_still_is_off_by_the_way_travelled():
    truth = odometry.straight_ahead(5)
    score = odometry.score(odometry.standing_still(5), truth)
    assert score.snippet_ate == pytest.approx([np.sqrt(1 + 4 + 9 + 16) / 5])
    assert score.aligned["7dof"].ate == pytest.approx(np.sqrt(2))
    assert score.aligned["7dof"].scale == 0


def test_frames_without_a_pose_are_left_out():
    truth = drive(0, frames=12)
    predicted = disturbed(truth, 0)
    partial = truth.copy()
    partial[6] = np.nan
    score = odometry.score(predicted, partial)
    expected, _ = odometry.snippet_errors(predicted, truth)
    np.testing.assert_allclose(score.snippet_ate, expected[[0, 1, 7]])
    assert score.frames == 11
    assert np.isfinite(score.aligned["7dof"].ate)


@pytest.mark.parametrize("frames", [2, 4])
def test_too_few_frames_for_a_snippet_have_none(frames):
    truth = drive(1, frames=frames)
    score = odometry.score(truth, truth)
    assert score.snippet_ate.shape == score.snippet_rmse.shape == (0,)
    assert score.aligned["7dof"].ate < 1e-9
