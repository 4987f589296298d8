import shutil

import numpy as np
import pytest

from radepth_jax.cli import prepare as command
from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.prepare import prepare
from radepth_jax.data.recordings import find_recordings, read_poses
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError


def make(root, data_dir, **options):
    prepare("kitti_odometry", source=root, data_dir=data_dir, **options)
    return open_dataset("kitti_odometry", data_dir)


def published(root, name) -> np.ndarray:
    poses = np.loadtxt(root / "poses" / f"{name}.txt").reshape(-1, 3, 4)
    bottom = np.tile([[[0.0, 0, 0, 1]]], (len(poses), 1, 1))
    return np.concatenate([poses, bottom], axis=1)


def test_the_command_stores_every_frame_with_its_cameras_own_pose(odometry_tree, tmp_path):
    command.main(
        [
            *["kitti_odometry", "--source", str(odometry_tree), "--sequences", "09,10"],
            *["--data_dir", str(tmp_path / "d")],
        ]
    )
    dataset = open_dataset("kitti_odometry", tmp_path / "d")
    assert dataset.splits == {"test": 12}
    assert len(dataset.metadata.index) == 24
    assert (dataset.directory / "problems.txt").read_text() == ""
    times = np.loadtxt(odometry_tree / "sequences" / "09" / "times.txt")
    for camera, offset in ((2, 0.06), (3, -0.48)):
        for frame in range(7):
            record = dataset.record("frames", dataset.metadata.index.find("09", camera, frame))
            path = odometry_tree / "sequences" / "09" / f"image_{camera}" / f"{frame:06d}.png"
            assert record["image"] == path.read_bytes()
            assert record["time"] == times[frame]
            np.testing.assert_allclose(record["intrinsics"][0], [29, 0, 24.5])
            # A point seen by the camera, through camera 0 to the world.
            point = np.array([1.0, 2.0, 9.0, 1.0])
            in_camera0 = point - [offset, 0, 0, 0]
            world = published(odometry_tree, "09")[frame] @ in_camera0
            np.testing.assert_allclose(record["world_T_camera"] @ point, world, atol=1e-9)


def test_stereo_and_neighbours_are_there_for_whoever_trains_on_it(odometry_tree, tmp_path):
    dataset = make(odometry_tree, tmp_path, sequences=("09",))
    source = TrainingSource(dataset, "test", (0, -1, 1, "s"))
    assert len(source) == 5
    np.testing.assert_allclose(source[0]["stereo_T_target"][:3, 3], [-0.54, 0, 0], atol=1e-6)


def test_recordings_are_the_sequences_of_the_left_camera(odometry_tree, tmp_path):
    dataset = make(odometry_tree, tmp_path)
    recordings = find_recordings(dataset, "test")
    assert [(r.name, r.camera, len(r.positions)) for r in recordings] == [
        ("09", 2, 7),
        ("10", 2, 5),
    ]
    poses, times = read_poses(dataset, recordings[1])
    np.testing.assert_array_equal(
        times, np.loadtxt(odometry_tree / "sequences" / "10" / "times.txt")
    )
    assert poses.shape == (5, 4, 4)


def test_without_the_right_camera(odometry_tree, tmp_path):
    for name in ("09", "10"):
        shutil.rmtree(odometry_tree / "sequences" / name / "image_3")
    dataset = make(odometry_tree, tmp_path)
    assert dataset.metadata.stereo == {}
    assert len(dataset.metadata.index) == 12


def test_frames_without_a_pose_or_a_time_are_listed(odometry_tree, tmp_path):
    for path in ("poses/10.txt", "sequences/10/times.txt"):
        lines = (odometry_tree / path).read_text().splitlines()
        (odometry_tree / path).write_text("\n".join(lines[:4]) + "\n")
    (odometry_tree / "sequences" / "09" / "image_3" / "000002.png").unlink()
    dataset = make(odometry_tree, tmp_path)
    assert (dataset.directory / "problems.txt").read_text().splitlines() == [
        "sequence 09: 1 frames are there for one camera only",
        f"{odometry_tree}/poses/10.txt: 4 lines, none for 1 frames of image_2",
        f"{odometry_tree}/sequences/10/times.txt: 4 lines, none for 1 frames of image_2",
    ]
    poses, times = read_poses(dataset, find_recordings(dataset, "test")[1])
    assert np.isfinite(poses[:4]).all()
    assert np.isnan(poses[4]).all()
    np.testing.assert_array_equal(times, range(5))  # not all known: frame numbers


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("poses/09.txt", None, r"poses/09.txt: No such file .*sequences 00 to 10"),
        ("poses/09.txt", "1 2 3\n", r"poses/09.txt, line 1: expected 12 numbers, got '1 2 3'"),
        ("sequences/09/times.txt", "0\nnoon\n", r"times.txt, line 2: expected 1 numbers"),
        ("sequences/09/calib.txt", "P0: 1 2\n", r"calib.txt: expected a line 'P0:' with 12"),
    ],
)
def test_damaged_text_files_are_named(odometry_tree, tmp_path, path, text, message):
    (odometry_tree / path).unlink()
    if text is not None:
        (odometry_tree / path).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        make(odometry_tree, tmp_path)
    assert "\n" not in str(error.value)


def test_blank_lines_marks_and_hidden_files_are_nothing(odometry_tree, tmp_path):
    for path in (odometry_tree / "poses" / "09.txt", odometry_tree / "sequences/09/times.txt"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n \r\n")
    (odometry_tree / "sequences" / "09" / "image_2" / "._000000.png").touch()
    (odometry_tree / "sequences" / ".DS_Store").touch()
    prepare("kitti_odometry", source=odometry_tree, data_dir=tmp_path, sequences=("09",))
    dataset = open_dataset("kitti_odometry", tmp_path)
    assert dataset.splits == {"test": 7}
    assert (dataset.directory / "problems.txt").read_text() == ""
    with pytest.raises(UserError, match=r"no sequence '11' in .*; there are 09, 10$"):
        prepare("kitti_odometry/x", source=odometry_tree, data_dir=tmp_path, sequences=("11",))


def test_unusable_sources_and_sequences_are_refused(odometry_tree, tmp_path):
    with pytest.raises(UserError, match=r"no sequence '11' in .*; there are 09, 10"):
        make(odometry_tree, tmp_path, sequences=("11",))
    with pytest.raises(UserError, match="--sequences is empty"):
        make(odometry_tree, tmp_path, sequences=())
    with pytest.raises(UserError, match="no folder 'sequences' in it"):
        make(odometry_tree / "poses", tmp_path)
    with pytest.raises(UserError, match="--source is missing"):
        make(None, tmp_path)
    shutil.rmtree(odometry_tree / "sequences" / "09" / "image_2")
    with pytest.raises(UserError, match=r"image_2: no images"):
        make(odometry_tree, tmp_path)
