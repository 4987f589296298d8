import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from radepth_jax.evaluation.alignment import ALIGNMENTS
from radepth_jax.evaluation.kitti_odometry_errors import aligned_errors, segments
from radepth_jax.evaluation.odometry import chain, motions, score
from radepth_jax.evaluation.trajectory_files import read_trajectory
from radepth_jax.evaluation.trajectory_pairs import pair
from radepth_jax.evaluation.trajectory_report import make_rows

seeds = st.integers(0, 10_000)
PUBLISHED = json.loads((Path(__file__).parents[1] / "reference/odometry.json").read_text())


def drive(seed: int, frames: int = 300, speed: float = 1.0) -> np.ndarray:
    random = np.random.default_rng(seed)
    steps = random.normal([0, 0, -speed], 0.1 * speed, (frames - 1, 3))
    return chain(motions(random.normal(0, 0.01, (frames - 1, 3)), steps))


def disturbed(truth: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, 1])
    steps = np.linalg.inv(truth[1:]) @ truth[:-1]
    noise = random.normal(0, 0.01, (len(steps), 3)), random.normal(0, 0.05, (len(steps), 3))
    return chain(motions(*noise) @ steps)


def similar(poses: np.ndarray, seed: int, scale: float) -> np.ndarray:
    random = np.random.default_rng([seed, 2])
    scaled = poses.copy()
    scaled[:, :3, 3] *= scale
    return motions(random.normal(0, 1, (1, 3)), random.normal(0, 9, (1, 3))) @ scaled


def numbers(errors) -> np.ndarray:
    return np.array(
        [
            errors.ate,
            *errors.segment_translation,
            *errors.segment_rotation,
            *errors.pair_translation,
            *errors.pair_rotation,
        ]
    )


@pytest.mark.parametrize("name", ["09", "10"])
def test_the_published_figures(shared_data, name):
    folder = shared_data.parent / "reference" / "odometry"
    if not folder.is_dir():
        pytest.skip("needs the trajectories in ../shared/reference/odometry")
    predicted = read_trajectory(folder / f"predicted_{name}.txt")
    predicted, truth, *_ = pair(predicted, read_trajectory(folder / f"true_{name}.txt"))
    (row,) = make_rows("published", {name: score(predicted, truth)})
    for column, expected in PUBLISHED[name].items():
        assert getattr(row, column) == pytest.approx(expected, abs=2e-6), column


@settings(max_examples=5)
@given(seeds)
def test_one_by_one_as_the_development_kit_does(seed):
    truth = drive(seed)
    predicted = disturbed(truth, seed)
    path = [0.0]
    for a, b in zip(truth[:-1, :3, 3], truth[1:, :3, 3], strict=True):
        path.append(path[-1] + float(np.sqrt(((b - a) ** 2).sum())))
    translations, rotations = [], []
    for first in range(0, len(truth), 10):
        for length in (100, 200, 300, 400, 500, 600, 700, 800):
            last = next((i for i in range(len(path)) if path[i] > path[first] + length), None)
            if last is None:
                continue
            true_motion = np.linalg.inv(truth[first]) @ truth[last]
            motion = np.linalg.inv(predicted[first]) @ predicted[last]
            error = np.linalg.inv(motion) @ true_motion
            translations.append(np.linalg.norm(error[:3, 3]) / length)
            rotations.append(Rotation.from_matrix(error[:3, :3]).magnitude() / length)
    got = aligned_errors(predicted, truth, "origin")
    assert len(translations) > 20
    np.testing.assert_allclose(got.segment_translation, translations, rtol=1e-8)
    np.testing.assert_allclose(got.segment_rotation, rotations, rtol=1e-6)
    pairs = [
        np.linalg.inv(np.linalg.inv(truth[i]) @ truth[i + 1])
        @ (np.linalg.inv(predicted[i]) @ predicted[i + 1])
        for i in range(len(truth) - 1)
    ]
    np.testing.assert_allclose(
        got.pair_translation, [np.linalg.norm(error[:3, 3]) for error in pairs], rtol=1e-8
    )
    angles = [Rotation.from_matrix(error[:3, :3]).magnitude() for error in pairs]
    np.testing.assert_allclose(got.pair_rotation, angles, atol=1e-7)


