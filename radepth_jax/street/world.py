"""Street worlds: a road, the objects along it and on it, and the camera's path through it.

Everything is drawn from one seed with NumPy. Nothing depends on the machine or the renderer.
"""

from dataclasses import dataclass, replace

import numpy as np

from radepth_jax.street import town_objects
from radepth_jax.street.appearance import Appearance
from radepth_jax.street.road import Road, beside, centre_line, clearance, draw_road
from radepth_jax.street.solids import Motion, Solid, Solids, pack
from radepth_jax.street.variety import Variety

CAMERA_HEIGHT = 1.65  # metres, as KITTI's
CAMERA_PITCH = 0.021  # radians down, which puts the horizon at 0.46 H, as KITTI's
LANE = 0.5  # the ego's and the other cars' lane centre, as a share of the road's half width
HEADROOM = 2.0  # metres; solids above this height (crowns of trees) may reach over the road
MAX_BOXES, MAX_ROUNDS = 160, 64
VARIED_ROUNDS = 94  # a varied world has hills and more trees


@dataclass(frozen=True)
class World:
    """A street and a drive through it."""

    road: Road
    solids: tuple[Solid, ...]
    world_T_camera: np.ndarray  # noqa: N815  float64 [T, 4, 4]
    variety: Variety | None = None  # only of a varied world
    appearance: Appearance | None = None  # only of a varied world


def street_intrinsics(size: tuple[int, int]) -> np.ndarray:
    """The street camera's intrinsics [3, 3] for images of `size` (h, w), about as KITTI's."""
    h, w = size
    return np.array(
        [[0.58 * w, 0, 0.5 * w - 0.5], [0, 1.92 * h, 0.5 * h - 0.5], [0, 0, 1]], np.float32
    )


def intrinsics(world: World, size: tuple[int, int]) -> np.ndarray:
    """The intrinsics [3, 3] of a world's camera for images of `size` (h, w)."""
    return world.variety.intrinsics(size) if world.variety else street_intrinsics(size)


