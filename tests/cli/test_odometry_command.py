"""`radepth odometry` as a user runs it."""

import json
from functools import partial

import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax.data import open_dataset, prepare
from radepth_jax.evaluation import odometry
from radepth_jax.evaluation.trajectory_files import write_kitti, write_tum
from radepth_jax.runs.saved_model import load_model, save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture
def radepth(radepth):
    """Run `radepth odometry ...` in this process -> (exit code, standard output, error)."""
    return partial(radepth, "odometry")


def assert_one_line(result, *expected):
    code, out, err = result
    assert (code, out) == (2, ""), err
    assert len(err.strip().splitlines()) == 1, err
    for text in expected:
        assert text in err


def test_the_data_set_trained_on_is_the_default(radepth, checkpoint, street_dir, tmp_path):
    code, text, err = radepth(f"--checkpoint={checkpoint}", f"--output={tmp_path}", "--yardsticks")
    assert code == 0, err
    assert all(name in text for name in ("micro, step 0", "test_000", "straight ahead"))
    (row, ahead, still) = json.loads((tmp_path / "odometry.json").read_text())
    assert (row["frames"], row["snippets"]) == (5, 1)
    assert 0 < ahead["snippet_ate"] < still["snippet_ate"]
    dataset = open_dataset("street/tiny", street_dir)
    index = dataset.metadata.index
    poses = np.stack(
        [
            dataset.record("frames", index.find("test_000", 2, frame))["world_T_camera"]
            for frame in range(5)
        ]
    )
    truth = np.loadtxt(tmp_path / "test_000_truth_kitti.txt").reshape(5, 3, 4)
    np.testing.assert_allclose(truth, poses[:, :3], atol=1e-8)
    # From the files alone: what the table says.
    predicted = np.loadtxt(tmp_path / "test_000_kitti.txt").reshape(5, 3, 4)
    relative = [
        np.stack([path[0, :, :3].T @ (pose[:, 3] - path[0, :, 3]) for pose in path])
        for path in (predicted, truth)
    ]
    p, t = relative
    error = t - (t * p).sum() / (p**2).sum() * p
    assert row["snippet_ate"] == pytest.approx(np.sqrt((error**2).sum()) / 5, rel=1e-5)
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "test_000_tum.txt")[:, 0], range(5))


def test_alignment_is_asked_for_whatever_the_network_was_trained_with(radepth, checkpoint):
    plain, none, aligned = (
        radepth(f"--checkpoint={checkpoint}", *align)[1]
        for align in ((), ("--align=none",), ("--align=2,1",))
    )
    assert plain == none != aligned
    for text, message in (
        ("2,x", "--align: expected numbers such as 4,4,2,2,1,1, or none, got '2,x'"),
        ("3", "config.pose.align: (3,): expected numbers that divide both sides of every"),
    ):
        assert_one_line(radepth(f"--checkpoint={checkpoint}", f"--align={text}"), message)


def test_kitti_odometry_from_the_published_files(radepth, checkpoint, odometry_tree, tmp_path):
    prepare("kitti_odometry", source=odometry_tree, data_dir=tmp_path / "data")
    arguments = [f"--checkpoint={checkpoint}", "--dataset=kitti_odometry"]
    out = tmp_path / "out"
    code, text, err = radepth(*arguments, f"--data_dir={tmp_path / 'data'}", f"--output={out}")
    assert code == 0, err
    assert "all" in text
    rows = json.loads((out / "odometry.json").read_text())
    assert [(row["sequence"], row["frames"], row["snippets"]) for row in rows] == [
        ("09", 7, 3), ("10", 5, 1), ("all", 12, 4),
    ]  # fmt: skip
    times = np.loadtxt(odometry_tree / "sequences" / "09" / "times.txt")
    np.testing.assert_allclose(np.loadtxt(out / "09_tum.txt")[:, 0], times, atol=1e-6)
    assert len((out / "10_kitti.txt").read_text().splitlines()) == 5


