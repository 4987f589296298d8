"""Reads trajectory files in the formats of KITTI, TUM and EuRoC, and writes the first two."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from radepth_jax.data.text import Line, read_lines
from radepth_jax.errors import UserError
from radepth_jax.evaluation.alignment import has_pose
from radepth_jax.files import atomic_write
from radepth_jax.names import shown

_COLUMNS = {
    12: "3x4 matrix of KITTI",
    13: "frame number, 3x4 matrix",
    8: "timestamp tx ty tz qx qy qz qw of TUM",
}
_MAX_FRAME = 1_000_000  # bounds the memory
# Patterns of the names of a CSV file's columns, in TUM's order. EuRoC has `p_RS_R_x` and `q_RS_w`.
_NAMES = [
    r"timestamp|time|t",
    *(rf"(t_?|p_?|p_\w+_|position_)?{axis}" for axis in "xyz"),
    *(rf"(q_?|q_\w+_|orientation_){axis}" for axis in "xyzw"),
]
_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Trajectory:
    """A trajectory as a file holds it. It has either `frames` or `times`.

    Attributes:
        path: the file.
        world_T_camera: [N, 4, 4].
        frames: [N], the increasing frame numbers of a file in KITTI's format.
        times: [N], the increasing seconds of a file in TUM's format or of a CSV file.
        numbered: whether the file has the frame numbers. Otherwise they count its lines.
    """

    path: Path
    world_T_camera: np.ndarray  # noqa: N815
    frames: np.ndarray | None = None
    times: np.ndarray | None = None
    numbered: bool = False


def read_trajectory(path: str | Path) -> Trajectory:
    """Read a trajectory. How many numbers a line has says which format it is.

    Twelve numbers are KITTI's 3x4 matrix by rows. Thirteen are a frame number and such a matrix.
    Eight are TUM's `timestamp tx ty tz qx qy qz qw`. A file with commas is a CSV file such as
    EuRoC's, whose first line names the columns. Blank lines and comments (`#`) do not count. Lines
    with a frame number or a timestamp may come in any order.

    Raises:
        UserError: The file cannot be read, or a line is not a pose. The message has its number.
    """
    path = Path(path)
    lines = read_lines(path, hint="expected a trajectory file")
    poses = [line for line in lines if not line.text.startswith("#")]
    if poses and "," in poses[0].text.partition("#")[0]:
        comments = lines[: lines.index(poses[0])]
        named = [line for line in comments if "," in line.text]
        header, csv_rows = (named[-1], poses) if named else (poses[0], poses[1:])
        return _timed(path, csv_rows, _read_csv(header, csv_rows))
    rows: list[list[float]] = []
    for line in poses:
        words = line.text.partition("#")[0].split()
        if len(words) not in _COLUMNS:
            raise UserError(f"{line.where}: {len(words)} columns; expected {_expected()}")
        if rows and len(words) != len(rows[0]):
            raise UserError(
                f"{line.where}: {len(words)} columns, {poses[0].where.rpartition(', ')[2]} has "
                f"{len(rows[0])}; write all lines in one format"
            )
        rows.append([_read_number(word, line.where) for word in words])
    if not rows:
        raise UserError(f"{shown(path)}: no poses; expected lines of {_expected()}")
    table = np.array(rows)
    columns = table.shape[1]
    if columns == 12:
        return Trajectory(path, _matrices(poses, table), frames=np.arange(len(table)))
    if columns == 8:
        return _timed(path, poses, table)
    poses, table = _in_order(poses, table, "frame")
    key = table[:, 0]
    whole = (key == np.round(key)) & (key >= 0) & (key <= _MAX_FRAME)
    _refuse(poses, ~whole, "a frame number is whole, 0 to 1,000,000")
    matrices = _matrices(poses, table[:, 1:])
    return Trajectory(path, matrices, frames=key.astype(int), numbered=True)


def _timed(path: Path, lines: list[Line], table: np.ndarray) -> Trajectory:
    """The trajectory of rows in TUM's order."""
    lines, table = _in_order(lines, table, "timestamp")
    norms = np.linalg.norm(table[:, 4:], axis=1)
    _refuse(lines, np.abs(norms - 1) > 0.01, "the quaternion qx qy qz qw has not length 1")
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(table[:, 4:]).as_matrix()
    poses[:, :3, 3] = table[:, 1:4]
    return Trajectory(path, poses, times=table[:, 0])


