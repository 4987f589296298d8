"""docs/extending.md as it is printed: its files, its commands and its programs, with its defaults.

Only the hub is not asked. Its cache has weights with the names and shapes of the published ones.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from radepth_jax import models
from radepth_jax.interop.torch_keys import torch_from_variables
from radepth_jax.losses import TERMS
from radepth_jax.models import presets
from radepth_jax.models.build import DECODERS, ENCODERS
from radepth_jax.runs.saved_model import load_model
from radepth_jax.views import AUGMENTATIONS

ROOT = Path(__file__).parents[1]
HRNET, RESNET = "timm/hrnet_w18.ms_in1k", "timm/resnet18.tv_in1k"
COMMIT = "0" * 40
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
    tables = (AUGMENTATIONS, DECODERS, ENCODERS, TERMS)
    before = [dict(table) for table in tables]
    yield
    for table, entries in zip(tables, before, strict=True):
        table.clear()
        table.update(entries)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The hub's own cache, as it is after both repositories of ImageNet weights were fetched."""
    config = presets.ra_depth()
    variables = models.init_variables(models.build(config), jax.random.key(5), (64, 64))
    parts = torch_from_variables(variables, config)
    folder = tmp_path_factory.mktemp("hub")
    for part, repository in (("encoder", HRNET), ("pose_encoder", RESNET)):
        weights = {key.removeprefix("encoder."): value for key, value in parts[part].items()}
        if part == "pose_encoder":
            weights["conv1.weight"] = np.ascontiguousarray(weights["conv1.weight"][:, :3])
        cached = folder / f"models--{repository.replace('/', '--')}"
        (cached / "refs").mkdir(parents=True)
        (cached / "refs" / "main").write_text(COMMIT)
        (cached / "snapshots" / COMMIT).mkdir(parents=True)
        save_file(weights, cached / "snapshots" / COMMIT / "model.safetensors")
    return folder


@pytest.fixture
def desk(tmp_path, hub):
    """Runs a command or a program in an empty folder with a picture -> what it prints.

    In a process of its own, which knows nothing of this one's tables.
    """
    environment = os.environ | {
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "JAX_NUM_CPU_DEVICES": "1",
        "PYTHONPATH": str(ROOT),
    }
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (60, 100, 3), np.uint8)).save(tmp_path / "picture.png")

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def run_in_a_shell(text: str, run) -> str:
    """The lines of a block, one after the other -> what they print."""
    printed = ""
    for line in text.replace("\\\n", " ").splitlines():
        command, *arguments = shlex.split(line)
        assert command == "radepth"
        printed += run("-m", "radepth_jax", *arguments)
    return printed


def run_in_python(text: str, run) -> None:
    check = "\nimport numpy\nassert depth.shape == (60, 100)\nassert numpy.isfinite(depth).all()\n"
    run("-c", text + check)


def losses(run: Path) -> list[float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["train/total"] for record in records if "train/total" in record]


@pytest.mark.parametrize(
    ("name", "file"), [("sum", 'DECODERS["sum"] = '), ("small", 'ENCODERS["small"] = ')]
)
def test_a_network_of_one_s_own_trains_and_predicts(desk, hub, tmp_path, name, file):
    (tmp_path / "my_network.py").write_text(block("python", file))
    printed = run_in_a_shell(block("sh", "--config my_network.py"), desk)
    run_in_python(block("python", "import my_network"), desk)
    exec(block("python", file), {})  # as the import does
    run = tmp_path / "runs" / "sum"
    assert np.isfinite(losses(run)).all()
    model = load_model(run)
    assert model.step == 2
    # Two steps at a learning rate of 1e-4 move no weight far from where it began.
    sources = {"pose": RESNET}
    if name == "sum":
        sources["depth"] = HRNET
    for network, repository in sources.items():
        (path,) = hub.glob(f"*{repository.split('/')[1]}/snapshots/*/model.safetensors")
        weights = load_file(path)
        encoder = model.variables[network]["params"]["encoder"]
        layer, key = (
            ("stem2", "conv2") if network == "depth" else ("stage1_block0", "layer1.0.conv1")
        )
        kernel = encoder[layer] if network == "depth" else encoder[layer]["layer1"]
        found = np.transpose(kernel["conv"]["kernel"], (3, 2, 0, 1))
        np.testing.assert_allclose(found, weights[f"{key}.weight"], atol=1e-3)
    assert ("'small' has no published weights: it starts from random" in printed) == (
        name == "small"
    )


def test_the_other_programs_run():
    names: dict = {}
    for text in PROGRAMS:
        if "import my_network" not in text:
            exec(compile(text, "extending.md", "exec"), names)
    assert np.isfinite(names["metrics"]["total"])
    assert names["disparity"].shape == (2, 192, 640, 1)


@pytest.mark.parametrize(
    ("name", "file"), [("my_views.py", "entries.near = "), ("my_fog.py", 'AUGMENTATIONS["fog"] = ')]
)
def test_a_view_or_an_augmentation_of_one_s_own_trains(desk, tmp_path, name, file):
    (tmp_path / name).write_text(block("python", file))
    run_in_a_shell(block("sh", "--config my_views.py").replace("my_views.py", name), desk)
    run = tmp_path / "runs" / "views"
    totals = losses(run)
    assert len(totals) == 2
    assert np.isfinite(totals).all()
    views = load_model(run).config.views
    if name == "my_views.py":
        assert views.names == ("high", "middle", "low", "near")
        records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        assert all(r["train/consistency_near"] > 0 for r in records if "train/total" in r)
    else:
        assert views.augmentations.fog.probability == 0.3
        text = desk("-m", "radepth_jax", "config", name)
        assert "--config.views.augmentations.fog.density=0.7" in text
        assert "The largest share of white, from 0 to 1." in text
