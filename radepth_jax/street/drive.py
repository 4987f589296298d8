"""The drive through a world: where the camera is at each frame, and which way it looks."""

import numpy as np

from radepth_jax.street.road import Lanes, Road, beside
from radepth_jax.street.variety import Variety


def draw_drive(
    rng: np.random.Generator, variety: Variety, road: Road, lanes: Lanes, frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Camera poses world_T_camera [T, 4, 4] along our lane, and its z on the centre line [T]."""
    along = _progress(rng, variety, frames)
    t = np.arange(frames)

    def wave(size: float, slowest: float = 9.0) -> np.ndarray:
        return size * np.sin(2 * np.pi * t / rng.uniform(4, slowest) + rng.uniform(0, 2 * np.pi))

    yaw = np.radians(variety.yaw + wave(variety.swing, 12))
    pitch = np.radians(variety.pitch + wave(variety.bounce))
    roll = np.radians(variety.roll + wave(0.5 * variety.bounce))
    height = variety.height + wave(0.015)
    k, phase = 2 * np.pi / rng.uniform(20, 40), rng.uniform(0, 2 * np.pi)

    def place(z: float) -> np.ndarray:
        d = lanes.ego + variety.weave * np.sin(k * z + phase)
        return np.array(beside(road, z, float(d))[0])

    poses = np.tile(np.eye(4), (frames, 1, 1))
    for i, z in enumerate(along.tolist()):
        ahead = place(z + 0.05) - place(z - 0.05)
        heading = float(np.arctan2(*ahead))
        poses[i, :3, :3] = camera_rotation(heading + yaw[i], pitch[i], roll[i])
        poses[i, [0, 2], 3] = place(z)
        poses[i, 1, 3] = -height[i]
    return poses, along


def _progress(rng: np.random.Generator, variety: Variety, frames: int) -> np.ndarray:
    """How far along the centre line the camera is, [T]. It may stop for 1 to 3 frames."""
    t = np.arange(frames)
    wave = np.sin(2 * np.pi * t / rng.uniform(15, 40) + rng.uniform(0, 2 * np.pi))
    speed = variety.speed * (1.0 + variety.ripple * wave)
    if variety.stops:
        stop = rng.integers(frames)
        speed = speed * np.clip(np.abs(t - stop) / 4.0 - rng.uniform(0.0, 0.4), 0.0, 1.0)
    return np.concatenate([[0.0], np.cumsum(speed[:-1])])


def camera_rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation world_R_camera [3, 3]: turned right, nodded down and rolled, in radians."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, -pitch, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z
