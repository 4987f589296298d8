"""The tables that `radepth odometry` prints and writes."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.table import Table

from radepth_jax.evaluation.console import add_folded_column, print_whole
from radepth_jax.evaluation.odometry import SNIPPET, Score
from radepth_jax.evaluation.records import write_csv, write_json


@dataclass(frozen=True)
class TrajectoryRow:
    """One line of the table. Lengths and errors are in metres. None means that there is no number.

    Attributes:
        model: what predicted the trajectory.
        sequence: the recording, or "all".
        frames: how many frames were compared.
        length: the length of the true path.
        snippets: how many snippets of `SNIPPET` frames there are.
        snippet_ate: the mean of the snippets' ATE, as published (`odometry.snippet_errors`).
        snippet_ate_std: the standard deviation of the snippets' ATE.
        snippet_rmse: the mean of the snippets' root mean square errors.
        trajectory_ate: the root mean square error of all positions after the alignment. For "all"
            it is the recordings' mean.
        alignment: the alignment of this error and of all that follow, a name in
            `alignment.ALIGNMENTS`.
        scale: metres per unit of the prediction.
        segments: how many segments of 100 to 800 metres there are
            (`kitti_odometry_errors.segments`).
        t_rel: percent, the mean over the segments.
        r_rel: degrees per 100 metres, the mean over the segments.
        rpe_translation: the mean over every two consecutive frames.
        rpe_rotation: degrees, the mean over every two consecutive frames.
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
    """A row for each recording, and one for "all" if there are several.

    Args:
        model: what predicted the trajectories.
        scores: maps each recording's name to its score.
        alignment: a name in `alignment.ALIGNMENTS`.
    """
    rows = [_row(model, name, [score], alignment) for name, score in scores.items()]
    return rows + ([_row(model, "all", list(scores.values()), alignment)] if len(rows) > 1 else [])


def _row(model: str, sequence: str, scores: list[Score], alignment: str) -> TrajectoryRow:
    ate = np.concatenate([score.snippet_ate for score in scores])
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
        snippet_ate=_mean([ate]),
        snippet_ate_std=float(ate.std()) if len(ate) else None,
        snippet_rmse=_mean([score.snippet_rmse for score in scores]),
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

    The first table has the errors of snippets, each of which is aligned by itself. The second has
    those of whole trajectories.
    """
    seen: dict[tuple[str, str], TrajectoryRow] = {}
    for row in rows:
        seen.setdefault((row.model, row.sequence), row)
    print_whole(_table(list(seen.values()), title, _SNIPPET_CELLS))
    print_whole(_table(rows, "whole trajectories, aligned", _TRAJECTORY_CELLS))
    if any(row.t_rel is None for row in rows):
        print("t_rel and r_rel are not available where no more than 100 m can be judged")


def _table(
    rows: list[TrajectoryRow], title: str, cells: Mapping[str, Callable[[TrajectoryRow], str]]
) -> Table:
    """A table with the model, the sequence and the cells of each row, by the column's name."""
    table = Table(title=title)
    for name in ("model", "sequence"):
        add_folded_column(table, name)
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        last = row.sequence == "all"
        own = (cell(row) for cell in cells.values())
        table.add_row(row.model, row.sequence, *own, end_section=last)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _snippet_ate(row: TrajectoryRow) -> str:
    if row.snippet_ate is None:
        return "-"
    return f"{row.snippet_ate:.4f} ± {row.snippet_ate_std:.4f}"


_SNIPPET_CELLS = {
    "frames": lambda row: str(row.frames),
    "length": lambda row: f"{row.length:.1f}",
    f"{SNIPPET}-frame ATE": _snippet_ate,
    "snippet RMSE": lambda row: _number(row.snippet_rmse, 4),
}
_TRAJECTORY_CELLS = {
    "align": lambda row: row.alignment,
    "scale": lambda row: _number(row.scale, 4),
    "t_rel\n(%)": lambda row: _number(row.t_rel, 3),
    "r_rel\n(°/100 m)": lambda row: _number(row.r_rel, 4),
    "ATE\n(m)": lambda row: _number(row.trajectory_ate, 3),
    "RPE\n(m)": lambda row: _number(row.rpe_translation, 4),
    "RPE\n(°)": lambda row: _number(row.rpe_rotation, 4),
}


def write_rows(rows: list[TrajectoryRow], folder: Path) -> list[Path]:
    """Write `odometry.csv` and `odometry.json`; returns their paths."""
    records = [asdict(row) for row in rows]
    paths = [folder / "odometry.csv", folder / "odometry.json"]
    write_csv(paths[0], records)
    write_json(paths[1], records)
    return paths
