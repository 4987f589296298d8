"""How commands end in a shell: a closed pipe, a full disk behind `>`, a signal, no home."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from radepth_jax.cli import ending
from radepth_jax.cli import main as cli

ROOT = Path(__file__).parents[2]
RADEPTH = [sys.executable, "-c", "from radepth_jax.cli.main import main; main()"]


def start(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environment):
    return subprocess.Popen(
        [*RADEPTH, *arguments],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=stdout,
        stderr=stderr,
        text=True,
    )


@pytest.fixture
def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["prepare", "--help"], ["doctor"]]
)
def test_nobody_reads_the_output(arguments, closed_pipe):
    process = start(*arguments, stdout=closed_pipe)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (ending.PIPE_CLOSED, "")


def test_nobody_reads_the_errors_either(closed_pipe):
    process = start("odd", stdout=closed_pipe, stderr=closed_pipe)
    assert process.wait(timeout=60) == ending.PIPE_CLOSED


def test_another_broken_pipe_is_a_bug_and_keeps_its_traceback(monkeypatch):
    def broken(_):
        raise BrokenPipeError

    monkeypatch.setattr("radepth_jax.cli.prepare.main", broken)
    monkeypatch.setattr(sys, "argv", ["radepth", "prepare"])
    with pytest.raises(BrokenPipeError):
        cli.main()


def test_the_output_goes_to_a_full_disk():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    with open("/dev/full", "w") as full:
        process = start("--help", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err == (
        "radepth --help: error: the disk of the output is full; free some space and run the same "
        "command again\n"
    )


def test_a_full_disk_that_nobody_reports_is_one_line(monkeypatch, capsys):
    def full(_):
        raise OSError(28, "No space left on device", "there")

    monkeypatch.setattr("radepth_jax.cli.prepare.main", full)
    monkeypatch.setattr(sys, "argv", ["radepth", "prepare"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    said = capsys.readouterr().err
    assert end.value.code == 2
    assert said.startswith("radepth prepare: error: the disk of there is full")
    assert said.count("\n") == 1


def test_sigterm_ends_a_command_as_ctrl_c_does(monkeypatch, capsys):
    def terminated(_):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr("radepth_jax.cli.prepare.main", terminated)
    monkeypatch.setattr(sys, "argv", ["radepth", "prepare"])
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as end:
            cli.main()
        assert signal.getsignal(signal.SIGTERM) == before[0]
    finally:
        signal.signal(signal.SIGINT, before[1])
    assert end.value.code == 128 + signal.SIGTERM
    assert capsys.readouterr().err == (
        "radepth prepare: interrupted; the same command starts over\n"
    )


NO_HOME = """
import os, pathlib, pwd, sys
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
os.environ.pop("JAX_COMPILATION_CACHE_DIR", None)
pwd.getpwuid = lambda uid: (_ for _ in ()).throw(KeyError(uid))  # a user without an entry
try:
    pathlib.Path.home()
except RuntimeError:
    pass
else:
    raise SystemExit("there is a home")
from radepth_jax.cli.main import main
main()
"""


def test_a_user_without_a_home_has_no_cache_and_all_else():
    command = [sys.executable, "-c", NO_HOME, "doctor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "compiled programs        not kept, because this user has no home" in done.stdout
    assert "first depth              right" in done.stdout
