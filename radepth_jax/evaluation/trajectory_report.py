"""What `radepth odometry` prints and writes: its tables."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from radepth_jax.evaluation.console import add_folded_column, print_whole
from radepth_jax.evaluation.odometry import SNIPPET, Score
from radepth_jax.files import atomic_write

COLUMNS = (
    "model",
    "sequence",
    "frames",
    "length",
    "snippets",
    "snippet_ate",
    "snippet_ate_std",
    "snippet_rmse",
    "trajectory_ate",
    "alignment",
    "scale",
    "segments",
    "t_rel",
    "r_rel",
    "rpe_translation",
    "rpe_rotation",
)


@dataclass(frozen=True)
class TrajectoryRow:
    """One line of the table; lengths and errors in metres, None where there is no such number.

    Attributes:
        model: what predicted the trajectory.
        sequence: the recording, or "all".
        frames: how many were compared.
        length: travelled.
        snippets: of `SNIPPET` frames.
        snippet_ate: mean over them, as published (`odometry.snippet_errors`).
        snippet_ate_std: standard deviation over them.
        snippet_rmse: mean over them of the root mean square error.
        trajectory_ate: root mean square error of all positions after the alignment; of "all", the
            mean.
        alignment: a name in `alignment.ALIGNMENTS`, for this and what follows.
        scale: metres per unit of the prediction.
        segments: of 100 to 800 metres (`kitti_odometry_errors.segments`).
        t_rel: percent, mean over them.
        r_rel: degrees per 100 metres, mean over them.
        rpe_translation: mean over every two consecutive frames.
        rpe_rotation: degrees, mean over every two consecutive frames.
    """

    model: str
    sequence: str
    frames: int
    length: float
    snippets: int
    snippet_ate: float | None
    snippet_ate_std: float | None
    snippet_rmse: float | None
    trajectory_ate: float | None
    alignment: str
    scale: float | None
    segments: int
    t_rel: float | None
    r_rel: float | None
    rpe_translation: float | None
    rpe_rotation: float | None


def make_rows(
    model: str, scores: Mapping[str, Score], alignment: str = "7dof"
) -> list[TrajectoryRow]:
    """A row per recording, and "all" where there are several.

    Args:
        model: what predicted the trajectories.
        scores: by the recording's name.
        alignment: a name in `alignment.ALIGNMENTS`.
    """
    rows = [_row(model, name, [score], alignment) for name, score in scores.items()]
    return rows + ([_row(model, "all", list(scores.values()), alignment)] if len(rows) > 1 else [])


def _row(model: str, sequence: str, scores: list[Score], alignment: str) -> TrajectoryRow:
    ate = np.concatenate([score.snippet_ate for score in scores])
    rmse = np.concatenate([score.snippet_rmse for score in scores])
    errors = [score.aligned[alignment] for score in scores]
    aligned = [own.ate for own in errors if np.isfinite(own.ate)]
    single = len(scores) == 1 and bool(aligned)
    segments = np.concatenate([own.segment_translation for own in errors])
    return TrajectoryRow(
        model=model,
        sequence=sequence,
        frames=sum(score.frames for score in scores),
        length=sum(score.length for score in scores),
        snippets=len(ate),
        snippet_ate=float(ate.mean()) if len(ate) else None,
        snippet_ate_std=float(ate.std()) if len(ate) else None,
        snippet_rmse=float(rmse.mean()) if len(ate) else None,
        trajectory_ate=float(np.mean(aligned)) if aligned else None,
        alignment=alignment,
        scale=errors[0].scale if single else None,
        segments=len(segments),
        t_rel=_mean([100 * segments]),
        r_rel=_mean([100 * np.degrees(own.segment_rotation) for own in errors]),
        rpe_translation=_mean([own.pair_translation for own in errors]),
        rpe_rotation=_mean([np.degrees(own.pair_rotation) for own in errors]),
    )


def _mean(parts: list[np.ndarray]) -> float | None:
    values = np.concatenate(parts)
    return float(values.mean()) if len(values) else None


def print_tables(rows: list[TrajectoryRow], title: str) -> None:
    """Print the rows as the field prints them.

    The first table has the errors of snippets, which have an alignment each, the second those of
    whole trajectories.
    """
    seen: dict[tuple[str, str], TrajectoryRow] = {}
    for row in rows:
        seen.setdefault((row.model, row.sequence), row)
    print_whole(_snippet_table(list(seen.values()), title))
    print_whole(_trajectory_table(rows))
    if any(row.t_rel is None for row in rows):
        print("t_rel and r_rel are not available where no more than 100 m can be judged")


def _snippet_table(rows: list[TrajectoryRow], title: str) -> Table:
    table = _table(title, "frames", "length", f"{SNIPPET}-frame ATE", "snippet RMSE")
    for row in rows:
        snippet = "-"
        if row.snippet_ate is not None:
            snippet = f"{row.snippet_ate:.4f} ± {row.snippet_ate_std:.4f}"
        table.add_row(
            row.model,
            row.sequence,
            str(row.frames),
            f"{row.length:.1f}",
            snippet,
            _number(row.snippet_rmse, 4),
            end_section=row.sequence == "all",
        )
    return table


def _trajectory_table(rows: list[TrajectoryRow]) -> Table:
    table = _table(
        "whole trajectories, aligned", "align", "scale", "t_rel\n(%)", "r_rel\n(°/100 m)",
        "ATE\n(m)", "RPE\n(m)", "RPE\n(°)",
    )  # fmt: skip
    for row in rows:
        table.add_row(
            row.model,
            row.sequence,
            row.alignment,
            _number(row.scale, 4),
            _number(row.t_rel, 3),
            _number(row.r_rel, 4),
            _number(row.trajectory_ate, 3),
            _number(row.rpe_translation, 4),
            _number(row.rpe_rotation, 4),
            end_section=row.sequence == "all",
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for name in ("model", "sequence"):
        add_folded_column(table, name)
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def write_rows(rows: list[TrajectoryRow], folder: Path) -> list[Path]:
    """Write `odometry.csv` and `odometry.json`; returns their paths."""
    records = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    paths = [folder / "odometry.csv", folder / "odometry.json"]
    with atomic_write(paths[0]) as part, part.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(records)
    with atomic_write(paths[1]) as part:
        part.write_text(json.dumps(records, indent=1) + "\n")
    return paths