def make_world(seed: tuple[int, ...], frames: int) -> World:
    """Draw the world of a seed, with a drive of `frames` frames through it.

    Args:
      seed: any tuple of non-negative integers. The same seed gives the same world.
      frames: the number of camera poses. They are 0.3 to 1.2 m apart, and less if the car brakes.
    """
    rng = np.random.default_rng(seed)
    parking = (bool(rng.random() < 0.6), bool(rng.random() < 0.6))
    road = draw_road(rng, parking)
    along = _progress(rng, frames)
    world_T_camera = _drive(rng, road, along)
    # Some streets end soon (a T-junction), and most run on.
    end = float(along[-1] + (rng.uniform(15, 45) if rng.random() < 0.4 else rng.uniform(45, 110)))

    solids: list[Solid] = []
    for side in (-1, 1):
        kerb = float(road.kerb[(side + 1) // 2])
        wall = kerb + float(road.pavement) + rng.choice([0.0, 1.5, 5.0, 10.0]) * rng.uniform(0.3, 1)
        solids += town_objects.frontage(rng, road, side, wall, end)
        solids += town_objects.backdrop(rng, road, side, wall, end)
        solids += town_objects.pavement(rng, road, side, kerb, end)
        if parking[(side + 1) // 2]:
            solids += town_objects.parked(rng, road, side, end)
    free = town_objects.FREE * float(road.half_width)
    solids = [s for s in solids if s.lift > HEADROOM or clearance(road, s.corners()).min() > free]
    solids += town_objects.end_wall(rng, road, end)
    solids += town_objects.traffic(rng, road, along, LANE, end)
    return World(road, tuple(solids), world_T_camera)


def scene(world: World, frame: int) -> tuple[Solids, np.ndarray]:
    """The solids at `frame`, with the moving ones in their places, and which of them move.

    Returns:
      Solids, padded to MAX_BOXES boxes, followed by MAX_ROUNDS cylinders and ellipsoids (in a
      varied world VARIED_ROUNDS), and bool [N]. If there are more, the farthest are left out.
      Landmarks are never left out before others.
    """
    eye = world.world_T_camera[frame][[0, 2], 3]
    placed = [_moved(world.road, s, s.motion, frame) if s.motion else s for s in world.solids]
    placed.sort(key=lambda s: float(np.hypot(*(np.array(s.position) - eye))))
    most = VARIED_ROUNDS if world.variety else MAX_ROUNDS
    boxes = keep_nearest([s for s in placed if s.shape == "box"], MAX_BOXES)
    rounds = keep_nearest([s for s in placed if s.shape != "box"], most)
    moving = np.zeros(MAX_BOXES + most, bool)
    moving[: len(boxes)] = [s.motion is not None for s in boxes]
    moving[MAX_BOXES : MAX_BOXES + len(rounds)] = [s.motion is not None for s in rounds]
    packed = zip(pack(boxes, MAX_BOXES), pack(rounds, most), strict=True)
    return Solids(*(np.concatenate(pair) for pair in packed)), moving


def keep_nearest(ordered: list[Solid], count: int) -> list[Solid]:
    """The first `count` solids. Landmarks are preferred to others."""
    landmarks = [s for s in ordered if s.landmark]
    others = [s for s in ordered if not s.landmark]
    return (others[: max(count - len(landmarks), 0)] + landmarks)[:count]


def _moved(road: Road, solid: Solid, motion: Motion, frame: int) -> Solid:
    # It moves along z at a constant rate, which is about constant speed on these gentle bends.
    position, heading = beside(road, motion.start + motion.speed * frame, motion.lane)
    return replace(solid, position=(float(position[0]), float(position[1])), yaw=heading)


def _progress(rng: np.random.Generator, frames: int) -> np.ndarray:
    """The camera's z [T]. It advances 0.3 to 1.2 m a frame, and sometimes stops for 1-3 frames."""
    t = np.arange(frames)
    speed = rng.uniform(0.5, 0.95) + rng.uniform(0.05, 0.3) * np.sin(
        2 * np.pi * t / rng.uniform(15, 40) + rng.uniform(0, 2 * np.pi)
    )
    speed = np.clip(speed, 0.3, 1.2)
    if rng.random() < 0.2:
        stop = rng.integers(frames)
        brake = np.clip(np.abs(t - stop) / 4.0 - rng.uniform(0.0, 0.4), 0.0, 1.0)
        speed = speed * brake
    return np.concatenate([[0.0], np.cumsum(speed[:-1])])


def _drive(rng: np.random.Generator, road: Road, along: np.ndarray) -> np.ndarray:
    """Camera poses [T, 4, 4] along the right lane, which weave a little and bounce."""
    sway, wavelength, phase = rng.uniform(0, 0.4), rng.uniform(20, 40), rng.uniform(0, 2 * np.pi)

    def path(z: np.ndarray) -> np.ndarray:
        x, _ = centre_line(road, z)
        lane = LANE * road.half_width
        return x + lane + sway * np.sin(2 * np.pi * z / wavelength + phase)

    yaw = np.arctan((path(along + 0.05) - path(along - 0.05)) / 0.1)
    t = np.arange(len(along))

    def bounce(size: float) -> np.ndarray:
        return size * np.sin(2 * np.pi * t / rng.uniform(4, 9) + rng.uniform(0, 2 * np.pi))

    pitch, roll, lift = CAMERA_PITCH + bounce(0.004), bounce(0.004), bounce(0.015)
    poses = np.tile(np.eye(4), (len(along), 1, 1))
    for i in range(len(along)):
        poses[i, :3, :3] = camera_rotation(yaw[i], pitch[i], roll[i])
    poses[:, :3, 3] = np.stack([path(along), -CAMERA_HEIGHT + lift, along], -1)
    return poses


def camera_rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """The rotation world_R_camera [3, 3]: turned right, nodded down and rolled, in radians."""
    return _about_y(yaw) @ _about_x(-pitch) @ _about_z(roll)


def _about_x(a: float) -> np.ndarray:
    return np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])


def _about_y(a: float) -> np.ndarray:
    return np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])


def _about_z(a: float) -> np.ndarray:
    return np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
