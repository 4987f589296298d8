"""docs/extending.md as it is printed: its files, its commands and its programs, with its defaults.

The files lie in a folder of their own, outside the package. Only the hub is not asked. Its cache
has weights with the names and shapes of the published ones.
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
from radepth_jax.data import open_dataset
from radepth_jax.data.prepare import BUILDERS
from radepth_jax.interop.torch_keys import torch_from_variables
from radepth_jax.losses import TERMS
from radepth_jax.models import presets
from radepth_jax.models.build import DECODERS, ENCODERS
from radepth_jax.runs.saved_model import load_model
from radepth_jax.views import AUGMENTATIONS

ROOT = Path(__file__).parents[1]
RESNET = "timm/resnet18.tv_in1k"
COMMIT = "0" * 40
PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PROGRAMS = [text for kind, text in BLOCKS if kind == "python"]


def block(kind: str, containing: str) -> str:
    """The one block of this kind that has this text."""
    (found,) = (text for of, text in BLOCKS if of == kind and containing in text)
    return found


TABLES = (AUGMENTATIONS, BUILDERS, DECODERS, ENCODERS, TERMS)
MODULES = {
    "my_network": 'DECODERS["sum"] = ',
    "my_encoder": 'ENCODERS["small"] = ',
    "my_loss": 'TERMS["edges"] = ',
    "my_data": 'BUILDERS["my_drives"] = ',
    "my_views": "entries.near = ",
    "my_fog": 'AUGMENTATIONS["fog"] = ',
}


@pytest.fixture(autouse=True)
def tables():
    """What the page adds to the package's tables goes again, and its modules."""
    before = [dict(table) for table in TABLES]
    yield
    for table, entries in zip(TABLES, before, strict=True):
        table.clear()
        table.update(entries)
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """The hub's own cache, as it is after ImageNet weights were fetched."""
    config = presets.monodepth2()
    variables = models.init_variables(models.build(config), jax.random.key(5), (64, 64))
    encoder = torch_from_variables(variables, config)["encoder"]
    folder = tmp_path_factory.mktemp("hub")
    cached = folder / f"models--{RESNET.replace('/', '--')}"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(COMMIT)
    (cached / "snapshots" / COMMIT).mkdir(parents=True)
    save_file(
        {key.removeprefix("encoder."): value for key, value in encoder.items()},
        cached / "snapshots" / COMMIT / "model.safetensors",
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the page's modules, a picture, and drives as its data set reads them."""
    folder = tmp_path_factory.mktemp("desk")
    for name, text in MODULES.items():
        (folder / f"{name}.py").write_text(block("python", text))
    random = np.random.default_rng(0)
    for drive in ("first", "second"):
        (folder / "drives" / drive).mkdir(parents=True)
        for number in range(6):
            image = Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8))
            image.save(folder / "drives" / drive / f"{number:03d}.png")
    for number in (2, 3):
        depth = random.uniform(1, 20, (48, 64)).astype(np.float32)
        np.save(folder / "drives" / "second" / f"{number:03d}.npy", depth)
    picture = random.integers(0, 256, (60, 100, 3), np.uint8)
    Image.fromarray(picture).save(folder / "picture.png")
    return folder


