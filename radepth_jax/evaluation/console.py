"""Tables in the terminal that are as wide as their contents."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_MODEL_WIDTH = 40
_NO_LIMIT = 100_000


def add_folded_column(table: Table, name: str) -> None:
    """Add a column of names, which may be paths. A long name takes several lines."""
    table.add_column(name, overflow="fold", max_width=_MODEL_WIDTH)


def print_whole(table: Table) -> None:
    """Print a table whose numbers are not cut, however narrow the terminal is."""
    console = Console()
    width = Measurement.get(console, console.options.update(max_width=_NO_LIMIT), table).maximum
    Console(width=max(width, 1)).print(table)