def test_a_data_set_without_poses_is_one_line(radepth, checkpoint, tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    texture = np.random.default_rng(0).integers(0, 255, (32, 160, 3), np.uint8)
    for i in range(6):
        Image.fromarray(texture[:, 4 * i : 4 * i + 96]).save(folder / f"{i}.png")
    prepare("video", source=folder, data_dir=tmp_path / "data", fov=60.0)
    result = radepth(
        f"--checkpoint={checkpoint}", "--dataset=video", f"--data_dir={tmp_path / 'data'}",
        "--split=train", f"--output={tmp_path / 'out'}",
    )  # fmt: skip
    assert_one_line(result, "data set video", "no poses", "kitti_odometry")
    assert not (tmp_path / "out").exists()


def test_one_frame_is_one_line(radepth, checkpoint, odometry_tree, tmp_path):
    for name in ("09", "10"):
        for camera in (2, 3):
            for path in (odometry_tree / "sequences" / name / f"image_{camera}").glob("*.png"):
                if path.stem != "000000":
                    path.unlink()
    prepare("kitti_odometry", source=odometry_tree, data_dir=tmp_path / "data")
    arguments = [f"--checkpoint={checkpoint}", "--dataset=kitti_odometry"]
    result = radepth(*arguments, f"--data_dir={tmp_path / 'data'}")
    assert_one_line(result, "09, 10", "one frame each", "two in a row")


def test_one_frame_beside_others_is_left_out_aloud(radepth, checkpoint, odometry_tree, tmp_path):
    for path in (odometry_tree / "sequences" / "09" / "image_2").glob("00000[1-9].png"):
        path.unlink()
    prepare("kitti_odometry", source=odometry_tree, data_dir=tmp_path / "data")
    arguments = [f"--checkpoint={checkpoint}", "--dataset=kitti_odometry"]
    code, text, err = radepth(*arguments, f"--data_dir={tmp_path / 'data'}")
    assert code == 0
    assert err == "left out, one frame each: 09\n"
    assert "10" in text


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [((0, -1, 1), "as it was first drawn"), ((0, "s"), "data.frame_offsets is (0, 's')")],
)
def test_a_checkpoint_without_a_pose_network_is_one_line(
    radepth, micro_config, tmp_path, offsets, expected
):
    micro_config.data.frame_offsets = offsets
    save_model(variables_of(init_state(micro_config, 1)), micro_config, tmp_path / "run")
    result = radepth(f"--checkpoint={tmp_path / 'run'}")
    assert_one_line(result, str(tmp_path / "run"), "its pose network was never trained", expected)


def test_other_mistakes_are_one_line(radepth, checkpoint, street_dir, tmp_path):
    assert_one_line(radepth(f"--checkpoint={tmp_path}"), "no checkpoint here")
    assert_one_line(radepth(), "--checkpoint")
    arguments = [f"--checkpoint={checkpoint}", f"--data_dir={street_dir}"]
    assert_one_line(radepth(*arguments, "--split=night"), "no split 'night'")
    assert_one_line(radepth(*arguments, "--dataset=kitti_odometry"), "radepth prepare kitti_odo")
    (tmp_path / "file").write_text("")
    result = radepth(*arguments, f"--output={tmp_path / 'file'}")
    assert_one_line(result, "file", "File exists")


@pytest.fixture
def files(tmp_path):
    """A true drive of 250 m in a world of its own, and a prediction of it without frames 0 to 2."""
    random = np.random.default_rng(0)
    turns = random.normal(0, 0.01, (250, 3))
    true = odometry.motions(np.ones((1, 3)), 9 * np.ones((1, 3))) @ odometry.chain(
        odometry.motions(turns, np.tile([0, 0, -1.0], (250, 1)))
    )
    predicted = odometry.chain(odometry.motions(turns + 1e-4, np.tile([0, 0, -0.05], (250, 1))))
    write_kitti(tmp_path / "true.txt", true)
    rows = np.column_stack([np.arange(3, 251), predicted[3:, :3].reshape(-1, 12)])
    np.savetxt(tmp_path / "predicted.txt", rows)
    times = 1.3e9 + np.arange(251) / 10
    write_tum(tmp_path / "true_tum.txt", times, true)
    write_tum(tmp_path / "predicted_tum.txt", times[3:] + 0.01, predicted[3:])
    return tmp_path