@pytest.fixture(scope="module")
def desk(folder, hub):
    """Runs a program of Python in that folder -> what it prints.

    In a process of its own, which knows nothing of this one's tables. Like a console script, it
    does not have the folder on its path.
    """
    environment = os.environ | {
        "HF_HUB_CACHE": str(hub),
        "HF_HUB_OFFLINE": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
        "JAX_NUM_CPU_DEVICES": "1",
        "PYTHONPATH": str(ROOT),
    }

    def run(text: str) -> str:
        done = subprocess.run(
            [sys.executable, "-P", "-c", text],
            env=environment, cwd=folder, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def run_in_a_shell(text: str, run) -> str:
    """The lines of a block -> what they print.

    A process has the commands until one has imported a module, which the next one has to do itself.
    So preparing and training have one, and all that loads the checkpoint has another.
    """
    parts: dict[bool, list[list[str]]] = {}
    for line in text.replace("\\\n", " ").splitlines():
        command, *arguments = shlex.split(line)
        assert command == "radepth"
        parts.setdefault("--checkpoint" in arguments, []).append([command, *arguments])
    return "".join(
        run(
            "import sys\nfrom radepth_jax.cli.main import main\n"
            f"for sys.argv in {commands!r}:\n    main()\n"
        )
        for commands in parts.values()
    )


def losses(run: Path) -> list[float]:
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [record["train/total"] for record in records if "train/total" in record]


def check_run(folder: Path, name: str) -> None:
    """That a run trained, and that the commands made something of it."""
    run = folder / "runs" / name
    assert losses(run)
    assert np.isfinite(losses(run)).all()
    assert (folder / f"{name}.stablehlo").stat().st_size > 1000
    assert (folder / "depth" / "picture_depth.npy").is_file()
    record = json.loads((folder / "depth" / "predict.json").read_text())
    assert record["checkpoint"] == f"runs/{name}"


def test_a_decoder_of_one_s_own_with_published_weights(desk, hub, folder, monkeypatch):
    run_in_a_shell(block("sh", "--config my_network.py"), desk)
    printed = run_in_a_shell(block("sh", "radepth export --checkpoint runs/sum"), desk)
    assert "street/tiny, test" in printed
    check_run(folder, "sum")
    check = "\nimport numpy\nassert depth.shape == (60, 100)\nassert numpy.isfinite(depth).all()\n"
    desk("import sys; sys.path.append('')\n" + block("python", 'load("runs/sum")') + check)
    monkeypatch.syspath_prepend(folder)
    model = load_model(folder / "runs" / "sum")  # imports the module
    assert model.step == 2
    assert model.config.plugins == ("my_network",)
    # Two steps at a learning rate of 1e-4 move no weight far from where it began.
    (path,) = hub.glob("*/snapshots/*/model.safetensors")
    for network in ("depth", "pose"):
        block0 = model.variables[network]["params"]["encoder"]["stage1_block0"]
        found = np.transpose(block0["layer1"]["conv"]["kernel"], (3, 2, 0, 1))
        expected = load_file(path)["layer1.0.conv1.weight"]
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_an_encoder_of_one_s_own(desk, folder):
    printed = run_in_a_shell(block("sh", "--config my_encoder.py"), desk)
    assert "'small' has no published weights: it starts from random" in printed
    assert "street/tiny, test" in printed
    check_run(folder, "small")


def test_a_loss_and_a_data_set_of_one_s_own(desk, folder):
    printed = run_in_a_shell(block("sh", "--config my_loss.py"), desk)
    assert open_dataset("my_drives", folder / "data").splits == {"train": 4, "test": 2}
    assert "my_drives/default, test" in printed
    check_run(folder, "edges")
    records = map(json.loads, (folder / "runs/edges/metrics.jsonl").read_text().splitlines())
    (values,) = (record for record in records if "train/total" in record)
    weights = {"photometric": 1.0, "smoothness": 1e-3, "consistency": 1.0, "edges": 0.1}
    terms = {
        name: sum(value for key, value in values.items() if key.startswith(f"train/{name}_"))
        for name in weights
    }
    assert terms["edges"] > 0
    total = sum(weight * terms[name] for name, weight in weights.items())
    assert values["train/total"] == pytest.approx(total, rel=1e-5)


def test_the_other_programs_run():
    names: dict = {}
    for text in PROGRAMS:
        if "my_" not in text and "picture.png" not in text:
            exec(compile(text, "extending.md", "exec"), names)
    assert np.isfinite(names["metrics"]["total"])
    assert names["disparity"].shape == (2, 192, 640, 1)


def test_a_view_and_an_augmentation_of_one_s_own(desk, folder, monkeypatch):
    printed = run_in_a_shell(block("sh", "--config my_fog.py"), desk)
    assert "street/tiny, test" in printed
    check_run(folder, "fog")
    assert len(losses(folder / "runs" / "fog")) == 2
    records = map(json.loads, (folder / "runs/fog/metrics.jsonl").read_text().splitlines())
    assert all(r["train/consistency_near"] > 0 for r in records if "train/total" in r)
    monkeypatch.syspath_prepend(folder)
    views = load_model(folder / "runs" / "fog").config.views
    assert views.names == ("high", "middle", "low", "near")
    assert views.augmentations.fog.probability == 0.3
    explained = run_in_a_shell("radepth config my_fog.py", desk)
    assert "--config.views.augmentations.fog.density=0.7" in explained
    assert "The largest share of white, from 0 to 1." in explained
