"""The tutorial runs from end to end as a reader runs it, and what is committed is what it shows."""

import json
import re
import tempfile
from pathlib import Path

import jax
import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

NOTEBOOK = Path(__file__).parent.parent / "docs" / "tutorial.ipynb"


def kinds(notebook: nbformat.NotebookNode) -> list[tuple[str, list[str]]]:
    """Of each code cell with output: its source, and what kinds of output it has."""
    return [
        (cell.source, [output.output_type for output in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.outputs
    ]


@pytest.fixture
def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh kernel, on one device as most readers have."""
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(jax.config.jax_compilation_cache_dir))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    settings = Config()
    settings.KernelManager.transport = "ipc"  # no ports, which others could take or read
    with tempfile.TemporaryDirectory() as sockets:  # tmp_path is too long for a socket's name
        monkeypatch.setenv("JUPYTER_RUNTIME_DIR", sockets)
        settings.KernelManager.ip = f"{sockets}/kernel"
        client = NotebookClient(notebook, kernel_name="python3", timeout=400, config=settings)
        client.execute(cwd=str(tmp_path))
    return notebook


def test_the_tutorial_runs_and_shows_what_is_committed(executed, tmp_path):
    committed = nbformat.read(NOTEBOOK, as_version=4)
    assert kinds(executed) == kinds(committed)
    assert list(tmp_path.glob("**/metrics.jsonl")), "it did not train in its own folder"


def test_the_committed_notebook_is_small_and_of_no_machine():
    text = NOTEBOOK.read_text()
    assert len(text) < 600_000
    for cell in json.loads(text)["cells"]:
        shown = json.dumps([output.get("text", "") for output in cell.get("outputs", [])])
        assert not re.search(r"/(home|root|tmp|Users|work)/", shown)
        assert "Traceback" not in shown
