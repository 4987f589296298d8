import csv
import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from radepth_jax.evaluate import odometry, trajectory_report


@pytest.fixture
def trajectory():
    random = np.random.default_rng(0)
    return odometry.chain(
        odometry.motions(random.normal(0, 0.5, (6, 3)), random.normal(0, 100, (6, 3)))
    )


def test_kitti_files_hold_the_matrices(trajectory, tmp_path):
    trajectory_report.write_kitti(tmp_path / "x.txt", trajectory)
    lines = (tmp_path / "x.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [12] * 7
    read = np.loadtxt(tmp_path / "x.txt").reshape(-1, 3, 4)
    np.testing.assert_allclose(read, trajectory[:, :3], rtol=1e-9, atol=1e-9)


def test_tum_files_hold_time_position_and_the_real_part_last(trajectory, tmp_path):
    times = 1e9 + np.arange(7) / 30
    trajectory_report.write_tum(tmp_path / "x.txt", times, trajectory)
    read = np.loadtxt(tmp_path / "x.txt")
    np.testing.assert_allclose(read[:, 0], times, rtol=0, atol=1e-6)
    np.testing.assert_allclose(read[:, 1:4], trajectory[:, :3, 3], rtol=1e-9)
    np.testing.assert_allclose(read[0, 4:], [0, 0, 0, 1])
    x, y, z, w = read[:, 4:].T
    forward = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x**2 + y**2)], axis=1)
    np.testing.assert_allclose(forward, trajectory[:, :3, 2], atol=1e-8)
    np.testing.assert_allclose(
        Rotation.from_quat(read[:, 4:]).as_matrix(), trajectory[:, :3, :3], atol=1e-8
    )


def test_a_truth_with_gaps_is_written_only_with_its_times(trajectory, tmp_path):
    times = np.arange(7.0)
    paths = trajectory_report.write_trajectories(tmp_path, "s", trajectory, trajectory, times)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir())
    assert len(paths) == 4
    truth = trajectory.copy()
    truth[3] = np.nan
    paths = trajectory_report.write_trajectories(tmp_path, "s", trajectory, truth, times)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir())
    assert sorted(path.name for path in paths) == ["s_kitti.txt", "s_truth_tum.txt", "s_tum.txt"]
    np.testing.assert_array_equal(
        np.loadtxt(tmp_path / "s_truth_tum.txt")[:, 0], [0, 1, 2, 4, 5, 6]
    )


def test_all_is_the_mean_over_snippets_not_over_recordings(tmp_path, capsys):
    turn = odometry.motions(np.array([[0, 0.1, 0]] * 8), np.array([[0, 0, -1.0]] * 8))
    scores = {
        name: odometry.score(odometry.straight_ahead(frames), odometry.chain(turn)[:frames])
        for name, frames in (("long", 9), ("short", 5), ("none", 3))
    }
    rows = trajectory_report.make_rows("m", scores)
    assert [(row.sequence, row.snippets) for row in rows] == [
        ("long", 5), ("short", 1), ("none", 0), ("all", 6),
    ]  # fmt: skip
    every = np.concatenate([score.snippet_ate for score in scores.values()])
    assert rows[-1].snippet_ate == pytest.approx(every.mean())
    assert rows[-1].snippet_ate_std == pytest.approx(every.std())
    assert rows[2].snippet_ate is None
    assert trajectory_report.make_rows("m", {"long": scores["long"]}) == rows[:1]

    trajectory_report.print_table(rows, "title")
    assert f"{every.mean():.4f} ± {every.std():.4f}" in capsys.readouterr().out
    paths = trajectory_report.write_rows(rows, tmp_path)
    with paths[0].open() as file:
        table = list(csv.DictReader(file))
    records = json.loads(paths[1].read_text())
    assert [float(line["length"]) for line in table] == [row["length"] for row in records]
    assert (table[2]["snippet_ate"], records[2]["snippet_ate"]) == ("", None)
