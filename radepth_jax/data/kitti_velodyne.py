"""KITTI raw calibration, and depth maps projected from Velodyne scans.

The depth maps follow the protocol that published KITTI Eigen results use, as a fact about that
protocol: points with x >= 0 in the laser's frame, pixel = round(projection) - 1, depth = the
camera's z, the nearest point where several share a pixel.

References:
    Geiger et al., "Vision meets robotics: The KITTI dataset", IJRR 2013, for the calibration files.
    Eigen et al., "Depth map prediction from a single image using a multi-scale deep network",
    NeurIPS 2014, for the test set.
"""

import dataclasses
from pathlib import Path

import numpy as np

from radepth_jax.data.text import read_lines
from radepth_jax.errors import UserError

CAMERAS = (2, 3)  # the colour cameras, left and right
VELODYNE_FILE = "calib_velo_to_cam.txt"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """One recording date's calibration of the rectified colour cameras.

    Attributes:
        size: camera -> (h, w) of its rectified images.
        projection: camera -> P_rect [3, 4], rectified camera-0 coordinates to pixels.
        rect_T_velodyne: [4, 4], laser to rectified camera-0 coordinates; None without
            `calib_velo_to_cam.txt`.
    """

    size: dict[int, tuple[int, int]]
    projection: dict[int, np.ndarray]
    rect_T_velodyne: np.ndarray | None  # noqa: N815

    def intrinsics(self, camera: int) -> np.ndarray:
        """[3, 3] of the rectified images."""
        return self.projection[camera][:, :3]

    def camera_T_camera(self, to: int, of: int) -> np.ndarray:
        """[4, 4] from rectified camera `of` to `to`: P_rect = K [I | t], all in camera 0's axes."""
        transform = np.eye(4)
        for sign, camera in ((1, to), (-1, of)):
            P = self.projection[camera]
            transform[:3, 3] += sign * np.linalg.solve(P[:, :3], P[:, 3])
        return transform


def read_calibration(folder: Path) -> Calibration:
    """Reads `calib_cam_to_cam.txt` and, where it is there, `calib_velo_to_cam.txt`.

    Args:
        folder: a date's folder, such as `2011_09_26`.

    Raises:
        UserError: naming the file and what it lacks.
    """
    path = folder / "calib_cam_to_cam.txt"
    values = _read_values(path)
    size, projection = {}, {}
    for camera in CAMERAS:
        w, h = _value(values, f"S_rect_{camera:02d}", 2, path)
        size[camera] = (int(h), int(w))
        projection[camera] = _projection(values, f"P_rect_{camera:02d}", path)
    velodyne_path = folder / VELODYNE_FILE
    if not velodyne_path.exists():
        return Calibration(size, projection, None)
    rectification = np.eye(4)
    rectification[:3, :3] = _value(values, "R_rect_00", 9, path).reshape(3, 3)
    values = _read_values(velodyne_path)
    camera_T_velodyne = np.eye(4)
    camera_T_velodyne[:3, :3] = _value(values, "R", 9, velodyne_path).reshape(3, 3)
    camera_T_velodyne[:3, 3] = _value(values, "T", 3, velodyne_path)
    return Calibration(size, projection, rectification @ camera_T_velodyne)


def read_projections(path: Path) -> Calibration:
    """Reads an odometry sequence's `calib.txt`: cameras 0, 2 and 3, no sizes and no laser.

    Raises:
        UserError: naming the file and what it lacks.
    """
    values = _read_values(path)
    cameras = (0, *CAMERAS)
    projection = {c: _projection(values, f"P{c}", path) for c in cameras}
    return Calibration({}, projection, None)


def _read_values(path: Path) -> dict[str, str]:
    hint = "every KITTI date or sequence folder has this calibration file"
    pairs = (line.text.split(":", 1) for line in read_lines(path, hint=hint) if ":" in line.text)
    return {key.strip(): value for key, value in pairs}


def _value(values: dict[str, str], key: str, count: int, path: Path) -> np.ndarray:
    try:
        numbers = np.array([float(word) for word in values[key].split()])
    except (KeyError, ValueError):
        numbers = np.empty(0)
    if numbers.size != count or not np.isfinite(numbers).all():
        raise UserError(f"{path}: expected a line '{key}:' with {count} numbers")
    return numbers


def _projection(values: dict[str, str], key: str, path: Path) -> np.ndarray:
    """[3, 4], whose first three columns can be inverted."""
    P = _value(values, key, 12, path).reshape(3, 4)
    if not (P[0, 0] > 0 and P[1, 1] > 0 and P[2, 2] > 0):
        raise UserError(f"{path}: expected focal lengths above 0 in line '{key}:'")
    return P


def read_scan(path: Path) -> np.ndarray:
    """float32 [N, 3] points (x forward, y left, z up, metres). ValueError if it is damaged."""
    data = path.read_bytes()
    if not data or len(data) % 16:
        raise ValueError(f"{len(data)} bytes are not a scan of 16-byte points")
    return np.frombuffer(data, "<f4").reshape(-1, 4)[:, :3]


def project_scan(points: np.ndarray, calibration: Calibration, camera: int) -> np.ndarray:
    """The depth map of a scan in a rectified camera.

    Args:
        points: [N, 3], laser coordinates, metres.
        calibration: with `rect_T_velodyne`.
        camera: 2 or 3.

    Returns:
        float32 [h, w], the camera's z in metres, 0 = no point.
    """
    if calibration.rect_T_velodyne is None:
        raise ValueError("the calibration has no laser")
    h, w = calibration.size[camera]
    points = points[points[:, 0] >= 0].astype(np.float64)
    pixels_T_velodyne = calibration.projection[camera] @ calibration.rect_T_velodyne
    projected = points @ pixels_T_velodyne[:, :3].T + pixels_T_velodyne[:, 3]
    projected = projected[projected[:, 2] > 0]
    z = projected[:, 2]
    u, v = np.round(projected[:, :2] / z[:, None]).T - 1
    inside = (u >= 0) & (u < w) & (v >= 0) & (v < h)
    depth = np.full((h, w), np.inf)
    np.minimum.at(depth, (v[inside].astype(int), u[inside].astype(int)), z[inside])
    return np.where(np.isinf(depth), 0, depth).astype(np.float32)