def _read_csv(header: Line, rows: list[Line]) -> np.ndarray:
    """The columns of a CSV file as [N, 8], in TUM's order and in seconds."""
    names, units = [], []
    for word in header.text.lstrip("#").split(","):
        name, _, unit = word.strip().lower().partition("[")
        names.append(name.strip())
        units.append(unit.partition("]")[0].strip())
    found = [
        [i for i, name in enumerate(names) if re.fullmatch(pattern, name)] for pattern in _NAMES
    ]
    if not rows or any(len(columns) != 1 for columns in found):
        raise UserError(
            f"{header.where}: its columns are separated by commas, but it does not name the eight "
            "of a trajectory; expected a first line such as EuRoC's, `#timestamp [ns],p_RS_R_x "
            "[m],...,q_RS_w [],q_RS_x [],...`, or columns separated by spaces"
        )
    order = [columns[0] for columns in found]
    # EuRoC's ground truth is in nanoseconds even if the header does not say so.
    unit = units[order[0]] or ("ns" if names[order[1]].startswith("p_rs") else "s")
    if unit not in _UNITS:
        raise UserError(f"{header.where}: timestamps in {unit!r}; expected {', '.join(_UNITS)}")
    table = []
    for line in rows:
        words = line.text.rstrip(",").split(",")
        if len(words) < max(order) + 1:
            raise UserError(f"{line.where}: {len(words)} columns; {len(names)} have names")
        table.append([_read_number(words[column].strip(), line.where) for column in order])
    return np.array(table) * [_UNITS[unit], *[1] * 7]


def _in_order(lines: list[Line], table: np.ndarray, key: str) -> tuple[list[Line], np.ndarray]:
    """The lines and their numbers, sorted by the first column. A value may not occur twice."""
    order = np.argsort(table[:, 0], kind="stable")
    table, lines = table[order], [lines[i] for i in order]
    _refuse(lines[1:], np.diff(table[:, 0]) == 0, f"{key} is there twice")
    return lines, table


def _expected() -> str:
    columns = "; or ".join(f"{number} columns ({what})" for number, what in _COLUMNS.items())
    return f"{columns}; or EuRoC's CSV"


def _read_number(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise UserError(f"{where}: '{word}' is not a number") from None
    if not np.isfinite(value):
        raise UserError(f"{where}: '{word}' is not finite; leave out frames without a pose")
    return value


def _refuse(lines: list[Line], wrong: np.ndarray, what: str) -> None:
    if wrong.any():
        raise UserError(f"{lines[int(np.argmax(wrong))].where}: {what}")


def _matrices(lines: list[Line], table: np.ndarray) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3] = table.reshape(-1, 3, 4)
    R = poses[:, :3, :3]
    skewed = np.abs(R @ np.swapaxes(R, 1, 2) - np.eye(3)).max(axis=(1, 2)) > 0.01
    wrong = skewed | (np.linalg.det(R) < 0)
    _refuse(lines, wrong, "the 3x3 part of the matrix is not a rotation")
    return poses


def write_kitti(path: Path, world_T_camera: np.ndarray) -> None:
    """Write a trajectory [N, 4, 4] as KITTI does: the first three rows, 12 numbers a line."""
    with atomic_write(path) as part:
        np.savetxt(part, world_T_camera[:, :3].reshape(-1, 12), fmt="%.9e")


def write_tum(path: Path, times: np.ndarray, world_T_camera: np.ndarray) -> None:
    """Write a trajectory as TUM RGB-D does: `timestamp tx ty tz qx qy qz qw`.

    Args:
        path: the file.
        times: [N] seconds.
        world_T_camera: [N, 4, 4].
    """
    quaternions = Rotation.from_matrix(world_T_camera[:, :3, :3]).as_quat(canonical=True)
    columns = np.column_stack([times, world_T_camera[:, :3, 3], quaternions])
    with atomic_write(path) as part:
        np.savetxt(part, columns, fmt=["%.6f"] + 7 * ["%.9e"])


def write_trajectories(
    folder: Path, name: str, predicted: np.ndarray, truth: np.ndarray, times: np.ndarray
) -> list[Path]:
    """Write a trajectory and the truth in both formats: `NAME_kitti.txt`, `NAME_truth_tum.txt`.

    If a frame lacks a true pose, the truth is not written in KITTI's format, which has a line for
    every frame.

    Args:
        folder: the folder to write to.
        name: the recording's name.
        predicted: `world_T_camera` [N, 4, 4], as chained, in the network's unit.
        truth: `world_T_camera` [N, 4, 4] in metres. NaN means unknown.
        times: [N] seconds.

    Returns:
        The files' paths.
    """
    known = has_pose(truth)
    kitti, tum = folder / f"{name}_kitti.txt", folder / f"{name}_tum.txt"
    write_kitti(kitti, predicted)
    write_tum(tum, times, predicted)
    true_kitti, true_tum = folder / f"{name}_truth_kitti.txt", folder / f"{name}_truth_tum.txt"
    write_tum(true_tum, times[known], truth[known])
    if not known.all():
        true_kitti.unlink(missing_ok=True)  # an earlier run may have written it
        return [kitti, tum, true_tum]
    write_kitti(true_kitti, truth)
    return [kitti, tum, true_tum, true_kitti]
