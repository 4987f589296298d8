"""What `import radepth_jax` offers, and docs/guides/python.md as it is printed."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import radepth_jax

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "guides" / "python.md").read_text()
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def test_every_name_is_there_and_on_the_page():
    for name in radepth_jax.__all__:
        assert callable(getattr(radepth_jax, name)), name
        assert re.search(rf"\b{name}\b", PAGE), name
    assert set(radepth_jax.__all__) <= set(dir(radepth_jax))


def test_nothing_is_imported_before_it_is_used():
    program = "import sys, radepth_jax; print(*{'jax', 'flax', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


def test_types_are_known_to_a_checker(tmp_path):
    pytest.importorskip("mypy", reason="needs mypy")
    (tmp_path / "mine.py").write_text(
        "import radepth_jax\n"
        "model = radepth_jax.load()\n"
        "reveal_type(model('picture.png'))\n"
        "reveal_type(model(['picture.png']))\n"
        "reveal_type(model('picture.png', as_jax=True))\n"
        "model(3)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--ignore-missing-imports", "mine.py"],
        cwd=tmp_path,
        env={"MYPYPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
    )
    revealed = re.findall(r'Revealed type is "(.*)"', done.stdout)
    assert ["ndarray" in kind for kind in revealed] == [True, True, False], done.stdout
    assert revealed[1].removeprefix("builtins.").startswith("list["), done.stdout
    assert revealed[2].endswith("Array"), done.stdout
    assert 'No overload variant of "__call__"' in done.stdout


def test_the_programs_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("one.png", "two.png"):
        Image.fromarray(rng.integers(0, 256, (60, 100, 3), np.uint8)).save(name)
    names: dict = {}
    for program in PROGRAMS:
        exec(compile(program, "python.md", "exec"), names)
    assert names["depth"].shape == (60, 100)
    assert np.isfinite(names["slope"]).all()
    assert 0 < names["rows"][0].metrics["abs_rel"] < 2
    assert np.isfinite(names["total"])
