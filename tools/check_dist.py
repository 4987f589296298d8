"""Check the distributions in a folder: what is in them, and that the wheel works by itself.

    python tools/check_dist.py dist

The wheel is installed into a fresh environment, which borrows the dependencies of the interpreter
that runs this, and its command is called from an empty folder, where no checkout can stand in.
"""

import os
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

PACKAGE = "radepth_jax"
LICENCES = ("LICENSE", "NOTICE")
IN_SOURCE = (
    *LICENCES,
    "README.md",
    "CHANGELOG.md",
    "pyproject.toml",
    "constraints.txt",
    "constraints-3.13.txt",
    "Makefile",
    f"{PACKAGE}/__init__.py",
    f"{PACKAGE}/__init__.pyi",
    f"{PACKAGE}/py.typed",
    "configs/ra_depth_kitti.py",
    "docs/index.md",
    "experiments/demo.py",
    "tests/conftest.py",
    "tests/reference/geometry.npz",
)


def check_wheel(wheel: Path, sources: Path) -> list[str]:
    """Problems of a wheel: something besides the package and licences, or a file left out."""
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    info = next((name for name in top if name.endswith(".dist-info")), "")
    problems = [f"{name} is in it" for name in sorted(top - {PACKAGE, info})]
    missing = [name for name in LICENCES if f"{info}/licenses/{name}" not in names]
    wanted = {
        path.relative_to(sources.parent).as_posix()
        for path in sources.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing += sorted(wanted - set(names))
    return problems + [f"{name} is not in it" for name in missing]


def check_source(archive: Path) -> list[str]:
    """Problems of a source distribution: something that it lacks, or that was built."""
    with tarfile.open(archive) as file:
        names = {member.name.partition("/")[2] for member in file.getmembers()}
    problems = [f"{name} is not in it" for name in IN_SOURCE if name not in names]
    built = [name for name in sorted(names) if "__pycache__" in name or name.startswith("runs/")]
    return problems + [f"{name} is in it" for name in built]


def check_installed(wheel: Path) -> list[str]:
    """Problems of the command that a wheel installs."""
    with tempfile.TemporaryDirectory() as folder:
        environment, elsewhere = Path(folder, "venv"), Path(folder, "elsewhere")
        elsewhere.mkdir()
        venv.create(environment, with_pip=False)
        python = environment / "bin" / "python"
        install = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet")
        _run(elsewhere, *install, "--no-deps", "--no-index", wheel)
        # Dependencies come after the wheel; an editable checkout is found by `.pth` files, which
        # PYTHONPATH does not read.
        clean = {"PYTHONPATH": sysconfig.get_path("purelib")}
        show = f"import {PACKAGE}; print({PACKAGE}.__file__)"
        where = _run(elsewhere, python, "-c", show, **clean)
        problems = []
        if not Path(where.strip()).is_relative_to(environment):
            problems.append(f"{where.strip()} was imported; expected the wheel's")
        command = environment / "bin" / "radepth"
        for arguments in (("--help",), ("predict", "--help"), ("train", "--help")):
            if "usage: radepth" not in _run(elsewhere, command, *arguments, **clean):
                problems.append(f"radepth {' '.join(arguments)} does not show its usage")
        return problems


def _run(folder: Path, *command: object, **variables: str) -> str:
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=kept | variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}: exit code {done.returncode}")
    return done.stdout


def main(folder: Path) -> int:
    """Print the problems of the one wheel and the one archive in `folder`; 1 if there are any."""
    wheels, archives = sorted(folder.glob("*.whl")), sorted(folder.glob("*.tar.gz"))
    if len(wheels) != 1 or len(archives) != 1:
        print(f"{folder}: expected one wheel and one .tar.gz", file=sys.stderr)
        return 1
    (wheel,), (archive,) = wheels, archives
    sources = Path(__file__).parent.parent / PACKAGE
    found = {
        wheel: check_wheel(wheel, sources) + check_installed(wheel.resolve()),
        archive: check_source(archive),
    }
    for path, problems in found.items():
        for problem in problems:
            print(f"{path.name}: {problem}", file=sys.stderr)
        if not problems:
            print(f"{path}: complete, {path.stat().st_size / 1e6:.1f} MB")
    return int(any(found.values()))


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
