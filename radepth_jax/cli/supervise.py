"""A process of a run of many, watched from outside: it cannot say itself how it was aborted."""

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

        Ending takes until the other processes end too, or are given up.
        """
        os.write(self._pipe, f"\n{code} {line}".encode())


def supervise(*, peer_timeout: int, step_timeout: float) -> Watched:
    """Fork, before JAX is loaded: the child goes on, its parent watches and never returns.

    When another process of the run is gone, JAX aborts this one from a thread of its own, whatever
    Python is doing; so the last word on standard error is the parent's. The parent passes SIGTERM
    and SIGINT on, and kills a child that hangs.

    Args:
        peer_timeout: seconds after which a silent peer counts as dead, for the message.
        step_timeout: the longest time in seconds between two reports of a step.

    Returns:
        In the child: what to report steps and its end to.

    Raises:
        SystemExit: in the parent: with the child's own exit code; with `PREEMPTED`, which
            schedulers restart on, where another process is to blame; or with 128 + the signal.
    """
    read, write = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    parent = os.getpid()
    child = os.fork()
    if not child:
        os.close(read)
        os.setpgid(0, 0)  # a terminal's Ctrl-C comes once, through the parent
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
    """The child's status at its end, None if it took too long and was killed; what it explained."""
    last = time.monotonic()
    said = b""
    ended, status = 0, None
    while True:
        if not ended:
            ended, status = os.waitpid(child, os.WNOHANG)
        # The pipe stays readable once the child has closed it: it is about to end.
        readable = select.select([pipe], [], [], 0.0 if ended else 0.5)[0]
        received = os.read(pipe, 65536) if readable else b""
        if received:
            last = time.monotonic()
            said = (said + received).lstrip(b".")  # a dot a step
            continue
        if not ended and time.monotonic() - last > timeout:
            os.kill(child, signal.SIGKILL)
            ended, _ = os.waitpid(child, 0)
            status = None
        if ended:
            return status, said.decode().strip()
        time.sleep(0.05)


def _follow(parent: int) -> None:
    """End with the parent, of which nothing may be left to tell."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
