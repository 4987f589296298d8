"""`radepth evaluate --temporal` as a user runs it."""

import csv
import json

import numpy as np
import pytest

from radepth_jax.data import EvaluationSource, open_dataset, prepare


def test_a_checkpoint_and_depth_maps_of_another_program(radepth, checkpoint, street_dir, tmp_path):
    """The other program's depth is the truth in feet, whose second frame is 10 % too far."""
    source = EvaluationSource(open_dataset("street/tiny", street_dir), "test")
    other = tmp_path / "other"
    other.mkdir()
    for i in range(3):
        depth = source[i]["depth"]
        scale = 3.28084 * (1.1 if i == 1 else 1)
        np.save(other / f"{i}.npy", np.where(depth > 0, depth, 500).astype(np.float32) * scale)
    out = tmp_path / "out"
    code, text, err = radepth(
        "evaluate", "--temporal", f"--checkpoint={checkpoint}", f"--predictions={other}",
        f"--output={out}",
    )  # fmt: skip
    assert code == 0, err
    assert all(word in text for word in ("micro", "other", "ground truth", "one scale"))
    ours, theirs, truth = json.loads((out / "temporal.json").read_text())
    assert [row["pairs"] for row in (ours, theirs, truth)] == [2, 2, 2]
    assert truth["one_scale"] < 2e-3  # round trunks, and what moves by less than 2 %
    assert theirs["scale"] == pytest.approx(1 / 3.28084, rel=1e-3)
    # With one scale both pairs are off by the logarithm. Where a frame is too far, its points come
    # to other places besides, which costs little here.
    assert theirs["one_scale"] == pytest.approx(np.log(1.1), abs=0.01)
    assert theirs["own_scale"] < 0.2 * theirs["one_scale"]
    assert ours["one_scale"] > truth["one_scale"]
    assert (truth["dataset"], truth["motion"]) == ("street/tiny", "true")
    pairs = list(csv.DictReader((out / "temporal_per_pair.csv").read_text().splitlines()))
    assert [row["image"] for row in pairs[:2]] == ["test_000/2/0000000001", "test_000/2/0000000002"]
    mean = np.mean([float(row["one_scale"]) for row in pairs if row["model"] == "other"])
    assert mean == pytest.approx(theirs["one_scale"], rel=1e-6)


def test_the_motion_of_the_pose_network(radepth, checkpoint, tmp_path):
    code, text, err = radepth(
        "evaluate", "--temporal", "--motion=network", f"--checkpoint={checkpoint}",
        f"--output={tmp_path}",
    )  # fmt: skip
    assert code == 0, err
    assert "network motion" in text
    (row,) = json.loads((tmp_path / "temporal.json").read_text())  # no truth: it is up to scale
    assert row["pairs"] == 2
    assert 0 < row["one_scale"] < 1
    assert row["compared"] > 0.5


def test_what_cannot_be_measured_is_one_line(
    radepth, checkpoint, run_folder, shared_data, tmp_path
):
    prepare("kitti_selection", source=shared_data / "kitti_selection", data_dir=tmp_path / "data")
    command = ("evaluate", "--temporal")
    single = ("--dataset=kitti_selection", f"--data_dir={tmp_path / 'data'}")
    for arguments, message in (
        ((f"--checkpoint={run_folder}", "--motion=network"), "its pose network was never trained"),
        ((f"--checkpoint={checkpoint}", *single), "no two images of 'test' are consecutive"),
    ):
        code, _, err = radepth(*command, *arguments)
        assert code == 2
        assert message in err
        assert len(err.strip().splitlines()) == 1, err
