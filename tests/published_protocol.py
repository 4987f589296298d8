"""The field's evaluation in plain NumPy, float64, written from its published description.

Nothing here uses the package: each image is handled at its own size, without canvases or masks of
JAX's.
"""

from pathlib import Path

import numpy as np


def numpy_metrics(predicted, truth, protocol):
    """Eigen's metrics with Garg's crop and median scaling, on arrays of the true size."""
    mask = (truth > protocol.min_depth) & (truth < protocol.max_depth)
    if protocol.crop == "garg":
        h, w = truth.shape
        inside = np.zeros_like(mask)
        inside[
            int(0.40810811 * h) : int(0.99189189 * h), int(0.03594771 * w) : int(0.96405229 * w)
        ] = True
        mask &= inside
    p, t = predicted[mask].astype(np.float64), truth[mask].astype(np.float64)
    if protocol.scaling == "median":
        p = p * (np.median(t) / np.median(p))
    p = np.clip(p, protocol.min_depth, protocol.max_depth)
    ratio = np.maximum(p / t, t / p)
    return {
        "abs_rel": np.mean(np.abs(p - t) / t),
        "sq_rel": np.mean((p - t) ** 2 / t),
        "rmse": np.sqrt(np.mean((p - t) ** 2)),
        "rmse_log": np.sqrt(np.mean(np.log(p / t) ** 2)),
        "d1": np.mean(ratio < 1.25),
        "d2": np.mean(ratio < 1.25**2),
        "d3": np.mean(ratio < 1.25**3),
    }


def bilinear(image, size):
    """`image` [h, w] resized to `size`: half-pixel centres, clamped borders, no antialiasing."""

    def axis(n_in, n_out):
        centre = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
        low = np.minimum(np.floor(centre).astype(int), n_in - 2)
        return low, centre - low

    (y, fy), (x, fx) = axis(image.shape[0], size[0]), axis(image.shape[1], size[1])
    image = np.asarray(image, np.float64)
    rows = image[y] * (1 - fy)[:, None] + image[y + 1] * fy[:, None]
    return rows[:, x] * (1 - fx) + rows[:, x + 1] * fx


def numbers(path: Path, key: str) -> np.ndarray:
    """The numbers after `key:` in a KITTI calibration file."""
    for line in path.read_text().splitlines():
        if line.startswith(f"{key}:"):
            return np.array(line.split(":", 1)[1].split(), np.float64)
    raise KeyError(key)


def velodyne_depth(date: Path, scan: Path, camera: int) -> np.ndarray:
    """A KITTI scan as a depth map [h, w]: round - 1, the nearest of a pixel's points, camera z."""
    cameras, laser = date / "calib_cam_to_cam.txt", date / "calib_velo_to_cam.txt"
    w, h = numbers(cameras, f"S_rect_{camera:02d}").astype(int)
    velodyne_to_camera = np.vstack(
        [
            np.column_stack([numbers(laser, "R").reshape(3, 3), numbers(laser, "T")]),
            [0, 0, 0, 1],
        ]
    )
    rectify = np.eye(4)
    rectify[:3, :3] = numbers(cameras, "R_rect_00").reshape(3, 3)
    project = numbers(cameras, f"P_rect_{camera:02d}").reshape(3, 4) @ rectify @ velodyne_to_camera
    points = np.fromfile(scan, np.float32).reshape(-1, 4).astype(np.float64)
    points = points[points[:, 0] >= 0]
    points[:, 3] = 1  # was the reflectance
    x, y, z = project @ points.T
    front = z > 0
    x, y, z = x[front], y[front], z[front]
    column, row = np.rint(x / z).astype(int) - 1, np.rint(y / z).astype(int) - 1
    inside = (column >= 0) & (row >= 0) & (column < w) & (row < h)
    column, row, z = column[inside], row[inside], z[inside]
    depth = np.zeros((h, w))
    farthest_first = np.argsort(-z, kind="stable")  # so that the nearest is written last
    depth[row[farthest_first], column[farthest_first]] = z[farthest_first]
    return depth
