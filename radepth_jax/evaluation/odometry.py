"""Camera trajectories: chained from motions, aligned and compared with the truth.

On the host in float64: positions reach kilometres. A trajectory is `world_T_camera` [N, 4, 4].
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from radepth_jax.evaluation.alignment import ALIGNMENTS
from radepth_jax.evaluation.kitti_odometry_errors import AlignedErrors, aligned_errors

SNIPPET = 5  # frames (Zhou et al., CVPR 2017)


@dataclass(frozen=True)
class Score:
    """One trajectory compared with the truth; NaN where there are too few frames for a number.

    Attributes:
        frames: how many were compared.
        length: metres travelled, of the truth.
        snippet_ate: metres [S], of every snippet of consecutive frames, as published.
        snippet_rmse: metres [S], the root mean square error of the same positions.
        aligned: the errors of the whole trajectory, by the name of the alignment before them.
    """

    frames: int
    length: float
    snippet_ate: np.ndarray
    snippet_rmse: np.ndarray
    aligned: Mapping[str, AlignedErrors]

    @property
    def trajectory_ate(self) -> float:
        """Metres, the root mean square error of all positions after a similarity alignment."""
        return self.aligned["7dof"].ate

    @property
    def scale(self) -> float:
        """Metres per unit of the predicted trajectory, from that alignment."""
        return self.aligned["7dof"].scale


def motions(axisangle: np.ndarray, translation: np.ndarray) -> np.ndarray:
    """Rigid transforms of a pose network's answers, orthonormal in float64.

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
    """The trajectory that makes these motions; the world is the first camera.

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
    """`src_T_dst` of rigid `dst_T_src` [..., 4, 4], in float64, which `se3.invert` would round."""
    rotation = np.swapaxes(transforms[..., :3, :3], -1, -2)
    inverse = np.zeros_like(transforms, float)
    inverse[..., :3, :3] = rotation
    inverse[..., :3, 3] = -(rotation @ transforms[..., :3, 3:])[..., 0]
    inverse[..., 3, 3] = 1
    return inverse


def snippet_errors(
    predicted: np.ndarray, truth: np.ndarray, *, length: int = SNIPPET
) -> tuple[np.ndarray, np.ndarray]:
    """The errors of every snippet of `length` consecutive frames that has poses throughout.

    Positions are relative to the snippet's first frame; the predicted ones are scaled by
    `sum(truth * predicted) / sum(predicted^2)`. The published evaluation (Zhou et al., CVPR 2017,
    and all that follow it) calls `sqrt(sum of squared errors) / length` the absolute trajectory
    error: smaller by `sqrt(length)` than the root mean square error, which is returned beside it.

    Args:
        predicted: `world_T_camera` [N, 4, 4], up to scale; NaN where a frame has none.
        truth: `world_T_camera` [N, 4, 4] metres; NaN where a frame has none.
        length: frames of a snippet.

    Returns:
        ATE [S] as published and RMSE [S], metres; S = N - length + 1 where no pose is missing.
    """
    count = max(len(truth) - length + 1, 0)
    windows = np.arange(count)[:, None] + np.arange(length)
    known = np.isfinite(predicted).all(axis=(1, 2)) & np.isfinite(truth).all(axis=(1, 2))
    windows = windows[known[windows].all(axis=1)]
    p, t = (
        (invert(poses[windows[:, :1]]) @ poses[windows])[..., :3, 3] for poses in (predicted, truth)
    )
    squared = np.sum(p**2, axis=(1, 2))
    # A camera that never moved has no scale; any will do.
    scale = np.sum(t * p, axis=(1, 2)) / np.where(squared > 0, squared, 1)
    error = np.sqrt(np.sum((t - scale[:, None, None] * p) ** 2, axis=(1, 2)))
    return error / length, error / np.sqrt(length)


def score(predicted: np.ndarray, truth: np.ndarray) -> Score:
    """Compare a trajectory with the truth.

    Args:
        predicted: `world_T_camera` [N, 4, 4], in any world and at any scale; NaN where a frame
            has none.
        truth: `world_T_camera` [N, 4, 4] metres; NaN where a frame has none.
    """
    ate, rmse = snippet_errors(predicted, truth)
    known = np.isfinite(predicted).all(axis=(1, 2)) & np.isfinite(truth).all(axis=(1, 2))
    t = truth[known, :3, 3]
    return Score(
        frames=len(t),
        length=float(np.linalg.norm(np.diff(t, axis=0), axis=1).sum()),
        snippet_ate=ate,
        snippet_rmse=rmse,
        aligned={name: aligned_errors(predicted, truth, name) for name in ALIGNMENTS},
    )


def straight_ahead(frames: int) -> np.ndarray:
    """A yardstick: constant speed along the optical axis. `world_T_camera` [frames, 4, 4]."""
    world_T_camera = np.tile(np.eye(4), (frames, 1, 1))
    world_T_camera[:, 2, 3] = np.arange(frames)
    return world_T_camera


def standing_still(frames: int) -> np.ndarray:
    """A yardstick: no motion at all. `world_T_camera` [frames, 4, 4]."""
    return np.tile(np.eye(4), (frames, 1, 1))


YARDSTICKS = {"straight ahead": straight_ahead, "standing still": standing_still}
