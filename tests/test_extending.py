"""docs/extending.md as it is printed: its files, its commands and its programs, with its defaults.

Only the hub is not asked. What it would send has the names and shapes of the published weights.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from radepth_jax import models
from radepth_jax.interop.torch_keys import torch_from_variables
from radepth_jax.losses import TERMS
from radepth_jax.models import presets
from radepth_jax.models.build import DECODERS, ENCODERS
from radepth_jax.runs.saved_model import load_model

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python"]


def block(kind: str, containing: str) -> str:
    """The one block of this kind that has this text."""
    (found,) = (text for of, text in BLOCKS if of == kind and containing in text)
    return found


@pytest.fixture(autouse=True)
def tables():
    """What the page adds to the package's tables goes again."""
    before = [dict(table) for table in (DECODERS, ENCODERS, TERMS)]
    yield
    for table, entries in zip((DECODERS, ENCODERS, TERMS), before, strict=True):
        table.clear()
        table.update(entries)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A folder for each repository of ImageNet weights, with a `model.safetensors`."""
    config = presets.ra_depth()
    variables = models.init_variables(models.build(config), jax.random.key(5), (64, 64))
    parts = torch_from_variables(variables, config)
    repositories = {"encoder": "timm/hrnet_w18.ms_in1k", "pose_encoder": "timm/resnet18.tv_in1k"}
    folder = tmp_path_factory.mktemp("hub")
    for part, repository in repositories.items():
        weights = {key.removeprefix("encoder."): value for key, value in parts[part].items()}
        if part == "pose_encoder":
            weights["conv1.weight"] = np.ascontiguousarray(weights["conv1.weight"][:, :3])
        (folder / repository).mkdir(parents=True)
        save_file(weights, folder / repository / "model.safetensors")
    return folder


@pytest.fixture
def desk(tmp_path, monkeypatch, hub, street_dir):
    """An empty folder to work in, with a picture, the prepared data set, and the hub."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda name, file: hub / name / file)
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (60, 100, 3), np.uint8)).save("picture.png")
    return tmp_path


def run_in_a_shell(text: str, radepth) -> None:
    for line in text.replace("\\\n", " ").splitlines():
        command, *arguments = shlex.split(line)
        assert command == "radepth"
        code, _, err = radepth(*arguments)
        assert code == 0, err


def run_in_python(text: str) -> None:
    """In a process of its own, which knows nothing of this one's tables."""
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "PYTHONPATH": str(ROOT),
    }
    check = "\nimport numpy\nassert depth.shape == (60, 100)\nassert numpy.isfinite(depth).all()\n"
    done = subprocess.run(
        [sys.executable, "-c", text + check], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def losses(run: Path) -> list[float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["train/total"] for record in records if "train/total" in record]


@pytest.mark.parametrize(
    ("name", "file"), [("sum", 'DECODERS["sum"] = '), ("small", 'ENCODERS["small"] = ')]
)
def test_a_network_of_one_s_own_trains_and_predicts(desk, radepth, hub, name, file):
    Path("my_network.py").write_text(block("python", file))
    run_in_a_shell(block("sh", "--config my_network.py"), radepth)
    run_in_python(block("python", "import my_network"))
    assert np.isfinite(losses(Path("runs/sum"))).all()
    model = load_model("runs/sum")
    assert model.step == 2
    assert model.config.pretrained.depth_encoder == "imagenet"


def test_the_other_programs_run(desk):
    names: dict = {}
    for text in PROGRAMS:
        if "import my_network" not in text:
            exec(compile(text, "extending.md", "exec"), names)
    assert np.isfinite(names["metrics"]["total"])
    assert names["disparity"].shape == (2, 192, 640, 1)
