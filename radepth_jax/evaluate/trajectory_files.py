"""Trajectories in files: KITTI's and TUM's formats, read from anywhere and written for `evo`."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from radepth_jax.errors import UserError

MAX_DIFFERENCE = 0.02  # seconds (Sturm et al., IROS 2012)

_COLUMNS = {
    12: "3x4 matrix of KITTI",
    13: "frame number, 3x4 matrix",
    8: "timestamp tx ty tz qx qy qz qw of TUM",
}
_MAX_FRAME = 1_000_000  # bounds the memory


@dataclass(frozen=True)
class Trajectory:
    """A trajectory as a file holds it; exactly one of `frames` and `times` is there.

    Attributes:
        path: the file.
        world_T_camera: [N, 4, 4].
        frames: [N] increasing frame numbers, of KITTI's format.
        times: [N] increasing seconds, of TUM's format.
        numbered: whether the frame numbers are the file's own; otherwise they count its lines.
    """

    path: Path
    world_T_camera: np.ndarray  # noqa: N815
    frames: np.ndarray | None = None
    times: np.ndarray | None = None
    numbered: bool = False


def read_trajectory(path: str | Path) -> Trajectory:
    """Read a trajectory; its format is known by how many numbers a line has.

    12 are KITTI's 3x4 matrix by rows, 13 a frame number and the same, 8 are TUM's `timestamp tx ty
    tz qx qy qz qw`. Blank lines, what follows a `#`, a byte order mark and any kind of line end are
    passed over. Lines with a frame number or a timestamp may come in any order.

    Raises:
        UserError: the file cannot be read, or a line is not a pose; the message has its number.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file; expected {_expected()}") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; expected a trajectory file") from None
    rows: list[list[float]] = []
    lines: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) not in _COLUMNS:
            raise UserError(f"{path}, line {number}: {len(words)} columns; expected {_expected()}")
        if rows and len(words) != len(rows[0]):
            raise UserError(
                f"{path}, line {number}: {len(words)} columns, line {lines[0]} has "
                f"{len(rows[0])}; write all lines in one format"
            )
        rows.append([_read_number(word, f"{path}, line {number}") for word in words])
        lines.append(number)
    if not rows:
        raise UserError(f"{path}: no poses; expected lines of {_expected()}")
    table = np.array(rows)
    columns = table.shape[1]
    if columns == 12:
        return Trajectory(path, _matrices(path, lines, table), frames=np.arange(len(table)))
    order = np.argsort(table[:, 0], kind="stable")
    table, lines = table[order], [lines[i] for i in order]
    key = table[:, 0]
    _refuse(path, lines[1:], np.diff(key) == 0, f"{_COLUMNS[columns].split()[0]} is there twice")
    if columns == 13:
        whole = (key == np.round(key)) & (key >= 0) & (key <= _MAX_FRAME)
        _refuse(path, lines, ~whole, "a frame number is whole, 0 to 1,000,000")
        poses = _matrices(path, lines, table[:, 1:])
        return Trajectory(path, poses, frames=key.astype(int), numbered=True)
    norms = np.linalg.norm(table[:, 4:], axis=1)
    _refuse(path, lines, np.abs(norms - 1) > 0.01, "the quaternion qx qy qz qw has not length 1")
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3, :3] = Rotation.from_quat(table[:, 4:]).as_matrix()
    poses[:, :3, 3] = table[:, 1:4]
    return Trajectory(path, poses, times=key)


def _expected() -> str:
    return "; or ".join(f"{columns} columns ({what})" for columns, what in _COLUMNS.items())


def _read_number(word: str, where: str) -> float:
    try:
        value = float(word)
    except ValueError:
        raise UserError(f"{where}: '{word}' is not a number") from None
    if not np.isfinite(value):
        raise UserError(f"{where}: '{word}' is not finite; leave out frames without a pose")
    return value


def _refuse(path: Path, lines: list[int], wrong: np.ndarray, what: str) -> None:
    if wrong.any():
        raise UserError(f"{path}, line {lines[int(np.argmax(wrong))]}: {what}")


def _matrices(path: Path, lines: list[int], table: np.ndarray) -> np.ndarray:
    poses = np.tile(np.eye(4), (len(table), 1, 1))
    poses[:, :3] = table.reshape(-1, 3, 4)
    R = poses[:, :3, :3]
    skewed = np.abs(R @ np.swapaxes(R, 1, 2) - np.eye(3)).max(axis=(1, 2)) > 0.01
    wrong = skewed | (np.linalg.det(R) < 0)
    _refuse(path, lines, wrong, "the 3x3 part of the matrix is not a rotation")
    return poses


