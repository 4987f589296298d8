"""The figures of a run on disk: complete, and never in the way of a run's end."""

import io
import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from tensorboardX import record_writer
from tensorboardX.proto.event_pb2 import Event

from radepth_jax.errors import UserError
from radepth_jax.training.metric_log import MetricLog, read_metrics
from radepth_jax.training.wandb_log import WandbLog


def events(folder):
    """Every event of a folder's TensorBoard files, in order."""
    found = []
    for path in sorted(folder.glob("events*")):
        content = path.read_bytes()
        while content:
            (length,) = struct.unpack("Q", content[:8])
            found.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return found


def test_figures_go_to_json_lines_and_tensorboard(tmp_path):
    with MetricLog(tmp_path, 0) as log:
        log.scalars(1, {"total": 0.5})
        log.picture(2, "training", np.zeros((4, 6, 3), np.uint8))
    steps, values = read_metrics(tmp_path, "train/total")
    assert (steps.tolist(), values.tolist()) == ([1], [0.5])
    _, scalar, picture = events(tmp_path / "tensorboard")
    assert (scalar.step, scalar.summary.value[0].tag) == (1, "train/total")
    assert scalar.summary.value[0].simple_value == 0.5
    assert (picture.step, picture.summary.value[0].image.width) == (2, 6)


def test_a_resumed_run_drops_later_figures_and_a_cut_off_line(tmp_path):
    with MetricLog(tmp_path, 0) as log:
        for step in (1, 2, 3):
            log.scalars(step, {"total": step})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 4, "tot')
    with MetricLog(tmp_path, 2) as log:
        log.scalars(3, {"total": 30})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["train/total"] for line in lines] == [1, 2, 30]
    starts = [e.step for e in events(tmp_path / "tensorboard") if e.HasField("session_log")]
    assert starts == [3]


def test_a_full_disk_is_an_error_at_once_and_no_hang(tmp_path, monkeypatch):
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    full = io.BufferedWriter(io.FileIO("/dev/full", "w"))
    monkeypatch.setattr(record_writer, "open_file", lambda path: full)
    log = MetricLog(tmp_path, 0)
    with pytest.raises(OSError, match="No space left"), log:
        log.scalars(1, {"total": 0.0})
    with pytest.raises(OSError, match="No space left"):
        full.close()


def test_weights_and_biases_gets_the_same_run_again(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="needs the wandb extra: pip install 'radepth-jax[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for start in (0, 1):
        sink = WandbLog("radepth", tmp_path, {"seed": 0})
        with MetricLog(tmp_path, start, wandb=sink) as log:
            log.scalars(start + 1, {"total": 0.25})
            log.picture(start + 1, "training", np.zeros((4, 6, 3), np.uint8))
    run_id = (tmp_path / "wandb_id.txt").read_text().strip()
    stored = list(tmp_path.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb"))
    assert 1 <= len(stored) <= 2  # one a second
    content = stored[0].read_bytes()
    assert b"train/total" in content
    assert b"0.25" in content
    assert list(tmp_path.glob("wandb/offline-run-*/files/media/images/training_*.png"))


def test_without_wandb_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match=r"needs wandb: pip install 'radepth-jax\[wandb\]'"):
        WandbLog("radepth", tmp_path, {})
