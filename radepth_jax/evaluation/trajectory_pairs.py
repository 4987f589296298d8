"""Brings two trajectories from files to the same frames, by number or by the nearest time."""

from typing import NamedTuple

import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.evaluation.kitti_odometry_errors import STEP
from radepth_jax.evaluation.trajectory_files import Trajectory

MAX_DIFFERENCE = 0.02  # seconds (Sturm et al., IROS 2012)

# If the median step is above one of these numbers, the timestamps are taken to be in that unit. A
# camera that takes a picture every few seconds, minutes or weeks is less likely.
_UNITS = {"nanoseconds": 2e6, "microseconds": 2e3, "milliseconds": 2.0}


class Pairs(NamedTuple):
    """Two trajectories at the same frames.

    Attributes:
        predicted: `world_T_camera` [N, 4, 4]. A frame that is missing is NaN.
        truth: the same of the truth.
        unpaired: how many poses of the prediction, and of the truth, have no partner.
        gaps: between how many neighbouring poses with timestamps frames are missing.
    """

    predicted: np.ndarray
    truth: np.ndarray
    unpaired: tuple[int, int]
    gaps: int = 0


def pair(
    predicted: Trajectory, truth: Trajectory, *, max_difference: float = MAX_DIFFERENCE
) -> Pairs:
    """Bring two trajectories to the same frames.

    Frames in KITTI's format are paired by their numbers. Each pose with a timestamp is paired with
    the nearest one in time. If two poses have the same nearest one, the nearer of them gets it. If
    a step in time is longer than 1.5 times the median step, frames are missing in it.

    Args:
        predicted: the trajectory that is judged.
        truth: the trajectory that it is compared with.
        max_difference: by how many seconds the two timestamps of a pair may differ.

    Raises:
        UserError: The formats do not go together, fewer than two frames are in both, or the
            timestamps do not seem to be seconds and fewer than half of them are in both.
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
    """The unit that timestamps seem to have. It is "" if they may be seconds."""
    step = 0.0 if times is None or len(times) < 2 else float(np.median(np.diff(times)))
    return next((unit for unit, least in _UNITS.items() if step > least), "")


def _frame_numbers(times: np.ndarray) -> tuple[np.ndarray, int]:
    """The numbers [N] from 0 of frames with these times, and the number of gaps between them."""
    steps = np.diff(times)
    usual = np.median(steps)
    missing = np.where(steps > 1.5 * usual, np.maximum(np.round(steps / usual) - 1, 1), 0)
    # A gap may last for hours, so long ones are shortened. That changes no error: only neighbours
    # and segments that start at every STEP-th frame are compared.
    short = np.where(missing < 2 * STEP, missing, STEP + missing % STEP).astype(int)
    return np.concatenate([[0], np.cumsum(1 + short)]), int((short > 0).sum())


def associate(
    times: np.ndarray, others: np.ndarray, max_difference: float
) -> tuple[np.ndarray, np.ndarray]:
    """Find pairs of nearest timestamps.

    Args:
        times: [N] increasing seconds.
        others: [M] increasing seconds.
        max_difference: by how many seconds the timestamps of a pair may differ.

    Returns:
        Indices into `times` [P] and into `others` [P]. Both increase, and none occurs twice.
    """
    after = np.clip(np.searchsorted(others, times), 0, len(others) - 1)
    before = np.maximum(after - 1, 0)
    nearest = np.where(times - others[before] <= np.abs(others[after] - times), before, after)
    difference = np.abs(times - others[nearest])
    order = np.lexsort((difference, nearest))  # by partner, and then the nearest first
    best = order[np.unique(nearest[order], return_index=True)[1]]
    best = np.sort(best[difference[best] <= max_difference])
    return best, nearest[best]