def pair(
    predicted: Trajectory, truth: Trajectory, *, max_difference: float = MAX_DIFFERENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Bring two trajectories to the same frames.

    Frames of KITTI's format pair by their number. Poses with timestamps pair with the nearest one
    in time, each with one at most; where two want the same, the nearer one has it.

    Args:
        predicted: what is judged.
        truth: what it is judged by.
        max_difference: seconds that two timestamps of one pair may differ by.

    Returns:
        predicted and true `world_T_camera` [N, 4, 4]. By frame number, NaN stands where a frame is
        missing; by timestamp, the N pairs are in order.

    Raises:
        UserError: they cannot be paired, or fewer than two frames are in both.
    """
    if (predicted.times is None) != (truth.times is None):
        kinds = ["KITTI" if one.times is None else "TUM" for one in (predicted, truth)]
        raise UserError(
            f"{predicted.path} is in {kinds[0]}'s format and {truth.path} in {kinds[1]}'s; write "
            "both with timestamps or both with matrices"
        )
    if predicted.times is not None and truth.times is not None:
        i, j = associate(predicted.times, truth.times, max_difference)
        if len(i) < 2:
            raise UserError(
                f"{predicted.path}: {len(i)} of its timestamps within {max_difference:g} s of "
                f"those of {truth.path}; expected two or more, in seconds on one clock"
            )
        return predicted.world_T_camera[i], truth.world_T_camera[j]
    assert predicted.frames is not None
    assert truth.frames is not None
    counts = len(predicted.frames), len(truth.frames)
    if not (predicted.numbered or truth.numbered) and counts[0] != counts[1]:
        raise UserError(
            f"{predicted.path}: {counts[0]} poses, and {truth.path} has {counts[1]}; put the frame "
            "number before each matrix (13 columns), or use timestamps"
        )
    if predicted.frames[-1] > truth.frames[-1]:
        raise UserError(
            f"{predicted.path}: frame {predicted.frames[-1]}, and {truth.path} ends at frame "
            f"{truth.frames[-1]}; frames count from 0"
        )
    both = np.full((2, truth.frames[-1] + 1, 4, 4), np.nan)
    both[0, predicted.frames] = predicted.world_T_camera
    both[1, truth.frames] = truth.world_T_camera
    common = int(np.isfinite(both).all(axis=(0, 2, 3)).sum())
    if common < 2:
        raise UserError(
            f"{predicted.path}: {common} of its frames in {truth.path}; expected two or more"
        )
    return both[0], both[1]


def associate(
    times: np.ndarray, others: np.ndarray, max_difference: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of the nearest timestamps.

    Args:
        times: [N] increasing seconds.
        others: [M] increasing seconds.
        max_difference: seconds that a pair may differ by.

    Returns:
        indices into `times` [P] and into `others` [P], increasing, none of them twice.
    """
    after = np.clip(np.searchsorted(others, times), 0, len(others) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(times - others[before] <= np.abs(others[after] - times), before, after)
    difference = np.abs(times - others[nearest])
    order = np.lexsort((difference, nearest))  # of those that share a partner, the nearest first
    best = order[np.unique(nearest[order], return_index=True)[1]]
    best = np.sort(best[difference[best] <= max_difference])
    return best, nearest[best]


def write_kitti(path: Path, world_T_camera: np.ndarray) -> None:
    """Write a trajectory [N, 4, 4] as KITTI does: the first three rows, 12 numbers a line."""
    np.savetxt(path, world_T_camera[:, :3].reshape(-1, 12), fmt="%.9e")


def write_tum(path: Path, times: np.ndarray, world_T_camera: np.ndarray) -> None:
    """Write a trajectory as TUM RGB-D does: `timestamp tx ty tz qx qy qz qw`.

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

    Where frames lack a true pose, the truth is written only as TUM: KITTI's format has a line for
    every frame.

    Args:
        folder: where to.
        name: the recording's.
        predicted: `world_T_camera` [N, 4, 4], as chained, in the network's unit.
        truth: `world_T_camera` [N, 4, 4] metres, NaN where unknown.
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
