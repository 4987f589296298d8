"""Progress of preparing or predicting: a callback's type, and bars that show it."""

import contextlib
from collections.abc import Callable, Iterator

import rich.console
import rich.progress

Progress = Callable[[str, int, int | None], None]
"""It is called with (what is counted, how many are done, how many there are or None)."""


def no_progress(what: str, done: int, total: int | None) -> None:
    """A `Progress` that shows nothing."""
    del what, done, total


@contextlib.contextmanager
def progress_bars(console: rich.console.Console) -> Iterator[Progress]:
    """Yields a `Progress` that draws one bar for each thing that is counted."""
    bars = rich.progress.Progress(
        rich.progress.TextColumn("{task.description}", markup=False),
        rich.progress.BarColumn(),
        rich.progress.MofNCompleteColumn(),
        rich.progress.TimeElapsedColumn(),
        console=console,
        transient=True,
    )
    tasks: dict[str, rich.progress.TaskID] = {}

    def update(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            bars.start()
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    try:
        yield update
    finally:
        if tasks:
            bars.stop()
