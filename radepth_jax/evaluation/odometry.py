"""Camera trajectories: chained from motions, aligned and compared with the truth.

On the host in float64: positions reach kilometres. A trajectory is `world_T_camera` [N, 4, 4].
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from radepth_jax.evaluation.alignment import ALIGNMENTS, has_pose
from radepth_jax.evaluation.kitti_odometry_errors import AlignedErrors, aligned_errors

SNIPPET = 5  # frames (Zhou et al., CVPR 2017)


@dataclass(frozen=True)
class Score:
    """One trajectory compared with the truth. A number for which there are too few frames is NaN.

    Attributes:
        frames: how many frames were compared.
        length: the length of the true path in metres.
        snippet_ate: [S] metres, the ATE of every snippet of consecutive frames, as published.
        snippet_rmse: [S] metres, the root mean square error of the same positions.
        aligned: maps each alignment to the errors of the whole trajectory after it.
    """

    frames: int
    length: float
    snippet_ate: np.ndarray
    snippet_rmse: np.ndarray
    aligned: Mapping[str, AlignedErrors]


def motions(axisangle: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """The rigid transforms of a pose network's answers. They are orthonormal in float64.

    Args:
        axisangle: [N, 3] radians.
        translation: [N, 3].

    Returns:
        `later_T_earlier` [N, 4, 4].
    """
    transforms = np.tile(np.eye(4), (len(axisangle), 1, 1))
    if len(axisangle):
        transforms[:, :3, :3] = Rotation.from_rotvec(np.asarray(axisangle, float)).as_matrix()
        transforms[:, :3, 3] = translation
    return transforms


def chain(later_T_earlier: np.ndarray) -> np.ndarray:
    """The trajectory that consists of these motions. Its world is the first camera.

    `world_T_next = world_T_this @ inverse(next_T_this)`.

    Args:
        later_T_earlier: [N, 4, 4] rigid motions between consecutive frames.

    Returns:
        `world_T_camera` [N + 1, 4, 4], the first of them the identity.
    """
    world_T_camera = [np.eye(4)]
    for next_T_this in later_T_earlier:
        world_T_camera.append(world_T_camera[-1] @ invert(next_T_this))
    return np.stack(world_T_camera)


def invert(transforms: np.ndarray) -> np.ndarray:
    """The inverse of rigid transforms [..., 4, 4]. `se3.invert` would round them to float32."""
    rotation = np.swapaxes(transforms[..., :3, :3], -1, -2)
    inverse = np.zeros_like(transforms, float)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ transforms[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def snippet_errors(predicted: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The errors of every snippet of five consecutive frames that all have poses.

    Positions are relative to the snippet's first frame. The predicted ones are scaled by
    `sum(truth * predicted) / sum(predicted^2)`. The published evaluation (Zhou et al., CVPR 2017,
    and all that follow it) calls `sqrt(sum of squared errors) / 5` the absolute trajectory error
    (ATE). It is smaller by `sqrt(5)` than the root mean square error (RMSE).

    Args:
        predicted: `world_T_camera` [N, 4, 4], up to scale. NaN means that a frame has no pose.
        truth: `world_T_camera` [N, 4, 4] in metres. NaN means that a frame has no pose.

    Returns:
        ATE [S] as published and RMSE [S], in metres. If no pose is missing, S is N - 4.
    """
    count = max(len(truth) - SNIPPET + 1, 0)
    windows = np.arange(count)[:, None] + np.arange(SNIPPET)
    known = has_pose(predicted) & has_pose(truth)
    windows = windows[known[windows].all(axis=1)]
    p, t = (
        (invert(poses[windows[:, :1]]) @ poses[windows])[..., :3, 3] for poses in (predicted, truth)
    )
    squared = np.sum(p**2, axis=(1, 2))
    # If the predicted camera never moved, every scale gives the same error.
    scale = np.sum(t * p, axis=(1, 2)) / np.where(squared > 0, squared, 1)
    error = np.sqrt(np.sum((t - scale[:, None, None] * p) ** 2, axis=(1, 2)))
    return error / SNIPPET, error / np.sqrt(SNIPPET)


def score(predicted: np.ndarray, truth: np.ndarray) -> Score:
    """Compare a trajectory with the truth.

    Args:
        predicted: `world_T_camera` [N, 4, 4], in any world and at any scale. NaN means that a
            frame has no pose.
        truth: `world_T_camera` [N, 4, 4] in metres. NaN means that a frame has no pose.
    """
    ate, rmse = snippet_errors(predicted, truth)
    known = has_pose(predicted) & has_pose(truth)
    t = truth[known, :3, 3]
    return Score(
        frames=len(t),
        length=float(np.linalg.norm(np.diff(t, axis=0), axis=1).sum()),
        snippet_ate=ate,
        snippet_rmse=rmse,
        aligned={name: aligned_errors(predicted, truth, name) for name in ALIGNMENTS},
    )


def straight_ahead(frames: int) -> np.ndarray:
    """The trajectory [frames, 4, 4] of a camera with constant speed along its optical axis."""
    world_T_camera = np.tile(np.eye(4), (frames, 1, 1))
    world_T_camera[:, 2, 3] = np.arange(frames)
    return world_T_camera


def standing_still(frames: int) -> np.ndarray:
    """The trajectory [frames, 4, 4] of a camera that does not move."""
    return np.tile(np.eye(4), (frames, 1, 1))


YARDSTICKS = {"straight ahead": straight_ahead, "standing still": standing_still}
