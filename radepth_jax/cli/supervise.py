"""A process of a run of many, watched from outside: it cannot say itself how it was aborted."""

import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable

from radepth_jax.errors import PREEMPTED

AGAIN = "start all processes again with the same command: they go on from the last checkpoint"


def supervise(*, peer_timeout: int, step_timeout: float) -> Callable[[], None]:
    """Fork, before JAX is loaded: the child goes on, its parent watches and never returns.

    When another process of the run is gone, JAX aborts this one from a thread of its own, whatever
    Python is doing; so the last word on standard error is the parent's. The parent passes SIGTERM
    and SIGINT on, and kills a child that hangs.

    Args:
        peer_timeout: seconds after which a silent peer counts as dead, for the message.
        step_timeout: the longest time in seconds between two calls of what is returned.

    Returns:
        In the child: what to call after every step.

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

        def report_step() -> None:
            os.write(write, b".")

        return report_step
    os.close(write)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _: os.kill(child, received))
    status = _watch(child, read, step_timeout)
    if status is None:
        problem = (
            f"no step was finished in {step_timeout:g} s; this process or another of the run "
            "hangs, unless a step, its compilation or a validation takes longer than --step_timeout"
        )
        code = PREEMPTED
    elif os.WIFEXITED(status):
        code = os.WEXITSTATUS(status)
        problem = "stopped by the error above" if code == 1 else ""  # others it has explained
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


def _watch(child: int, steps: int, timeout: float) -> int | None:
    """The child's status at its end; None if it took too long over a step and was killed."""
    last = time.monotonic()
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() - last > timeout:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        # The pipe stays readable once the child has closed it: it is about to end.
        if select.select([steps], [], [], 0.5)[0] and os.read(steps, 65536):
            last = time.monotonic()
        else:
            time.sleep(0.05)


def _follow(parent: int) -> None:
    """End with the parent, of which nothing may be left to tell."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)
