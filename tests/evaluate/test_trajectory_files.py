import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from radepth_jax.errors import UserError
from radepth_jax.evaluate import odometry, trajectory_files
from radepth_jax.evaluate.trajectory_files import associate, pair, read_trajectory

IDENTITY = "1 0 0 0 0 1 0 0 0 0 1 0"


@pytest.fixture
def trajectory():
    random = np.random.default_rng(0)
    return odometry.chain(
        odometry.motions(random.normal(0, 0.5, (6, 3)), random.normal(0, 100, (6, 3)))
    )


def test_kitti_files_hold_the_matrices(trajectory, tmp_path):
    trajectory_files.write_kitti(tmp_path / "x.txt", trajectory)
    lines = (tmp_path / "x.txt").read_text().splitlines()
    assert [len(line.split()) for line in lines] == [12] * 7
    read = np.loadtxt(tmp_path / "x.txt").reshape(-1, 3, 4)
    np.testing.assert_allclose(read, trajectory[:, :3], rtol=1e-9, atol=1e-9)


def test_tum_files_hold_time_position_and_the_real_part_last(trajectory, tmp_path):
    times = 1e9 + np.arange(7) / 30
    trajectory_files.write_tum(tmp_path / "x.txt", times, trajectory)
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
    paths = trajectory_files.write_trajectories(tmp_path, "s", trajectory, trajectory, times)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir())
    assert len(paths) == 4
    truth = trajectory.copy()
    truth[3] = np.nan
    paths = trajectory_files.write_trajectories(tmp_path, "s", trajectory, truth, times)
    assert sorted(path.name for path in paths) == sorted(path.name for path in tmp_path.iterdir())
    assert sorted(path.name for path in paths) == ["s_kitti.txt", "s_truth_tum.txt", "s_tum.txt"]
    np.testing.assert_array_equal(
        np.loadtxt(tmp_path / "s_truth_tum.txt")[:, 0], [0, 1, 2, 4, 5, 6]
    )


def test_what_is_written_is_read_back(trajectory, tmp_path):
    trajectory_files.write_kitti(tmp_path / "kitti.txt", trajectory)
    trajectory_files.write_tum(tmp_path / "tum.txt", np.arange(7) / 30, trajectory)
    kitti, tum = read_trajectory(tmp_path / "kitti.txt"), read_trajectory(tmp_path / "tum.txt")
    for read in (kitti, tum):
        np.testing.assert_allclose(read.world_T_camera, trajectory, rtol=1e-8, atol=1e-8)
    assert (kitti.times, tum.frames) == (None, None)
    np.testing.assert_array_equal(kitti.frames, range(7))
    np.testing.assert_allclose(tum.times, np.arange(7) / 30, atol=1e-6)


@pytest.mark.parametrize("line", ["{i} " + IDENTITY, IDENTITY, "{i} 1 2 3 0 0 0 1"])
def test_what_is_not_a_number_is_passed_over(tmp_path, line):
    lines = [line.format(i=i) for i in range(3)]
    text = f"\ufeff# frames\r\n\r\n{lines[0]}\r\n  {lines[1]}  # the second\n\n{lines[2]}"
    (tmp_path / "x.txt").write_bytes(text.encode())
    (tmp_path / "plain.txt").write_text("\n".join(lines) + "\n")
    got, plain = read_trajectory(tmp_path / "x.txt"), read_trajectory(tmp_path / "plain.txt")
    assert len(got.world_T_camera) == 3
    np.testing.assert_array_equal(got.world_T_camera, plain.world_T_camera)


