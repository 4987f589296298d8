"""A parent that watches one process of a run of many, which cannot report its own abort."""

import os
import select
import signal
import sys
import threading
import time

from radepth_jax.errors import PREEMPTED

AGAIN = "start all processes again with the same command: they go on from the last checkpoint"


class Watched:
    """The child's end of a watch, a pipe to its parent."""

    def __init__(self, pipe: int):
        self._pipe = pipe

    def report_step(self) -> None:
        """Say that a step was finished."""
        os.write(self._pipe, b".")

    def explain(self, code: int, line: str) -> None:
        """Say with which exit code and last line to end, whatever happens from now on.

        This process ends only when the other processes have ended, or are given up.
        """
        os.write(self._pipe, f"\n{code} {line}".encode())


def supervise(*, peer_timeout: int, step_timeout: float) -> Watched:
    """Fork before JAX is loaded. The child goes on, and the parent watches it and never returns.

    When another process of the run is gone, JAX aborts this one from a thread of its own, whatever
    Python is doing. So the parent writes the last line on standard error. The parent also passes
    SIGTERM and SIGINT on, and kills a child that hangs.

    Args:
        peer_timeout: seconds after which a silent peer counts as dead, for the message.
        step_timeout: the longest time in seconds between two reports of a step.

    Returns:
        In the child, the object to which it reports steps and its end.

    Raises:
        SystemExit: It is raised in the parent, with the child's own exit code, or with 128 + the
            signal that killed it. If another process is to blame, the code is `PREEMPTED`, on
            which schedulers restart a run.
    """
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.close(read)
        os.setpgid(0, 0)  # so that a terminal's Ctrl-C comes once, through the parent
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()
        return Watched(write)
    os.close(write)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    status, explained = _watch(child, read, step_timeout)
    if explained:
        code_text, _, line = explained.partition(" ")
        print(line, file=sys.stderr, flush=True)
        raise SystemExit(int(code_text))
    if status is None:
        problem = (
            f"no step was finished in {step_timeout:g} s; this process or another of the run "
            "hangs, unless a step, its compilation or a validation takes longer than --step_timeout"
        )
        code = PREEMPTED
    elif os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        problem = "stopped by the error above" if code else ""
    elif os.WTERMSIG(status) == signal.SIGABRT:
        problem = (
            "another process of the run died, failed, or could not be reached for "
            f"{peer_timeout} s (what JAX noticed is above)"
        )
        code = PREEMPTED
    else:
        name = signal.Signals(os.WTERMSIG(status)).name
        often = ", as the system does when memory runs out" if name == "SIGKILL" else ""
        problem = f"killed by {name}{often}"
        code = 128 + os.WTERMSIG(status)
    if problem:
        print(f"radepth train: error: {problem}; {AGAIN}", file=sys.stderr, flush=True)
    raise SystemExit(code)


def _watch(child: int, pipe: int, timeout: float) -> tuple[int | None, str]:
    """The child's status and what it explained. The status is None if it hung and was killed."""
    last = time.monotonic()
    said = b""
    ended, status = 0, None
    while True:
        if not ended:
            ended, status = os.waitpid(child, os.WNOHANG)
        # A pipe that the child has closed stays readable. The child is then about to end.
        readable = select.select([pipe], [], [], 0.0 if ended else 0.5)[0]
        received = os.read(pipe, 65536) if readable else b""
        if received:
            last = time.monotonic()
            said = (said + received).lstrip(b".")  # the child writes a dot for each step
            continue
        if not ended and time.monotonic() - last > timeout:
            os.kill(child, signal.SIGKILL)
            ended, _ = os.waitpid(child, 0)
            status = None
        if ended:
            return status, said.decode().strip()
        time.sleep(0.05)


def _follow(parent: int) -> None:
    """End this process when its parent is gone, which may have been killed without a word."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
