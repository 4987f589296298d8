"""Recordings for Rerun, read back by Rerun's own program."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from radepth_jax.errors import UserError
from radepth_jax.predict.inputs import Input
from radepth_jax.predict.request import Request
from radepth_jax.predict.run import predict_files
from radepth_jax.predict.viewer import CLOUD_POINTS, CameraPath, thinned

NEEDS_RERUN = "needs the viewers extra: pip install 'radepth-jax[viewers]'"


def contents(path: Path) -> str:
    rerun = pytest.importorskip("rerun_cli", reason=NEEDS_RERUN)
    del rerun
    command = [sys.executable, "-m", "rerun_cli", "rrd", "print", "-vv", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_a_film_has_its_camera_picture_depth_and_cloud(predictor, tmp_path):
    from test_stream import mpegts

    (tmp_path / "in.ts").write_bytes(mpegts(12))
    request = Request(tmp_path / "out", save=("rrd",), fov=80.0)
    summary = predict_files(predictor, [Input(tmp_path / "in.ts", "in", True)], request)
    assert summary.failures == []
    # The network of this test was never trained.
    (note,) = summary.notes
    assert "the camera stands still in the recording" in note
    text = contents(tmp_path / "out" / "in.rrd")
    for entity in (
        "camera",
        "camera/picture",
        "camera/picture/rgb",
        "camera/picture/depth",
        "cloud",
    ):
        assert f"/world/{entity}" in text
    assert "/world/map" not in text
    assert not (tmp_path / "out" / "in_frames").exists()


def test_a_picture_has_a_recording_of_its_own(predictor, tmp_path):
    Image.new("RGB", (64, 40), "red").save(tmp_path / "a.png")
    request = Request(tmp_path / "out", save=("rrd", "npy"), fov=80.0)
    predict_files(predictor, [Input(tmp_path / "a.png", "a", False)], request)
    assert "/world/cloud" in contents(tmp_path / "out" / "a.rrd")
    assert re.fullmatch(r"a(\.rrd|_depth\.npy)", next((tmp_path / "out").iterdir()).name)


def test_clouds_are_thinned_and_lose_the_sky():
    depth = np.tile(np.linspace(1, 100, 400)[:, None], (1, 600))
    points = np.stack([depth, depth, depth], -1)
    image = np.zeros((400, 600, 3), np.uint8)
    kept, colours = thinned(points, image)
    assert len(kept) == len(colours)
    assert 0.5 * CLOUD_POINTS < len(kept) < CLOUD_POINTS
    assert kept[:, 2].max() < 91


def test_the_path_chains_the_motions(predictor, monkeypatch):
    path = CameraPath(predictor.model, np.eye(3))
    forward = np.eye(4)
    forward[2, 3] = -0.5  # the later camera is half a unit ahead
    monkeypatch.setattr(path, "_motion", lambda frames: forward)
    image = np.zeros((40, 70, 3), np.uint8)
    where = [path(image)[2, 3] for _ in range(4)]
    assert where == [0, 0.5, 1.0, 1.5]


def test_without_rerun_it_says_what_to_install(predictor, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    Image.new("RGB", (64, 40), "red").save(tmp_path / "a.png")
    request = Request(tmp_path / "out", save=("rrd",), fov=80.0)
    summary = predict_files(predictor, [Input(tmp_path / "a.png", "a", False)], request)
    assert "needs Rerun: pip install 'radepth-jax[viewers]'" in summary.failures[0]
    assert not list((tmp_path / "out").iterdir())
    with pytest.raises(UserError, match="--save rrd: points in space need"):
        Request(tmp_path, save=("rrd",))
