"""Two trajectories from files brought to the same frames: by number, or by the nearest time."""

from typing import NamedTuple

import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.evaluation.kitti_odometry_errors import STEP
from radepth_jax.evaluation.trajectory_files import Trajectory

MAX_DIFFERENCE = 0.02  # seconds (Sturm et al., IROS 2012)

# A median step above these is of a camera with timestamps in that unit, rather than of one that
# takes a picture every few seconds, minutes or weeks.
_UNITS = {"nanoseconds": 2e6, "microseconds": 2e3, "milliseconds": 2.0}


class Pairs(NamedTuple):
    """Two trajectories at the same frames.

    Attributes:
        predicted: `world_T_camera` [N, 4, 4], NaN where a frame is missing.
        truth: likewise.
        unpaired: how many poses of the prediction and of the truth have no partner.
        gaps: how often frames are missing between two poses with timestamps.
    """

    predicted: np.ndarray
    truth: np.ndarray
    unpaired: tuple[int, int]
    gaps: int = 0


def pair(
    predicted: Trajectory, truth: Trajectory, *, max_difference: float = MAX_DIFFERENCE
) -> Pairs:
    """Bring two trajectories to the same frames.

    Frames of KITTI's format pair by their number. Poses with timestamps pair with the nearest one
    in time, each with one at most; where two want the same, the nearer one has it. A step in time
    of more than one and a half usual ones (their median) is a gap, in which frames are missing.

    Args:
        predicted: what is judged.
        truth: what it is judged by.
        max_difference: seconds that two timestamps of one pair may differ by.

    Raises:
        UserError: they cannot be paired, fewer than two frames are in both, or fewer than half by
            timestamps that seem to be no seconds.
    """
    if (predicted.times is None) != (truth.times is None):
        kinds = ["KITTI" if one.times is None else "TUM" for one in (predicted, truth)]
        raise UserError(
            f"{predicted.path} is in {kinds[0]}'s format and {truth.path} in {kinds[1]}'s; write "
            "both with timestamps or both with matrices"
        )
    if predicted.times is not None:
        return _pair_by_time(predicted, truth, max_difference)
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
    return Pairs(both[0], both[1], (counts[0] - common, counts[1] - common))


def _pair_by_time(predicted: Trajectory, truth: Trajectory, max_difference: float) -> Pairs:
    assert predicted.times is not None
    assert truth.times is not None
    i, j = associate(predicted.times, truth.times, max_difference)
    counts = len(predicted.times), len(truth.times)
    units = [_other_unit(one.times) for one in (predicted, truth)]
    doubt = next((unit for unit in units if unit), "")
    if len(i) < 2 or (doubt and 2 * len(i) < min(counts)):
        expected = "seconds; are they in " + doubt + "?" if doubt else "two or more, on one clock"
        raise UserError(
            f"{predicted.path}: {len(i)} of its {counts[0]} timestamps within {max_difference:g} s "
            f"of the {counts[1]} of {truth.path}; expected {expected}"
        )
    frames, gaps = _frame_numbers(predicted.times[i])
    both = np.full((2, frames[-1] + 1, 4, 4), np.nan)
    both[0, frames] = predicted.world_T_camera[i]
    both[1, frames] = truth.world_T_camera[j]
    return Pairs(both[0], both[1], (counts[0] - len(i), counts[1] - len(i)), gaps)


def _other_unit(times: np.ndarray | None) -> str:
    """The unit that timestamps seem to have where a camera's would not be seconds; "" if none."""
    step = 0.0 if times is None or len(times) < 2 else float(np.median(np.diff(times)))
    return next((unit for unit, least in _UNITS.items() if step > least), "")


def _frame_numbers(times: np.ndarray) -> tuple[np.ndarray, int]:
    """Numbers [N] of frames with these times, 0 the first, and how often some are missing."""
    steps = np.diff(times)
    usual = np.median(steps)
    missing = np.where(steps > 1.5 * usual, np.maximum(np.round(steps / usual) - 1, 1), 0)
    # A gap may be of hours. Errors are of neighbours and of segments from every STEP-th frame on.
    short = np.where(missing < 2 * STEP, missing, STEP + missing % STEP).astype(int)
    return np.concatenate([[0], np.cumsum(1 + short)]), int((short > 0).sum())


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
