"""The table of temporal errors, in the terminal and in files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from radepth_jax.evaluation.bootstrap import bootstrap_intervals
from radepth_jax.evaluation.console import add_folded_column, print_whole
from radepth_jax.evaluation.records import write_csv, write_json
from radepth_jax.evaluation.temporal_loop import TemporalRow, clip_rows

ERRORS = ("one_scale", "own_scale")


def record_of(row: TemporalRow, confidence: float = 0.95) -> dict[str, Any]:
    """A row's means over pairs, with bootstrap intervals. Pairs without a pixel do not count."""
    values = np.array([row.one_scale, row.own_scale, row.compared]).T
    counted = values[np.isfinite(values[:, 0])]
    record: dict[str, Any] = {"model": row.model, "resolution": row.resolution}
    if not len(counted):
        return record | {"pairs": 0}
    record |= dict(zip((*ERRORS, "compared"), counted.mean(0).tolist(), strict=True))
    record |= {"pairs": len(counted), "scale": float(np.median(row.scales))}
    if confidence:
        low, high = bootstrap_intervals(counted[:, :2], level=confidence)
        for i, name in enumerate(ERRORS):
            record |= {f"{name}_low": float(low[i]), f"{name}_high": float(high[i])}
    return record


def print_temporal(rows: Sequence[TemporalRow], title: str, *, confidence: float = 0.95) -> None:
    """Print a line for each row. A confidence of 0 leaves the intervals out."""
    sign = "±" if Console().encoding.lower().startswith("utf") else "+-"
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    table.caption = (
        "mean |log carried depth - log next depth|, with one scale for a sequence and with each "
        "frame's own"
    )
    if confidence:
        table.caption += f"; {sign}: half of the {confidence:.0%} bootstrap interval over pairs"
    add_folded_column(table, "model")
    table.add_column("resolution")
    for name in ("one scale", "own scale", "pixels", "pairs", "scale"):
        table.add_column(name, justify="right")
    for row in rows:
        record = record_of(row, confidence)
        cells = []
        for name in ERRORS:
            cell = f"{record[name]:.4f}" if name in record else "-"
            if f"{name}_low" in record:
                half = (record[f"{name}_high"] - record[f"{name}_low"]) / 2
                cell += f"\n[dim]{sign}{half:.4f}[/dim]"
            cells.append(cell)
        if record["pairs"]:
            cells += [f"{record['compared']:.0%}", str(record["pairs"]), f"{record['scale']:.3g}"]
        else:
            cells += ["0%", "0", ""]
        table.add_row(row.model, row.resolution, *cells)
    print_whole(table)


def write_temporal(
    rows: Sequence[TemporalRow],
    folder: str | Path,
    *,
    about: dict[str, Any],
    confidence: float = 0.95,
) -> list[Path]:
    """Write `temporal.csv`, `temporal.json` and `temporal_per_pair.csv`; returns their paths.

    Args:
        rows: what was measured.
        folder: the folder, which is made if it is not there.
        about: what holds for all rows. It is added to each record.
        confidence: that of the bootstrap intervals.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records = [record_of(row, confidence) | about for row in rows]
    paths = [folder / f"temporal{end}" for end in (".csv", ".json", "_per_pair.csv")]
    write_csv(paths[0], records)
    write_json(paths[1], records)
    write_csv(paths[2], [record for row in rows for record in clip_rows(row)])
    return paths
