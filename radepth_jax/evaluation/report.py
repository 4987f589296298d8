"""Evaluation tables in the terminal, as CSV and as JSON, and a plot over resolution."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from radepth_jax.evaluation.bootstrap import bootstrap_intervals
from radepth_jax.evaluation.console import add_folded_column, print_whole
from radepth_jax.evaluation.curve import curves
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.records import write_csv, write_json
from radepth_jax.evaluation.row import Row, edge_values, metric_names
from radepth_jax.files import atomic_write


def intervals(row: Row, confidence: float) -> dict[str, tuple[float, float]]:
    """The bootstrap intervals of a row's metrics. There are none if its images are not known."""
    if not row.per_image:
        return {}
    values = np.stack([row.per_image[name][row.counted] for name in METRICS], 1)
    low, high = bootstrap_intervals(values, level=confidence)
    bounds = {name: (float(low[i]), float(high[i])) for i, name in enumerate(METRICS)}
    for name in metric_names([row])[len(METRICS) :]:  # not all images have edges
        own = edge_values(row.per_image, name)
        low, high = bootstrap_intervals(own[:, None], level=confidence)
        bounds[name] = (float(low[0]), float(high[0]))
    return bounds


def edge_note(rows: Sequence[Row]) -> str:
    """Which images the edge figures are over, or why there are none. Empty if none were asked for.

    Args:
        rows: of one table. Whether an image counts depends on its ground truth, so it is the same
            in all of them.
    """
    row = rows[0]
    if "edge_f1" not in row.per_image:
        return ""
    if not row.per_image["dense"][row.counted].any():
        return (
            "edges: not measured, because the ground truth is sparse: most of its pixels have no "
            "known neighbour; use a data set with dense ground truth"
        )
    number, thin = (edge_values(row.per_image, name).size for name in ("edge_f1", "thin_recall"))
    return (
        f"edges: over the {number} of {row.images} images whose ground truth is dense and has any; "
        f"thin structures: over {thin}"
    )


def print_table(rows: Sequence[Row], title: str, *, confidence: float = 0.95) -> None:
    """Print the rows as the field prints them.

    Below each metric is half the width of its bootstrap interval at `confidence`. A confidence of
    0 leaves it out.
    """
    sign = "±" if Console().encoding.lower().startswith("utf") else "+-"
    table = Table(title=title, box=box.SIMPLE, pad_edge=False)
    if confidence:
        table.caption = (
            f"{sign}: half of the {confidence:.0%} bootstrap interval over images; scale: metres "
            "per unit of predicted depth (median), its spread over images"
        )
    add_folded_column(table, "model")
    table.add_column("resolution")
    table.add_column("scaling")
    names = metric_names(rows)
    for name in (*names, "scale", "spread", "images", "images/s"):
        table.add_column(name, justify="right")
    for row in rows:
        bounds = intervals(row, confidence) if confidence else {}
        cells = []
        for name in names:
            cell = f"{row.metrics[name]:.3f}"
            if name in bounds:
                low, high = bounds[name]
                cell += f"\n[dim]{sign}{(high - low) / 2:.3f}[/dim]"
            cells.append(cell)
        table.add_row(
            row.model,
            row.resolution,
            row.scaling,
            *cells,
            *figures(row).values(),
        )
    print_whole(table)
    for curve in curves(rows):
        print(curve.line())
    if note := edge_note(rows):
        print(note)


def figures(row: Row) -> dict[str, str]:
    """A row's cells but for its metrics. What is not known is empty."""

    def number(value: float, form: str) -> str:
        return format(value, form) if np.isfinite(value) else ""

    return {
        "scale": number(row.scale, ".2f"),
        "spread": number(row.scale_spread, ".0%"),
        "images": str(row.images),
        "speed": number(row.images_per_second, ".1f"),
    }


def write_report(
    rows: Sequence[Row],
    folder: str | Path,
    *,
    about: Mapping[str, Any] | None = None,
    confidence: float = 0.95,
) -> list[Path]:
    """Write `results.csv`, `results.json`, `resolutions.png` and `per_image.csv` into a folder.

    Args:
        rows: what was measured.
        folder: the folder, which is made if it is not there.
        about: what holds for all rows (data set, split, ...). It is added to each record.
        confidence: that of the bootstrap intervals (`<metric>_low`, `<metric>_high`).

    Returns:
        The paths of the files. `per_image.csv` is left out if no row has figures of its images.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    records = [_record(row, confidence) | dict(about or {}) for row in rows]
    paths = [folder / name for name in ("results.csv", "results.json", "resolutions.png")]
    write_csv(paths[0], records)
    write_json(paths[1], records)
    with warnings.catch_warnings():  # a name's character that the font lacks is shown as a box
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        with atomic_write(paths[2]) as part:
            plot_resolutions(rows).savefig(part, dpi=120, format="png")
    columns = (*metric_names(rows), "scale", "median_ratio", "pixels")
    images = [
        {"model": row.model, "resolution": row.resolution, "scaling": row.scaling, "image": image}
        | {name: row.per_image[name][i].item() for name in columns}
        for row in rows
        for i, image in enumerate(row.names)
    ]
    if images:
        paths.append(folder / "per_image.csv")
        write_csv(paths[-1], images)
    return paths


def _record(row: Row, confidence: float) -> dict[str, Any]:
    record: dict[str, Any] = {
        "model": row.model,
        "resolution": row.resolution,
        "scaling": row.scaling,
        **row.metrics,
        "images": row.images,
    }
    for name in ("images_per_second", "scale", "scale_spread"):
        if np.isfinite(getattr(row, name)):
            record[name] = getattr(row, name)
    for name, bounds in intervals(row, confidence).items():
        record[f"{name}_low"], record[f"{name}_high"] = bounds
    return record


def plot_resolutions(rows: Sequence[Row]) -> Figure:
    """Plot AbsRel and delta < 1.25 over the resolution, with a line for each model.

    What has no resolution is a horizontal line. "native" is a star at the width of the images.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, metric, label in zip(
        figure.subplots(1, 2),
        ("abs_rel", "d1"),
        ("AbsRel (lower is better)", "delta < 1.25 (higher is better)"),
        strict=True,
    ):
        axes.set(xlabel="test resolution (image width)", ylabel=label)
        for number, model in enumerate(dict.fromkeys(row.label for row in rows)):
            own = [row for row in rows if row.label == model]
            color = f"C{number}"
            levels = [row for row in own if row.width is None]
            native = [row for row in own if row.width and row.resolution == "native"]
            line = sorted(
                (row.width, row.metrics[metric]) for row in own if row.width and row not in native
            )
            if line:
                axes.plot(*zip(*line, strict=True), marker="o", label=model, color=color)
            for row in native:
                text = None if line else f"{model}, native"
                axes.plot(row.width, row.metrics[metric], "*", ms=12, label=text, color=color)
            for row in levels:
                axes.axhline(row.metrics[metric], label=model, color=color, linestyle="--")
        axes.set_ylim(bottom=0, top=1 if metric == "d1" else None)
        axes.legend()
    return figure