@settings(max_examples=5)
@given(seeds, st.sampled_from(list(ALIGNMENTS)))
def test_the_worlds_of_both_trajectories_do_not_matter(seed, alignment):
    truth = drive(seed)
    predicted = disturbed(truth, seed)
    expected = aligned_errors(predicted, truth, alignment)
    got = aligned_errors(similar(predicted, seed, 1), similar(truth, seed + 1, 1), alignment)
    assert expected.ate > 0.01
    np.testing.assert_allclose(numbers(got), numbers(expected), atol=1e-6)


@settings(max_examples=5)
@given(seeds, st.floats(0.01, 100), st.sampled_from(["scale", "7dof"]))
def test_the_scale_of_a_prediction_does_not_matter(seed, scale, alignment):
    truth = drive(seed)
    predicted = disturbed(truth, seed)
    expected = aligned_errors(predicted, truth, alignment)
    got = aligned_errors(similar(predicted, seed, scale), truth, alignment)
    assert got.scale == pytest.approx(expected.scale / scale, rel=1e-6)
    np.testing.assert_allclose(numbers(got), numbers(expected), atol=1e-6)


def test_a_wrong_scale_is_seen_without_a_scale():
    truth = drive(0)
    predicted = similar(truth, 0, 0.9)
    straight = aligned_errors(predicted, truth, "6dof").segment_translation.mean()
    assert 0.05 < straight < 0.11  # a tenth of the way, less in bends
    assert aligned_errors(predicted, truth, "7dof").segment_translation.max() < 1e-9


def test_a_constant_turn_is_its_angle_over_the_way():
    truth = np.tile(np.eye(4), (221, 1, 1))
    truth[:, 2, 3] = np.arange(221)
    predicted = truth.copy()
    angle = np.radians(0.02) * np.arange(221)
    predicted[:, :3, :3] = Rotation.from_rotvec(angle[:, None] * [0, 1.0, 0]).as_matrix()
    errors = aligned_errors(predicted, truth, "origin")
    # A segment ends at the first frame past its length: 101 m for 100 m, 201 m for 200 m.
    expected = np.sort(np.r_[[0.02 * 101 / 100] * 12, [0.02 * 201 / 200] * 2])
    np.testing.assert_allclose(np.sort(np.degrees(errors.segment_rotation)), expected)
    np.testing.assert_allclose(np.degrees(errors.pair_rotation), 0.02)


def test_no_segment_up_to_100_metres():
    line = np.tile(np.eye(4), (102, 1, 1))
    line[:, 2, 3] = np.arange(102)
    first, last, lengths = segments(line[:101])
    assert len(first) == len(last) == len(lengths) == 0
    first, last, lengths = segments(line)
    assert (list(first), list(last), list(lengths)) == ([0], [101], [100])
    (row,) = make_rows("short", {"a": score(line[:101], line[:101])})
    assert (row.segments, row.t_rel, row.r_rel) == (0, None, None)
    assert row.rpe_translation == row.rpe_rotation == 0


def test_frames_that_are_missing_are_left_out():
    truth = drive(3)
    predicted = disturbed(truth, 3)
    complete = aligned_errors(predicted, truth, "origin")
    first, last, _ = segments(truth)
    gone = int(last[0])
    partial = predicted.copy()
    partial[gone] = np.nan
    errors = aligned_errors(partial, truth, "origin")
    kept = (first != gone) & (last != gone)
    np.testing.assert_array_equal(errors.segment_translation, complete.segment_translation[kept])
    pairs = np.delete(complete.pair_translation, [gone - 1, gone])
    np.testing.assert_array_equal(errors.pair_translation, pairs)
    unknown = truth.copy()
    unknown[[0, gone]] = np.nan
    first, last, _ = segments(unknown)
    assert len(first) > 0
    assert not np.isin([0, gone], [first, last]).any()
    assert np.isfinite(numbers(aligned_errors(predicted, unknown))).all()


def test_one_frame_has_no_errors():
    errors = aligned_errors(drive(0)[:1], drive(0)[:1])
    assert np.isnan(errors.ate)
    assert np.isnan(errors.scale)
    (row,) = make_rows("m", {"a": score(drive(0)[:1], drive(0)[:1])})
    assert (row.trajectory_ate, row.scale, row.rpe_translation) == (None, None, None)
