import numpy as np
import pytest
from small_data_sets import build_toy, encode

from radepth_jax.data import schema
from radepth_jax.data.recordings import find_recordings, read_poses
from radepth_jax.errors import UserError


def contents(targets, *, poses=True, times=True):
    """Sequence `a/1` of frames 3-9 without 7, cameras 0 and 1, and `b` of one frame."""
    keys = [("a/1", c, f) for c in (0, 1) for f in (3, 4, 5, 6, 8, 9)] + [("b", 0, 0)]
    return schema.Contents(
        frames=(
            schema.Frame(
                image=encode(np.zeros((4, 6, 3), np.uint8)),
                sequence=sequence,
                camera=camera,
                frame=frame,
                intrinsics=np.eye(3),
                world_T_camera=(1.0 + frame) * np.eye(4) if poses else None,
                time=frame / 4 if times else None,
            )
            for sequence, camera, frame in keys
        ),
        samples={"test": [schema.Sample(*key) for key in targets]},
    )


def names(tmp_path, targets):
    found = find_recordings(build_toy(tmp_path, lambda: contents(targets)), "test")
    return [(r.name, r.first, len(r.positions)) for r in found]


def test_targets_and_one_neighbour_on_either_side(tmp_path):
    assert names(tmp_path / "inside", [("a/1", 0, 5)]) == [("a_1", 4, 3)]
    assert names(tmp_path / "start", [("a/1", 0, 3), ("a/1", 0, 5)]) == [("a_1", 3, 4)]


def test_a_gap_cuts_and_the_parts_are_named_apart(tmp_path):
    targets = [("a/1", 0, 4), ("a/1", 0, 9), ("a/1", 1, 4), ("b", 0, 0)]
    assert names(tmp_path, targets) == [
        ("a_1_camera0_3-6", 3, 4),
        ("a_1_camera0_8-9", 8, 2),
        ("a_1_camera1", 3, 3),
        ("b", 0, 1),
    ]


def test_poses_and_times_are_those_of_the_frames(tmp_path):
    dataset = build_toy(tmp_path, lambda: contents([("a/1", 1, 8)]))
    poses, times = read_poses(dataset, find_recordings(dataset, "test")[0])
    np.testing.assert_array_equal(poses[:, 0, 0], [9, 10])
    np.testing.assert_array_equal(times, [2, 2.25])


def test_frame_numbers_stand_in_for_times(tmp_path):
    dataset = build_toy(tmp_path, lambda: contents([("a/1", 1, 8)], times=False))
    _, times = read_poses(dataset, find_recordings(dataset, "test")[0])
    np.testing.assert_array_equal(times, [8, 9])


def test_recordings_without_poses_are_refused(tmp_path):
    dataset = build_toy(tmp_path, lambda: contents([("a/1", 1, 8)], poses=False))
    with pytest.raises(UserError, match="the frames of 'a/1' have no poses"):
        read_poses(dataset, find_recordings(dataset, "test")[0])
