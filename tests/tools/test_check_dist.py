"""The check of distributions finds a file too many and a file too few."""

import importlib.util
import tarfile
import zipfile
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_dist.py"
INFO = "radepth_jax-1.0.dist-info"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("check_dist", TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    folder = tmp_path / "radepth_jax"
    folder.mkdir()
    for name in ("__init__.py", "errors.py", "page.html", "__pycache__/errors.pyc"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("")
    return folder


def make_wheel(path: Path, *names: str) -> Path:
    licences = [f"{INFO}/licenses/LICENSE", f"{INFO}/licenses/NOTICE"]
    with zipfile.ZipFile(path, "w") as file:
        for name in (*names, *licences):
            file.writestr(name, "")
    return path


def test_wheels(tool, sources, tmp_path):
    path = tmp_path / "a.whl"
    package = ("radepth_jax/__init__.py", "radepth_jax/errors.py", "radepth_jax/page.html")
    assert tool.check_wheel(make_wheel(path, *package), sources) == []
    assert tool.check_wheel(make_wheel(path, *package, "tests/test_a.py"), sources) == [
        "tests is in it"
    ]
    assert tool.check_wheel(make_wheel(path, package[0]), sources) == [
        f"{name} is not in it" for name in package[1:]
    ]


@pytest.mark.parametrize("change", ["none", "left out", "built"])
def test_source_distributions(tool, tmp_path, change):
    names = list(tool.IN_SOURCE)
    expected = []
    if change == "left out":
        names.remove("tests/conftest.py")
        expected = ["tests/conftest.py is not in it"]
    elif change == "built":
        names.append("tests/__pycache__/conftest.cpython-311.pyc")
        expected = ["tests/__pycache__/conftest.cpython-311.pyc is in it"]
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for name in names:
            file.addfile(tarfile.TarInfo(f"radepth_jax-1.0/{name}"))
    assert tool.check_source(path) == expected


def test_a_folder_without_distributions(tool, tmp_path, capsys):
    assert tool.main(tmp_path) == 1
    assert "expected one wheel and one .tar.gz" in capsys.readouterr().err
