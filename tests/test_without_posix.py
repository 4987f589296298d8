"""The commands on a system that is like Windows: no ArrayRecord, and nothing that POSIX alone has.

ArrayRecord and Grain are hidden from everything. The rest is hidden once the libraries are loaded,
because on Windows these take other ways.
"""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
# Runs the commands that come on standard input, one a line, and prints the exit code of each.
PROGRAM = """
import importlib, os, pkgutil, select, shlex, signal, sys

HIDDEN = {"array_record", "grain"}
POSIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty"}


class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in HIDDEN:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Hide())
import av, flax.linen, jax, optax, orbax.checkpoint, tensorflow_datasets

HIDDEN |= POSIX
for name in POSIX & set(sys.modules):
    del sys.modules[name]
for module, names in (
    (os, ("fork", "getppid", "sched_getaffinity", "setpgid")),
    (select, ("poll", "POLLERR", "POLLHUP")),
    (signal, ("SIGHUP", "SIGKILL", "SIGPIPE", "pthread_sigmask")),
):
    for name in names:
        delattr(module, name)

import radepth_jax
from radepth_jax.cli.main import main

for found in pkgutil.walk_packages(radepth_jax.__path__, "radepth_jax."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
for line in sys.stdin.read().splitlines():
    sys.argv = ["radepth", *shlex.split(line)]
    code = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    print("exit code", code, flush=True)
"""


@pytest.fixture
def commands(tmp_path):
    """Runs commands there -> (their exit codes, standard error)."""

    def run(*lines: str) -> tuple[list[int], str]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            input="\n".join(lines),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        said = [line for line in done.stdout.splitlines() if line.startswith("exit code")]
        return [int(line.split()[-1]) for line in said], done.stderr

    return run


def test_predict_export_and_app_work_and_data_sets_say_what_is_missing(
    commands, run_folder, tmp_path
):
    picture = tmp_path / "grey.png"
    Image.new("RGB", (64, 32), "grey").save(picture)
    codes, said = commands(
        f"predict --checkpoint {run_folder} --output {tmp_path}/depth --save npy {picture}",
        f"export --checkpoint {run_folder} --format stablehlo --output {tmp_path}/net.stablehlo",
        "app --help",
        f"prepare street/tiny --data_dir {tmp_path}/data",
        # The tests have eight devices, which a batch is split over.
        "train --config configs/ra_depth_street.py --config.data.batch_size 8 "
        f"--workdir {tmp_path}/run",
        f"evaluate --checkpoint {run_folder} --dataset street/tiny --data_dir {tmp_path}/data",
    )
    assert codes == [0, 0, 0, 2, 2, 2], said
    assert [path.name for path in (tmp_path / "depth").glob("*.npy")] == ["grey_depth.npy"]
    assert (tmp_path / "net.stablehlo").stat().st_size > 0
    for command in ("prepare", "train", "evaluate"):
        assert f"radepth {command}: error: data sets need the package array-record" in said
    assert "Traceback" not in said
