"""The calibration of KITTI raw, and depth maps that are projected from Velodyne scans.

The depth maps follow the protocol of published KITTI Eigen results. It takes the points with x >= 0
in the laser's frame. A point's pixel is round(projection) - 1, and its depth is the camera's z. Of
several points that share a pixel, the nearest one counts.

References:
    Geiger et al., "Vision meets robotics: The KITTI dataset", IJRR 2013, for the calibration files.
    Eigen et al., "Depth map prediction from a single image using a multi-scale deep network",
    NeurIPS 2014, for the test set.
"""

import dataclasses
import gzip
import zlib
from pathlib import Path

import numpy as np

from radepth_jax.data.text import read_lines
from radepth_jax.errors import UserError, reason

_GZIP = b"\x1f\x8b\x08"  # as the lowest bytes of a point's x, one scan in 16 million
CAMERAS = (2, 3)  # the colour cameras, left and right
VELODYNE_FILE = "calib_velo_to_cam.txt"


@dataclasses.dataclass(frozen=True)
class Calibration:
    """One recording date's calibration of the rectified colour cameras.

    Attributes:
        size: for each camera, the (h, w) of its rectified images.
        projection: for each camera, P_rect [3, 4], from rectified camera-0 coordinates to pixels.
        rect_T_velodyne: [4, 4], from the laser to rectified camera-0 coordinates. None if there is
            no `calib_velo_to_cam.txt`.
    """

    size: dict[int, tuple[int, int]]
    projection: dict[int, np.ndarray]
    rect_T_velodyne: np.ndarray | None  # noqa: N815

    def intrinsics(self, camera: int) -> np.ndarray:
        """The intrinsics [3, 3] of the rectified images."""
        return self.projection[camera][:, :3]

    def camera_T_camera(self, to: int, of: int) -> np.ndarray:
        """The transform [4, 4] from rectified camera `of` to rectified camera `to`.

        P_rect is K [I | t], and all cameras have the axes of camera 0.
        """
        transform = np.eye(4)
        for sign, camera in ((1, to), (-1, of)):
            P = self.projection[camera]
            transform[:3, 3] += sign * np.linalg.solve(P[:, :3], P[:, 3])
        return transform


def read_calibration(folder: Path) -> Calibration:
    """Read `calib_cam_to_cam.txt` and, if it is there, `calib_velo_to_cam.txt`.

    Args:
        folder: the folder of a date, such as `2011_09_26`.

    Raises:
        UserError: A file cannot be used. The message names it and says what it lacks.
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
    """Read an odometry sequence's `calib.txt`: cameras 0, 2 and 3, without sizes and laser.

    Raises:
        UserError: The file cannot be used. The message names it and says what it lacks.
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
    """A projection [3, 4] whose first three columns can be inverted."""
    P = _value(values, key, 12, path).reshape(3, 4)
    if not (P[0, 0] > 0 and P[1, 1] > 0 and P[2, 2] > 0):
        raise UserError(f"{path}: expected focal lengths above 0 in line '{key}:'")
    return P


def read_scan(path: Path) -> np.ndarray:
    """The points of a scan, gzipped or not, float32 [N, 3] in metres: x forward, y left, z up.

    Raises:
        ValueError: The scan is damaged.
    """
    data = path.read_bytes()
    if data.startswith(_GZIP):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"gzipped, and damaged ({reason(error)})") from None
    if not data or len(data) % 16:
        raise ValueError(f"{len(data)} bytes are not a scan of 16-byte points")
    return np.frombuffer(data, "<f4").reshape(-1, 4)[:, :3]


def project_scan(points: np.ndarray, calibration: Calibration, camera: int) -> np.ndarray:
    """The depth map of a scan in a rectified camera.

    Args:
        points: [N, 3] in metres, in laser coordinates.
        calibration: a calibration that has `rect_T_velodyne`.
        camera: 2 or 3.

    Returns:
        float32 [h, w], the camera's z in metres. 0 means that there is no point.
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
