"""What `radepth odometry` prints and writes: its tables."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from radepth_jax.evaluate.odometry import SNIPPET, Score

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
class Row:
    """One line of the table. Lengths and errors are in metres. None means that there is no number.

    Attributes:
        model: what predicted the trajectory.
        sequence: the recording, or "all".
        frames: how many frames were compared.
        length: how far the camera travelled.
        snippets: how many snippets of `SNIPPET` frames there are.
        snippet_ate: the mean error of the snippets, as published (`odometry.snippet_errors`).
        snippet_ate_std: the standard deviation of that error.
        snippet_rmse: the mean over snippets of the root mean square error.
        trajectory_ate: the root mean square error after a similarity alignment. For "all" it is the
            mean over recordings.
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


def make_rows(model: str, scores: Mapping[str, Score]) -> list[Row]:
    """A row for each recording, and one called "all" if there are several.

    Args:
        model: what predicted the trajectories.
        scores: the scores by the recording's name.
    """
    rows = [_row(model, name, [score], alignment) for name, score in scores.items()]
    return rows + ([_row(model, "all", list(scores.values()), alignment)] if len(rows) > 1 else [])


def _row(model: str, sequence: str, scores: list[Score], alignment: str) -> Row:
    ate = np.concatenate([score.snippet_ate for score in scores])
    rmse = np.concatenate([score.snippet_rmse for score in scores])
    errors = [score.aligned[alignment] for score in scores]
    aligned = [own.ate for own in errors if np.isfinite(own.ate)]
    single = len(scores) == 1 and bool(aligned)
    segments = np.concatenate([own.segment_translation for own in errors])
    return Row(
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


def print_table(rows: list[Row], title: str) -> None:
    """Print the rows as the field prints them. Lengths and errors are in metres."""
    table = Table(title=title)
    for name in ("model", "sequence"):
        table.add_column(name)
    for name in ("frames", "length", f"{SNIPPET}-frame ATE", "snippet RMSE", "trajectory ATE"):
        table.add_column(name, justify="right")
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


def _trajectory_table(rows: list[Row]) -> Table:
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
        table.add_column(name, overflow="fold")
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def write_rows(rows: list[Row], folder: Path) -> list[Path]:
    """Write `odometry.csv` and `odometry.json`, and return their paths."""
    records = [{name: getattr(row, name) for name in COLUMNS} for row in rows]
    paths = [folder / "odometry.csv", folder / "odometry.json"]
    with paths[0].open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(records)
    paths[1].write_text(json.dumps(records, indent=1) + "\n")
    return paths


def write_kitti(path: Path, world_T_camera: np.ndarray) -> None:
    """Write a trajectory [N, 4, 4] in KITTI's format: its first three rows, 12 numbers a line."""
    np.savetxt(path, world_T_camera[:, :3].reshape(-1, 12), fmt="%.9e")


def write_tum(path: Path, times: np.ndarray, world_T_camera: np.ndarray) -> None:
    """Write a trajectory in the format of TUM RGB-D: `timestamp tx ty tz qx qy qz qw`.

    Args:
        path: the file.
        times: [N] seconds.
        world_T_camera: [N, 4, 4].
    """
    quaternions = Rotation.from_matrix(world_T_camera[:, :3, :3]).as_quat(canonical=True)
    columns = np.column_stack([times, world_T_camera[:, :3, 3], quaternions])
    np.savetxt(path, columns, fmt=["%.6f"] + 7 * ["%.9e"])


def write_trajectories(
    folder: Path, name: str, predicted: np.ndarray, truth: np.ndarray, times: np.ndarray
) -> list[Path]:
    """Write a trajectory and the truth in both formats: `NAME_kitti.txt`, `NAME_truth_tum.txt`.

    If frames lack a true pose, the truth is written in TUM's format only, because KITTI's has a
    line for every frame.

    Args:
        folder: where the files go.
        name: the recording's name.
        predicted: `world_T_camera` [N, 4, 4], as chained, in the network's unit.
        truth: `world_T_camera` [N, 4, 4] in metres. NaN means unknown.
        times: [N] seconds.

    Returns:
        The files' paths.
    """
    known = np.isfinite(truth).all(axis=(1, 2))
    kitti, tum = folder / f"{name}_kitti.txt", folder / f"{name}_tum.txt"
    write_kitti(kitti, predicted)
    write_tum(tum, times, predicted)
    true_kitti, true_tum = folder / f"{name}_truth_kitti.txt", folder / f"{name}_truth_tum.txt"
    write_tum(true_tum, times[known], truth[known])
    if not known.all():
        true_kitti.unlink(missing_ok=True)  # of an earlier run
        return [kitti, tum, true_tum]
    write_kitti(true_kitti, truth)
    return [kitti, tum, true_tum, true_kitti]
