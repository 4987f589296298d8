"""A scheduler's request to end: SIGTERM, which every process of a run obeys after the same step."""

import signal
import threading
from types import FrameType
from typing import Any

import jax
from jax.experimental import multihost_utils


class Preemption:
    """A context manager that notes SIGTERM, so that it does not end the process at once.

    With several processes JAX's preemption service notes it (`jax.distributed.initialize` starts
    it), so that a signal to any one of them stops all.
    """

    def __init__(self) -> None:
        self._noted = False
        self._previous: Any = None

    def __enter__(self) -> "Preemption":
        # Only the main thread of Python may install handlers.
        if jax.process_count() == 1 and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGTERM, self._previous)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self._noted = True

    def reached(self, step: int) -> bool:
        """Whether to save and end after `step`. Every process asks after each step.

        Args:
            step: the last step that is done.
        """
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(step)
        return self._noted
