"""How a command ends on a signal, a full disk, or when nobody reads its output any more."""

import contextlib
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

from radepth_jax.errors import Terminated, cannot_write
from radepth_jax.names import shown

PIPE_CLOSED = 128 + 13  # SIGPIPE, a name that Windows lacks
"""The exit code that a shell gives for a program which a closed pipe ended."""


@contextlib.contextmanager
def output_that_may_end(name: str) -> Iterator[None]:
    """End quietly if nobody reads the output any more (`radepth doctor | head -1`).

    A full disk gives one line, whether it was the output's disk or another one that no other code
    has reported.

    Args:
        name: the command's name, for messages.
    """
    try:
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):  # None if the shell closed it
                if stream is not None:
                    stream.flush()
    except BrokenPipeError:
        if not _drop_closed_output():
            raise
        raise SystemExit(PIPE_CLOSED) from None
    except Exception as error:
        line = cannot_write(error, getattr(error, "filename", None) or "the output")
        if line is None:
            raise
        _to_nowhere(sys.stdout)  # otherwise the interpreter's last flush would fail again
        print(f"{name}: error: {shown(line)}", file=sys.stderr)
        raise SystemExit(2) from None


def _drop_closed_output() -> bool:
    """Whether standard output or error is a pipe without a reader. Such a pipe is then dropped."""
    closed = False
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(
            OSError, ValueError, AttributeError
        ):  # the stream is closed, or is not a file
            poll = select.poll()
            poll.register(stream.fileno(), 0)
            if any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0)):
                _to_nowhere(stream)
                closed = True
    return closed


def _to_nowhere(stream: object) -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())  # type: ignore[attr-defined]
        os.close(nowhere)


@contextlib.contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end a command as Ctrl-C does, so that nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        del frame
        if os.getpid() != owner:  # a process that a library forked
            os._exit(128 + number)
        raise Terminated

    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