def test_lines_with_a_key_come_in_any_order(tmp_path):
    (tmp_path / "x.txt").write_text("7 1 0 0 0 0 0 1\n3 5 0 0 0 0 0 1\n")
    read = read_trajectory(tmp_path / "x.txt")
    np.testing.assert_array_equal(read.times, [3, 7])
    np.testing.assert_array_equal(read.world_T_camera[:, 0, 3], [5, 1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no poses"),
        ("# only words\n", "no poses"),
        (f"\n{IDENTITY}\n1 2 3\n", "line 3: 3 columns; expected 12"),
        (f"{IDENTITY}\n\n0 {IDENTITY}\n", "line 3: 13 columns, line 1 has 12"),
        (f"# x\n{IDENTITY[:-1]}?\n", "line 2: '?' is not a number"),
        (f"{IDENTITY[:-1]}nan\n", "line 1: 'nan' is not finite"),
        (f"{IDENTITY}\n2{IDENTITY[1:]}\n", "line 2: the 3x3 part of the matrix is not a rotation"),
        (f"-{IDENTITY}\n", "line 1: the 3x3 part of the matrix is not a rotation"),
        (f"1 {IDENTITY}\n0 {IDENTITY}\n1 {IDENTITY}\n", "line 3: frame is there twice"),
        (f"0.5 {IDENTITY}\n", "line 1: a frame number is whole"),
        (f"1e30 {IDENTITY}\n", "line 1: a frame number is whole"),
        ("0 0 0 0 0 0 0 1\n1 0 0 0 0 0 0 0\n", "line 2: the quaternion"),
        ("0 0 0 0 0 0 0 1\n0 0 0 0 0 0 0 1\n", "line 2: timestamp is there twice"),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, expected):
    (tmp_path / "x.txt").write_text(text)
    with pytest.raises(UserError) as error:
        read_trajectory(tmp_path / "x.txt")
    assert str(error.value).startswith(str(tmp_path / "x.txt"))
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_what_is_not_a_trajectory_file(tmp_path):
    with pytest.raises(UserError, match="No such file"):
        read_trajectory(tmp_path / "x.txt")
    with pytest.raises(UserError, match="directory"):
        read_trajectory(tmp_path)
    (tmp_path / "x.png").write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(UserError, match="not a text file"):
        read_trajectory(tmp_path / "x.png")


def write(path, keys, columns=13):
    tail = IDENTITY if columns != 8 else "0 0 0 0 0 0 1"
    path.write_text("".join(f"{tail}\n" if columns == 12 else f"{key} {tail}\n" for key in keys))
    return read_trajectory(path)


def test_frames_pair_by_their_number(tmp_path):
    predicted = write(tmp_path / "p.txt", [2, 3, 5])
    truth = write(tmp_path / "t.txt", range(7), columns=12)
    p, t = pair(predicted, truth)
    assert p.shape == t.shape == (7, 4, 4)
    np.testing.assert_array_equal(np.isfinite(p).all(axis=(1, 2)).nonzero()[0], [2, 3, 5])
    assert np.isfinite(t).all()


def test_files_that_do_not_pair(tmp_path):
    numbered = write(tmp_path / "n.txt", [2, 9])
    plain = write(tmp_path / "p.txt", range(7), columns=12)
    shorter = write(tmp_path / "s.txt", range(6), columns=12)
    timed = write(tmp_path / "t.txt", [100, 101], columns=8)
    later = write(tmp_path / "l.txt", [100.01, 101.03], columns=8)
    apart = write(tmp_path / "a.txt", [3, 4, 9])
    for one, other, expected in (
        (shorter, plain, "6 poses, and .* has 7; put the frame number"),
        (numbered, plain, "frame 9, and .* ends at frame 6"),
        (timed, plain, "TUM's format and .* KITTI's"),
        (timed, later, "1 of its timestamps within 0.02 s"),
        (numbered, apart, "1 of its frames in"),
    ):
        with pytest.raises(UserError, match=expected):
            pair(one, other)
    assert len(pair(timed, later, max_difference=0.05)[0]) == 2


def test_the_nearer_timestamp_has_the_pair():
    i, j = associate(np.array([0.0, 0.9, 1.05, 3.0]), np.array([0.01, 1.0, 2.0, 3.02]), 0.1)
    np.testing.assert_array_equal(i, [0, 2, 3])
    np.testing.assert_array_equal(j, [0, 1, 3])


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pairs_are_near_and_none_is_taken_twice(seed, max_difference):
    random = np.random.default_rng(seed)
    times, others = (np.unique(random.uniform(0, 10, random.integers(1, 30))) for _ in range(2))
    i, j = associate(times, others, max_difference)
    assert (np.diff(i) > 0).all()
    assert (np.diff(j) > 0).all()
    assert (np.abs(times[i] - others[j]) <= max_difference).all()
    # A prediction's nearest truth, and no other prediction that wants the same is nearer to it.
    distance = np.abs(times[:, None] - others)
    wanted = distance.argmin(axis=1)
    np.testing.assert_array_equal(wanted[i], j)
    for a, b in zip(i, j, strict=True):
        assert distance[a, b] == distance[wanted == b, b].min()
    near = distance.min(axis=1) <= max_difference
    assert set(j) == set(wanted[near])
