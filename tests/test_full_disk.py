"""Every writer where the disk takes no more: one line, and nothing half-written stays.

A limit on the size of files stands for the full disk: the system refuses in the same places, and
that needs no disk of its own.
"""

import resource
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from radepth_jax.data.films import Footage
from radepth_jax.errors import UserError, writing_to
from radepth_jax.evaluation import report, trajectory_files, trajectory_report
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.odometry import score
from radepth_jax.evaluation.row import Row
from radepth_jax.interop.depth_function import write_whole
from radepth_jax.interop.torch_files import write_folder
from radepth_jax.predict import outputs, viewer
from radepth_jax.predict.video_writer import writing_video
from radepth_jax.runs.checkpoint import FOLDER
from radepth_jax.runs.packed_model import PackedModel, write_packed
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of
from radepth_jax.training.metric_log import MetricLog

BYTES = 1000  # that a file may have
SIZE = (64, 48)
K = np.array([[50.0, 0, 24], [0, 50.0, 32], [0, 0, 1]])
NOISE = np.random.default_rng(0)
DEPTH = NOISE.uniform(1, 90, SIZE).astype(np.float32)
IMAGE = NOISE.integers(0, 256, (*SIZE, 3), np.uint8)
POSES = np.tile(np.eye(4), (20, 1, 1))


def write_film(folder):
    with writing_video(folder / "a.mp4", Footage(Fraction(25), Fraction(1, 25), 0)) as film:
        for i in range(30):
            film.add(np.roll(IMAGE, i, axis=1), Fraction(i, 25))


def write_rrd(folder):
    pytest.importorskip("rerun", reason="needs the viewers extra")
    viewer.write_rrd(folder / "a.rrd", DEPTH, IMAGE, K, in_metres=False)


def write_glb(folder):
    pytest.importorskip("trimesh", reason="needs the viewers extra")
    outputs.write_glb(folder / "a.glb", DEPTH, IMAGE, K)


def write_torch(folder):
    pytest.importorskip("torch", reason="needs PyTorch")
    write_folder({"encoder": {}, "depth": {"a": DEPTH}}, folder, "torch")


def write_picture_of_training(folder):
    with MetricLog(folder, 0) as log:
        log.picture(1, "training", IMAGE)


def write_odometry(folder):
    rows = trajectory_report.make_rows("ours", {"09": score(POSES, POSES)})
    trajectory_report.write_rows(rows * 30, folder)


WRITERS = {
    "color": lambda folder: outputs.write_color(folder / "a.png", DEPTH),
    "png": lambda folder: outputs.write_png(folder / "a.png", DEPTH),
    "npy": lambda folder: outputs.write_npy(folder / "a.npy", DEPTH),
    "ply": lambda folder: outputs.write_ply(folder / "a.ply", DEPTH, IMAGE, K),
    "glb": write_glb,
    "rrd": write_rrd,
    "film": write_film,
    "exported file": lambda folder: write_whole(folder / "a.onnx", bytes(2 * BYTES)),
    "torch": write_torch,
    "safetensors": lambda folder: write_folder({"a": {}, "b": {"c": DEPTH}}, folder, "safetensors"),
    "table": lambda folder: report.write_report(
        [Row("ours", "64x32", dict.fromkeys(METRICS, 0.25), 3, 10.0)] * 30, folder
    ),
    "odometry": write_odometry,
    "kitti": lambda folder: trajectory_files.write_kitti(folder / "a.txt", POSES),
    "tum": lambda folder: trajectory_files.write_tum(folder / "a.txt", np.arange(20.0), POSES),
}


@pytest.fixture
def no_larger_files():
    """Until the test ends, no file grows beyond BYTES; Python has the signal of it ignored."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def files_in(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_cannot_be_written_is_one_line_and_leaves_nothing(
    name, tmp_path, no_larger_files
):
    with pytest.raises(UserError, match="larger than the system allows"), writing_to(tmp_path):
        WRITERS[name](tmp_path)
    assert files_in(tmp_path) == []


def test_a_picture_of_training(tmp_path, no_larger_files):
    with pytest.raises(UserError, match="larger than the system allows"), writing_to(tmp_path):
        write_picture_of_training(tmp_path)
    assert files_in(tmp_path / "pictures") == []


def test_a_model_to_push(micro_config, tmp_path, no_larger_files):
    model = PackedModel(variables_of(init_state(micro_config, 1)), micro_config, 1)
    with pytest.raises(UserError, match="larger than the system allows"):
        write_packed(model, tmp_path / "model")
    assert files_in(tmp_path) == []


SAVE = f"""
import resource, sys
from pathlib import Path
from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of
from radepth_jax.runs.small import use_small_recipe

config = default_config()
use_small_recipe(config, presets.tiny())
variables = variables_of(init_state(config, 1))
resource.setrlimit(resource.RLIMIT_FSIZE, ({BYTES}, resource.RLIM_INFINITY))
try:
    save_model(variables, config, sys.argv[1])
except UserError as error:
    print(error)
"""


def test_a_checkpoint_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path):
    """In a process of its own, to whose end Orbax and TensorStore may print."""
    done = subprocess.run(
        [sys.executable, "-c", SAVE, str(tmp_path / "run")],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.startswith(f"{tmp_path / 'run'}: a file would become larger")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert files_in(tmp_path / "run" / FOLDER) == []
    assert list((tmp_path / "run" / FOLDER).iterdir()) == []


def test_after_a_checkpoint_that_could_not_be_written_the_next_one_can(micro_config, tmp_path):
    variables = variables_of(init_state(micro_config, 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (BYTES, hard))
    try:
        with pytest.raises(UserError, match="larger than the system allows"):
            save_model(variables, micro_config, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    save_model(variables, micro_config, tmp_path)
    assert (tmp_path / FOLDER / "0").is_dir()
