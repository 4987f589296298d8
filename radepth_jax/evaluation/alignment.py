"""Brings a predicted trajectory into the truth's world, in the ways that the field reports.

Everything is computed on the host in float64. A trajectory is `world_T_camera` [N, 4, 4].
"""

import numpy as np

ALIGNMENTS = {
    "origin": "the first cameras are brought together",
    "scale": "as origin, and one factor by least squares",
    "6dof": "the rigid motion that brings all positions closest",
    "7dof": "the similarity that brings all positions closest",
}
"""What may be fitted before the comparison. A monocular trajectory needs `scale` or `7dof`."""


def has_pose(trajectory: np.ndarray) -> np.ndarray:
    """Which frames of a trajectory [N, 4, 4] have a pose, as bool [N]. The others are NaN."""
    return np.isfinite(trajectory).all(axis=(1, 2))


def align(
    predicted: np.ndarray, truth: np.ndarray, alignment: str = "7dof"
) -> tuple[np.ndarray, float]:
    """Bring a trajectory into the truth's world.

    Args:
        predicted: `world_T_camera` [N, 4, 4], N > 0, finite.
        truth: `world_T_camera` [N, 4, 4] metres, finite.
        alignment: a name in `ALIGNMENTS`.

    Returns:
        The aligned `world_T_camera` [N, 4, 4], and the factor that its positions were scaled by, in
        metres per unit of the prediction. The factor is 0 if the predicted camera never moved.
    """
    if alignment in ("origin", "scale"):
        relative = np.linalg.solve(predicted[:1], predicted)  # first_T_camera
        scale = 1.0
        if alignment == "scale":
            p, t = relative[:, :3, 3], np.linalg.solve(truth[:1], truth)[:, :3, 3]
            squared = float(np.sum(p**2))
            scale = float(np.sum(t * p)) / squared if squared else 0.0
        relative[:, :3, 3] *= scale
        return truth[0] @ relative, scale
    scale, R, offset = umeyama(
        predicted[:, :3, 3], truth[:, :3, 3], with_scale={"6dof": False, "7dof": True}[alignment]
    )
    aligned = predicted.copy()
    aligned[:, :3, :3] = R @ predicted[:, :3, :3]
    aligned[:, :3, 3] = scale * predicted[:, :3, 3] @ R.T + offset
    return aligned, scale


def umeyama(
    source: np.ndarray, target: np.ndarray, *, with_scale: bool = True
) -> tuple[float, np.ndarray, np.ndarray]:
    """The similarity that brings points closest to others: `target ~ scale R source + t`.

    Umeyama, "Least-squares estimation of transformation parameters between two point patterns",
    PAMI 1991, equations 40-42.

    Args:
        source: [N, 3].
        target: [N, 3].
        with_scale: whether the scale is fitted too. Otherwise it is 1.

    Returns:
        scale, R [3, 3] and t [3]. A fitted scale is 0 if all source points are the same.
    """
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    centred = source - source_mean
    variance = np.mean(np.sum(centred**2, axis=1))
    if variance == 0:
        scale = 0.0 if with_scale else 1.0
        return scale, np.eye(3), target_mean - scale * source_mean
    U, singular, Vt = np.linalg.svd((target - target_mean).T @ centred / len(source))
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(U) * np.linalg.det(Vt))])
    R = (U * signs) @ Vt
    scale = float(singular @ signs / variance) if with_scale else 1.0
    return scale, R, target_mean - scale * R @ source_mean
