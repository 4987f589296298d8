"""A progress bar of training with the time left. Without a terminal it prints plain lines."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

SECONDS_BETWEEN_LINES = 20.0


class ProgressBar:
    """A context manager that shows how far training is.

    Args:
        total: the number of steps of the whole run.
        done: how many steps are already taken.
        show: whether to show anything. Only one process of a run does.
    """

    def __init__(self, total: int, done: int = 0, *, show: bool = True):
        self._total, self._first = total, done + 1
        self._console = Console(quiet=not show)
        self._lines = show and not self._console.is_terminal
        self._bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[figures]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=total, completed=done, figures="")
        self._begun = self._last_line = time.perf_counter()

    def __enter__(self) -> "ProgressBar":
        if self._lines:
            print("training: compiling the first step", flush=True)
        self._bar.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._bar.stop()

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._console.print(message, markup=False, highlight=False, soft_wrap=True)

    def update(self, step: int, values: dict[str, float]) -> None:
        """Show the figures of a finished step."""
        figures = f"loss {values['total']:.4f}"
        if "samples_per_second" in values:
            figures += f", {values['samples_per_second']:.1f} samples/s"
        self._bar.update(self._task, completed=step, figures=figures)
        now = time.perf_counter()
        first = step == self._first
        if self._lines and (
            first or step == self._total or now - self._last_line > SECONDS_BETWEEN_LINES
        ):
            self._last_line = now
            if step > self._first:
                left = (now - self._begun) / (step - self._first) * (self._total - step)
                figures += f", {left:.0f} s left"
            print(f"step {step}/{self._total}, {figures}", flush=True)
        if first:  # The estimate counts the steps, not the compilation.
            self._begun = now
