"""Evaluation tables: terminal, CSV, JSON, and a plot over resolution."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from radepth_jax.evaluate.evaluator import Row
from radepth_jax.evaluate.metrics import METRICS


def print_table(rows: Sequence[Row], title: str) -> None:
    """Print the rows as the field prints them."""
    table = Table(title=title)
    table.add_column("model")
    table.add_column("resolution")
    for name in METRICS:
        table.add_column(name, justify="right")
    table.add_column("images", justify="right")
    table.add_column("images/s", justify="right")
    for row in rows:
        speed = row.images_per_second
        table.add_row(
            row.model,
            row.resolution,
            *(f"{row.metrics[name]:.3f}" for name in METRICS),
            str(row.images),
            f"{speed:.1f}" if speed == speed else "",
        )
    Console(width=120).print(table)


def write_report(rows: Sequence[Row], folder: str | Path) -> list[Path]:
    """Write `results.csv`, `results.json` and `abs_rel.png` into a folder.

    Returns:
        The files' paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records = [
        {"model": row.model, "resolution": row.resolution, **row.metrics, "images": row.images}
        | ({"images_per_second": row.images_per_second} if row.images_per_second > 0 else {})
        for row in rows
    ]
    paths = [folder / name for name in ("results.csv", "results.json", "abs_rel.png")]
    with paths[0].open("w", newline="") as file:
        columns = ["model", "resolution", *METRICS, "images", "images_per_second"]
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(records)
    paths[1].write_text(json.dumps(records, indent=1) + "\n")
    figure = plot_abs_rel(rows)
    figure.savefig(paths[2], dpi=120)
    return paths


def plot_abs_rel(rows: Sequence[Row]) -> Figure:
    """AbsRel over resolution, a line per model; a model without resolutions is a level."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        xlabel="test resolution (image width)", ylabel="AbsRel (lower is better)"
    )
    for model in dict.fromkeys(row.model for row in rows):
        own = [row for row in rows if row.model == model]
        if own[0].resolution == "native":
            axes.axhline(own[0].metrics["abs_rel"], label=model, color="gray", linestyle="--")
            continue
        own.sort(key=lambda row: int(row.resolution.partition("x")[0]))
        axes.plot(
            [int(row.resolution.partition("x")[0]) for row in own],
            [row.metrics["abs_rel"] for row in own],
            marker="o",
            label=model,
        )
    axes.set_ylim(bottom=0)
    axes.legend()
    return figure
