"""What the Dockerfile and the notebook for Colab name is there."""

import re
import tomllib
from pathlib import Path

import nbformat

from radepth_jax.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent


def test_the_image_is_built_from_files_and_extras_that_exist():
    text = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources), line
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for given in re.findall(r"EXTRAS=([\w,]+)", text):
        assert set(given.split(",")) <= set(extras)


def test_the_notebook_for_colab_runs_commands_that_exist():
    notebook = nbformat.read(ROOT / "docs" / "colab.ipynb", as_version=4)
    nbformat.validate(notebook)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert set(re.findall(r"!radepth (\w+)", code)) <= set(COMMANDS)
    for script in re.findall(r"!python (\S+)", code):
        assert (ROOT / script).is_file()
    demo = (ROOT / "experiments" / "demo.py").read_text()
    for name in re.findall(r'"(\w+\.png)"', code):
        stem = name.removesuffix(".png")
        assert stem in demo or stem in (ROOT / "radepth_jax/evaluation/report.py").read_text()
