"""Two processes of two devices: the same as one process, and exact after one of them is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax import processes
from radepth_jax.data import prepare
from radepth_jax.errors import UserError
from radepth_jax.runs.checkpoint import load_checkpoint
from radepth_jax.runs.config import to_json
from radepth_jax.training.loop import train

CONFIG = """
import json, pathlib
from radepth_jax.runs.migrations import from_json
def get_config():
    return from_json(json.loads(pathlib.Path(__file__).with_suffix(".json").read_text()))
"""


def start_pair(folder, *data_dirs):
    """Two `radepth train` on `folder/config.py`, the run in `folder/run`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    cache = Path(__file__).parents[2] / ".cache" / "jax"
    environment = {"JAX_NUM_CPU_DEVICES": "2", "JAX_COMPILATION_CACHE_DIR": str(cache)}
    code = "from radepth_jax.cli.main import main; main()"
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-c", code, "train"),
                *(f"--config={folder / 'config.py'}", f"--workdir={folder / 'run'}"),
                *(f"--coordinator=127.0.0.1:{port}", "--processes=2", f"--process={i}"),
                "--peer_timeout=10",
                *(f"--config.data.data_dir={data_dir}" for data_dir in data_dirs[i : i + 1]),
            ],
            env=os.environ | environment,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        for i in range(2)
    ]


def test_a_pair_that_lost_one_goes_on_as_one_process_would(micro_config, tmp_path):
    config = micro_config
    config.views.names = ("middle",)
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-2
    config.train.steps, config.train.validate_every = 8, 8
    (tmp_path / "config.py").write_text(CONFIG)
    (tmp_path / "config.json").write_text(json.dumps(to_json(config)))

    left, lost = start_pair(tmp_path)
    while not (tmp_path / "run/checkpoints/2").exists():
        assert left.poll() is lost.poll() is None, left.communicate()[1]
        time.sleep(0.02)
    # The process that trains is the child of the one that watches it.
    training = int(subprocess.check_output(["pgrep", "-P", str(lost.pid)]))
    os.kill(training, signal.SIGKILL)
    begun = time.monotonic()
    last = left.communicate(timeout=60)[1].splitlines()[-1]
    assert time.monotonic() - begun < 20
    assert left.returncode == 75
    assert last.startswith(
        "radepth train: error: another process of the run died, failed, or could"
    )
    assert "killed by SIGKILL" in lost.communicate()[1].splitlines()[-1]
    assert load_checkpoint(tmp_path / "run")[0].step < 8

    for process in start_pair(tmp_path):
        errors = process.communicate(timeout=300)[1]
        assert process.returncode == 0, errors
    pair, _ = load_checkpoint(tmp_path / "run")
    alone = train(config, tmp_path / "alone")  # on eight devices
    for a, b in zip(jax.tree.leaves(pair), jax.tree.leaves(alone), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)
    records = [
        [json.loads(line) for line in (tmp_path / run / "metrics.jsonl").read_text().splitlines()]
        for run in ("run", "alone")
    ]
    assert [r["step"] for r in records[0]] == [r["step"] for r in records[1]]
    name = "validation/64x32/abs_rel"
    assert records[0][-1][name] == pytest.approx(records[1][-1][name], rel=1e-4)


def test_a_pair_with_other_pictures_of_the_same_names_does_not_train(micro_config, tmp_path):
    random = np.random.default_rng(0)
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        texture = random.integers(0, 255, (32, 160, 3), np.uint8)
        for i in range(20):
            Image.fromarray(texture[:, i : i + 96]).save(tmp_path / name / f"{i}.bmp")
        prepare("video", source=tmp_path / name, data_dir=tmp_path / "data" / name, fov=60.0)
    config = micro_config
    config.data.name = "video"
    (tmp_path / "config.py").write_text(CONFIG)
    (tmp_path / "config.json").write_text(json.dumps(to_json(config)))
    pair = start_pair(tmp_path, *(tmp_path / "data" / name for name in ("here", "there")))
    said = [process.communicate(timeout=300)[1] for process in pair]
    assert [process.returncode for process in pair] == [2, 2], said
    expected = "differ in their data set video/default (1 from 0, of 2); give all of them the same"
    assert all(expected in errors.splitlines()[-1] for errors in said), said
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def slurm(index):
    names = {"JOB_ID": os.getpid(), "STEP_NODELIST": "localhost", "STEP_NUM_NODES": 1}
    names |= {"NTASKS": 2, "PROCID": index, "LOCALID": index}
    return {f"SLURM_{name}": str(value) for name, value in names.items()}


def open_mpi(index):
    names = {"COMM_WORLD_SIZE": 2, "COMM_WORLD_RANK": index, "COMM_WORLD_LOCAL_RANK": index}
    names |= {"MCA_orte_hnp_uri": f"{(os.getpid() + 1) * 4096}.0;tcp://127.0.0.1:1"}
    return {f"OMPI_{name}": str(value) for name, value in names.items()}


@pytest.mark.parametrize("scheduler", [slurm, open_mpi])
def test_the_scheduler_says_who_the_others_are(scheduler):
    code = "from radepth_jax.processes import gather, initialize\nimport jax, numpy\n"
    code += "initialize(None, None, None, peer_timeout=10, start_timeout=60)\n"
    code += "print(gather(numpy.array([jax.process_index()])).tolist())"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=os.environ | scheduler(i),
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in started]
    assert all("[[0], [1]]" in output.splitlines() for output in outputs)  # gloo says more


def test_processes_that_differ_are_told_apart(monkeypatch):
    monkeypatch.setattr(processes, "gather", lambda x: np.stack([x, x + np.array([0, 1])]))
    said = r"the processes of this run differ in their data \(1 from 0, of 2\); give all"
    with pytest.raises(UserError, match=said):
        processes.check_same("their data", "give all the same", 5, 6)
    monkeypatch.setattr(processes, "gather", lambda x: np.stack([x, x]))
    processes.check_same("their data", "give all the same", 5, 6)