def test_two_files_from_anywhere(radepth, files):
    tables = {}
    for kind in ("", "_tum"):
        out = files / f"out{kind}"
        code, text, err = radepth(
            f"--trajectory={files / f'predicted{kind}.txt'}",
            f"--truth={files / f'true{kind}.txt'}", f"--output={out}",
        )  # fmt: skip
        assert code == 0, err
        assert all(word in text for word in ("origin", "scale", "6dof", "7dof", "t_rel", "r_rel"))
        assert "not available" not in text
        tables[kind] = json.loads((out / "odometry.json").read_text())
        assert len((out / "odometry.csv").read_text().splitlines()) == 5
    rows = {row["alignment"]: row for row in tables[""]}
    assert list(rows) == ["origin", "scale", "6dof", "7dof"]
    assert {row["frames"] for row in tables[""]} == {248}
    assert rows["7dof"]["scale"] == pytest.approx(20, rel=0.01)
    assert rows["6dof"]["t_rel"] > 90 > 5 > rows["7dof"]["t_rel"] > 0
    turn = np.degrees(np.sqrt(3) * 1e-4)
    assert rows["origin"]["rpe_rotation"] == pytest.approx(turn, rel=0.01)
    assert rows["origin"]["r_rel"] == pytest.approx(100 * turn, rel=0.1)
    for one, other in zip(*tables.values(), strict=True):
        for column in ("trajectory_ate", "rpe_translation", "snippet_ate"):
            assert one[column] == pytest.approx(other[column], rel=1e-4), column


def test_a_gap_in_time_counts_as_one_by_number_does(radepth, files):
    """The file with matrices says which frames are lost, the other one only when the others are."""
    errors = []
    for kind in ("", "_tum"):
        path = files / f"predicted{kind}.txt"
        lines = path.read_text().splitlines()
        path.write_text("\n".join(lines[:40] + lines[47:90] + lines[91:]))
        code, text, err = radepth(
            f"--trajectory={path}", f"--truth={files / f'true{kind}.txt'}",
            f"--output={files / 'out'}",
        )  # fmt: skip
        assert code == 0, err
        assert "true" + kind + ".txt: 11 of 251 poses without a partner" in text
        assert ("2 gaps in time" in text) == bool(kind)
        (row,) = (
            row
            for row in json.loads((files / "out" / "odometry.json").read_text())
            if row["alignment"] == "6dof"
        )
        errors.append([row["rpe_translation"], row["snippet_ate"], row["snippets"]])
    assert errors[1] == pytest.approx(errors[0], rel=1e-3)


@pytest.mark.parametrize("align", ["none", "2"])
def test_motion_that_is_not_finite_is_not_left_out(radepth, checkpoint, tmp_path, align):
    model = load_model(checkpoint)
    variables = dict(model.variables)
    variables["pose"] = jax.tree.map(lambda leaf: np.nan * leaf, variables["pose"])
    save_model(variables, model.config, tmp_path / "broken")
    result = radepth(f"--checkpoint={tmp_path / 'broken'}", f"--align={align}")
    assert_one_line(result, "broken: the motion that it predicts for test_000 is NaN or infinite")


def test_a_short_drive_has_no_t_rel(radepth, files):
    for name in ("true", "predicted"):
        lines = (files / f"{name}.txt").read_text().splitlines()
        (files / f"{name}.txt").write_text("\n".join(lines[:90]))
    code, text, err = radepth(
        f"--trajectory={files / 'true.txt'}", f"--truth={files / 'true.txt'}",
        f"--output={files / 'out'}", "--yardsticks",
    )  # fmt: skip
    assert code == 0, err
    assert "t_rel and r_rel are not available" in text
    rows = json.loads((files / "out" / "odometry.json").read_text())
    assert len(rows) == 12
    assert {row["t_rel"] for row in rows} == {row["r_rel"] for row in rows} == {None}
    assert rows[0]["trajectory_ate"] == pytest.approx(0, abs=1e-6)


def test_mistakes_with_files_are_one_line(radepth, files):
    both = [f"--trajectory={files / 'predicted.txt'}", f"--truth={files / 'true.txt'}"]
    assert_one_line(radepth(both[0]), "--trajectory and --truth go together")
    assert_one_line(radepth(both[1]), "--trajectory and --truth go together")
    assert_one_line(radepth(*both, "--split=test"), "--split does not go with --trajectory")
    assert_one_line(radepth(*both, "--checkpoint=run"), "--checkpoint does not go with")
    assert_one_line(
        radepth("--checkpoint=run", "--max_difference=1"), "--max_difference goes with --trajectory"
    )
    assert_one_line(radepth(*both, "--max_difference=-1"), "--max_difference -1", "0 or more")
    assert_one_line(radepth(*both, "--max_difference=nan"), "0 or more")
    assert_one_line(radepth(*both, f"--output={files / 'true.txt'}"), "true.txt", "File exists")
    (files / "bad.txt").write_text("1 2 3\n")
    result = radepth(both[0], f"--truth={files / 'bad.txt'}")
    assert_one_line(result, "bad.txt, line 1", "3 columns")
