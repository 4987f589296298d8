"""The errors of KITTI's odometry benchmark, and those of consecutive frames.

- t_rel and r_rel: Geiger, Lenz and Urtasun, "Are we ready for Autonomous Driving? The KITTI Vision
  Benchmark Suite", CVPR 2012, as the benchmark's development kit computes them.
- ATE and RPE: Sturm et al., "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012. As
  is usual for KITTI, RPE is the mean over consecutive frames.

Everything is computed on the host in float64. A trajectory is `world_T_camera` [N, 4, 4].
"""

from dataclasses import dataclass

import numpy as np

from radepth_jax.evaluation.alignment import align, has_pose

LENGTHS = tuple(range(100, 900, 100))  # metres
STEP = 10  # frames between the starts of two segments, which is one second of KITTI


@dataclass(frozen=True)
class AlignedErrors:
    """The errors of one trajectory after one alignment.

    Attributes:
        scale: metres per unit of the predicted trajectory. NaN if fewer than two frames have poses.
        ate: the root mean square error of all positions in metres. NaN if fewer than two frames
            have poses.
        segment_translation: [S], each segment's translation error divided by its length.
        segment_rotation: [S], each segment's rotation error in radians divided by its length in
            metres.
        pair_translation: [P] metres, the error between every two consecutive frames.
        pair_rotation: [P] radians, the error between every two consecutive frames.
    """

    scale: float
    ate: float
    segment_translation: np.ndarray
    segment_rotation: np.ndarray
    pair_translation: np.ndarray
    pair_rotation: np.ndarray


def aligned_errors(
    predicted: np.ndarray, truth: np.ndarray, alignment: str = "7dof"
) -> AlignedErrors:
    """Align a trajectory and compare it with the truth.

    Args:
        predicted: `world_T_camera` [N, 4, 4]. NaN means that a frame has no prediction.
        truth: `world_T_camera` [N, 4, 4] in metres. NaN means that a frame has no true pose.
        alignment: a name in `alignment.ALIGNMENTS`. It is fitted to the frames that have both.
    """
    known = has_pose(predicted) & has_pose(truth)
    if known.sum() < 2:
        none = np.zeros(0)
        return AlignedErrors(float("nan"), float("nan"), none, none, none, none)
    aligned = np.full(predicted.shape, np.nan)
    aligned[known], scale = align(predicted[known], truth[known], alignment)
    distance = (aligned[known] - truth[known])[:, :3, 3]
    first, last, lengths = segments(truth)
    both = known[first] & known[last]
    first, last, lengths = first[both], last[both], lengths[both]
    translation, rotation = relative_errors(aligned, truth, first, last)
    pairs = np.flatnonzero(known[:-1] & known[1:])
    pair_translation, pair_rotation = relative_errors(truth, aligned, pairs, pairs + 1)
    return AlignedErrors(
        scale=scale,
        ate=float(np.sqrt(np.mean(np.sum(distance**2, axis=1)))),
        segment_translation=translation / lengths,
        segment_rotation=rotation / lengths,
        pair_translation=pair_translation,
        pair_rotation=pair_rotation,
    )


def segments(truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The sub-sequences that KITTI's benchmark judges.

    They start at every tenth frame and end at the first one that is more than 100, 200, ... or
    800 m further along the true path. Frames without a true pose add nothing to the path.

    Args:
        truth: `world_T_camera` [N, 4, 4] in metres. NaN means that a frame has no pose.

    Returns:
        first [S] and last [S] frames, and the nominal lengths [S] in metres. S is 0 if the path is
        100 m or shorter.
    """
    known = np.flatnonzero(has_pose(truth))
    steps = np.zeros(len(truth))
    steps[known[1:]] = np.linalg.norm(np.diff(truth[known, :3, 3], axis=0), axis=1)
    path = np.cumsum(steps)
    first = np.repeat(np.arange(0, len(truth), STEP), len(LENGTHS))
    lengths = np.tile(np.array(LENGTHS, float), -(-len(truth) // STEP))
    last = np.searchsorted(path, path[first] + lengths, side="right")
    kept = (last < len(truth)) & np.isin(first, known)
    return first[kept], last[kept], lengths[kept]


def relative_errors(
    base: np.ndarray, other: np.ndarray, first: np.ndarray, last: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The difference of two trajectories' motions from one frame to another.

    It is `inverse(base's motion) @ other's motion`. The angle comes from the trace, as in the
    development kit, and the matrices are not made orthonormal. Which of the two is the base makes a
    difference, because KITTI's files have only seven digits: an angle of 0.05 degrees differs in
    its fourth decimal place. The development kit takes the prediction as the base. Sturm et al.
    (equation 1) take the truth.

    Args:
        base: `world_T_camera` [N, 4, 4].
        other: `world_T_camera` [N, 4, 4].
        first: [S], frames that have a pose in both.
        last: [S], frames that have a pose in both.

    Returns:
        translation [S] in the trajectories' unit and rotation [S] in radians.
    """
    motion = [np.linalg.solve(poses[first], poses[last]) for poses in (base, other)]
    error = np.linalg.solve(*motion)
    cosine = (np.trace(error[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    return np.linalg.norm(error[:, :3, 3], axis=1), np.arccos(np.clip(cosine, -1, 1))
