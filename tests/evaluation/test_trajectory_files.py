import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from radepth_jax.errors import UserError
from radepth_jax.evaluation import odometry, trajectory_files
from radepth_jax.evaluation.trajectory_files import read_trajectory

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


EUROC = (
    "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], "
    "q_RS_z [], v_RS_R_x [m s^-1], b_a_RS_S_x [m s^-2]\n"
)


@pytest.mark.parametrize(
    ("header", "line", "unit"),
    [
        (EUROC, "{},1,2,3,0.8,0.6,0,0,7,7", 1e-9),
        (f"# Vicon, of the room\n{EUROC}", "{}, 1, 2, 3, 0.8, 0.6, 0, 0, 7, 7\r", 1e-9),
        (EUROC.replace("stamp,", "stamp [s],"), "{},1,2,3,0.8,0.6,0,0,7,7", 1),
        ("timestamp,x,y,z,q_x,q_y,q_z,q_w\n", "{},1,2,3,0.6,0,0,0.8", 1),
        ("seq,time [us],tx,ty,tz,qx,qy,qz,qw\n", "5,{},1,2,3,0.6,0,0,0.8", 1e-6),
    ],
)
def test_a_csv_file_is_read_by_the_names_of_its_columns(tmp_path, header, line, unit):
    """EuRoC writes the quaternion's real part first, and nanoseconds."""
    whole = [round(time / unit) for time in (1403636580, 1403636581)]
    text = header + "".join(line.format(time) + "\n" for time in whole)
    (tmp_path / "x.csv").write_bytes(text.encode())
    got = read_trajectory(tmp_path / "x.csv")
    np.testing.assert_allclose(got.times, [1403636580, 1403636581], rtol=0, atol=1e-6)
    np.testing.assert_allclose(got.world_T_camera[0, :3, 3], [1, 2, 3])
    expected = Rotation.from_quat([0.6, 0, 0, 0.8]).as_matrix()
    np.testing.assert_allclose(got.world_T_camera[1, :3, :3], expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0,0,0,0,0,0,0,1\n1,0,0,0,0,0,0,1\n", "line 1: its columns are separated by commas"),
        (EUROC, "no poses"),
        (f"{EUROC}1,2,3\n", "line 2: 3 columns; 10 have names"),
        (f"{EUROC}1,0,0,0,1,0,0,0\n1,0,0,0,1,0,0,0\n", "line 3: timestamp is there twice"),
        (f"{EUROC}nan,0,0,0,1,0,0,0\n", "line 2: 'nan' is not finite"),
        (f"{EUROC}1,0,0,0,1,1,0,0\n", "line 2: the quaternion"),
        ("time [min],x,y,z,qx,qy,qz,qw\n1,0,0,0,0,0,0,1\n", "line 1: timestamps in 'min'"),
    ],
)
def test_a_bad_line_of_a_csv_file_is_named(tmp_path, text, expected):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(UserError) as error:
        read_trajectory(tmp_path / "x.csv")
    assert expected in str(error.value)
    assert "\n" not in str(error.value)
