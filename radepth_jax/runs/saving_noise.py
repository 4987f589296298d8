"""Silences the lines that Orbax prints if a checkpoint cannot be written or read."""

import logging
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from radepth_jax.errors import cannot_write

_LOGGERS = ("absl", "asyncio")  # Orbax logs to absl; Python logs forgotten errors to asyncio


def leave_out_saving_noise() -> None:
    """From now on, show no traceback of a write that failed because of the disk.

    A read that was given up, because another part could not be read, is not reported either.

    Orbax logs such an error in each of its threads and raises it again when it is waited for, so
    the caller still gets it. Errors that it never waits for are reported when Python ends, so this
    cannot be undone earlier. Other tracebacks are still shown.
    """
    # Of the fragments of an array, those that had not begun when another one failed.
    warnings.filterwarnings(
        "ignore", "coroutine 'async_serialize.*' was never awaited", RuntimeWarning
    )
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_to_be_shown)
    if not isinstance(sys.unraisablehook, _ShowOthers):
        sys.unraisablehook = _ShowOthers(sys.unraisablehook)


def _is_to_be_shown(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    return error is None or cannot_write(error, "") is None


@dataclass(frozen=True)
class _ShowOthers:
    """A `sys.unraisablehook`. TensorStore's threads call it, too."""

    show: Callable[[Any], None]

    def __call__(self, unraisable: Any) -> None:
        if not _was_given_up(unraisable.exc_value, unraisable.exc_traceback):
            self.show(unraisable)


def _was_given_up(error: BaseException | None, trace: TracebackType | None) -> bool:
    """Whether it is reported of a read or write that nobody waited for after another had failed."""
    if error is not None and isinstance(error.__cause__, GeneratorExit):
        return True  # Orbax turns the end of a forgotten coroutine into an error
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return (
        isinstance(error, RuntimeError)
        and str(error) == "Event loop is closed"
        and trace is not None
        and trace.tb_frame.f_globals.get("__name__", "").startswith("asyncio.")
    )
