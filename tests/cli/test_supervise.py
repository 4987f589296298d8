"""What is said of a process that cannot say it itself."""

import signal
import subprocess
import sys
import time

import pytest

from radepth_jax.cli.train import parse_group
from radepth_jax.errors import UserError

START = "import os, sys, signal, time; from radepth_jax.cli.supervise import supervise\n"
START += "watched = supervise(peer_timeout=10, step_timeout=2)\n"


def start(code):
    return subprocess.Popen(
        [sys.executable, "-c", START + code],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("code", "exit_code", "message"),
    [
        ("print('done')", 0, ""),
        ("watched.explain(2, 'radepth train: error: a file'); os.abort()", 2, "error: a file"),
        ("watched.explain(2, 'radepth train: error: ä'); sys.exit(2)", 2, "error: ä"),
        ("1 / 0", 1, "stopped by the error above; start all processes again"),
        (
            "os.abort()",
            75,
            "another process of the run died, failed, or could not be reached for 10",
        ),
        (
            "os.kill(os.getpid(), 9)",
            137,
            "killed by SIGKILL, as the system does when memory runs o",
        ),
        ("os.kill(os.getpid(), 11)", 139, "killed by SIGSEGV; start all processes again"),
        (
            "watched.report_step(); time.sleep(60)",
            75,
            "no step was finished in 2 s; this process or another",
        ),
        ("os.kill(os.getpid(), signal.SIGSTOP)", 75, "no step was finished in 2 s"),
    ],
)
def test_the_last_line_says_how_a_process_ended(code, exit_code, message):
    process = start(code)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == exit_code
    last = errors.splitlines()[-1] if errors else ""
    assert message in last
    assert last.startswith("radepth train: error: ") == bool(message)


def test_steps_in_time_keep_a_process_going():
    process = start("for _ in range(8): time.sleep(0.4); watched.report_step()")
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_a_request_to_end_reaches_the_process_that_trains():
    code = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('ready', flush=True)\n"
    process = start(code + "time.sleep(60)")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


def test_nothing_outlives_the_process_that_watches():
    with start("print('ready', flush=True); time.sleep(60)") as process:
        process.stdout.readline()
        process.kill()
        begun = time.monotonic()
        assert process.stdout.read() == ""  # open as long as the child lives
        assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--process=1"], "--coordinator, --processes and --process go together"),
        (
            ["--coordinator=h:1", "--processes=2", "--process=2"],
            "--process: expected 0 to 1, got 2",
        ),
        (["--coordinator=h", "--processes=2", "--process=0"], "expected HOST:PORT, got 'h'"),
        (["--distributed", "--peer_timeout=0"], "--peer_timeout: expected seconds above 0, got 0"),
        (["--processes=two"], "argument --processes: invalid int value: 'two'"),
    ],
)
def test_flags_that_do_not_fit_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        parse_group(arguments)


def test_other_flags_are_left_alone():
    group, others = parse_group(["--config=c.py", "--process", "0", "--processes", "1",
                                 "--coordinator", "host:1", "--config.train.steps=3"])  # fmt: skip
    assert others == ["--config=c.py", "--config.train.steps=3"]
    assert (group.distributed, group.peer_timeout, group.step_timeout) == (True, 100, 1800)
    assert not parse_group(["--config=c.py"])[0].distributed
