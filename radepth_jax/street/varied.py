"""Varied worlds: towns, suburbs, country roads, highways, each with its own camera and light."""

from dataclasses import dataclass

import numpy as np

from radepth_jax.street.appearance import draw_appearance, draw_surface
from radepth_jax.street.road import NOWHERE, Road, centre_line, draw_road
from radepth_jax.street.roadside import FURNISH, horizon, parked
from radepth_jax.street.solids import Solid
from radepth_jax.street.variety import Variety, draw_variety
from radepth_jax.street.vehicles import person, vehicle
from radepth_jax.street.world import (
    MAX_BOXES,
    VARIED_ROUNDS,
    World,
    camera_rotation,
    keep_nearest,
)


@dataclass(frozen=True)
class Lanes:
    """The cross-section of a road, in metres right of its centre line."""

    bands: tuple[tuple[float, float], ...]  # the carriageways
    lines: tuple[tuple[float, bool], ...]  # d and whether it is dashed
    with_us: tuple[float, ...]  # the middles of the lanes in our direction
    against_us: tuple[float, ...]
    ego: float  # the middle of the lane we drive in
    width: float  # a lane's width


def make_varied_world(seed: tuple[int, ...], frames: int) -> World:
    """Draw the varied world of a seed, with a drive of `frames` frames through it.

    Args:
      seed: any tuple of non-negative integers. The same seed gives the same world.
      frames: the number of camera poses.
    """
    variety = draw_variety(seed)
    rng = np.random.default_rng((*seed, 0x5A13))
    town = variety.place == "town"
    share = {"town": 0.65, "suburb": 0.35}.get(variety.place, 0.0)
    parking = (bool(rng.random() < share), bool(rng.random() < share))
    road = draw_road(rng, parking)
    road, lanes = _lay_out(rng, variety, road)
    along = variety.speed * np.arange(frames) * (1.0 + 0.1 * rng.uniform(-1, 1))
    world_T_camera = _drive(rng, variety, road, lanes.ego, along)
    low = min(low for low, _ in lanes.bands)
    high = max(high for _, high in lanes.bands)
    solids = FURNISH[variety.place](rng, variety, road, (low, high))
    solids = _clear(road, solids, lanes)
    solids += parked(rng, road, parking)
    if not town or rng.random() < 0.3:
        solids += horizon(rng, variety)
    if rng.random() < 0.9:
        solids += _traffic(rng, variety, road, lanes, along)
    solids = _fitting(solids, world_T_camera[0, [0, 2], 3])
    shoulder = float(road.pavement) if variety.place in ("town", "suburb") else rng.uniform(0, 3.5)
    track = (lanes.ego, lanes.width)
    surface = draw_surface(rng, variety, list(lanes.bands), list(lanes.lines), track, shoulder)
    appearance = draw_appearance(rng, surface)
    return World(road, tuple(solids), world_T_camera, variety, appearance)


def _lay_out(rng: np.random.Generator, variety: Variety, road: Road) -> tuple[Road, Lanes]:
    if variety.place in ("town", "suburb"):
        half = float(road.half_width)
        left, right = (float(k) for k in road.kerb)
        lines = [(0.0, bool(rng.random() < 0.8))] if rng.random() < 0.7 else []
        if rng.random() < 0.4:
            lines += [(-half + 0.1, False), (half - 0.1, False)]
        if rng.random() < 0.4:
            road = road._replace(crossings=np.full_like(road.crossings, (NOWHERE, 1.0)))
        ego = 0.5 * half
        return road, Lanes(((-left, right),), tuple(lines), (ego,), (-ego,), ego, half)
    none = np.full_like(road.crossings, (NOWHERE, 1.0))
    bends = np.float32(rng.uniform(0, 0.9) if variety.place == "country" else rng.uniform(0, 0.3))
    road = road._replace(crossings=none, amplitude=road.amplitude * bends)
    if variety.place == "highway":
        longer = np.float32(rng.uniform(2, 5))
        road = road._replace(amplitude=road.amplitude * longer, wavenumber=road.wavenumber / longer)
    width = float(rng.uniform(2.7, 3.6) if variety.place == "country" else rng.uniform(3.3, 3.8))
    count = 1 if variety.place == "country" else int(rng.integers(2, 5))
    divided = variety.place == "highway" and rng.random() < 0.8
    inner = float(rng.uniform(0.6, 5.0)) if divided else 0.0
    verge = float(rng.uniform(0.1, 0.5) if variety.place == "country" else rng.uniform(0.4, 3.0))
    verge = verge if rng.random() < 0.8 else 0.15
    near, far = inner + 0.5 * divided, inner + 0.5 * divided + count * width
    middles = [near + (i + 0.5) * width for i in range(count)]
    lines = [(s * (near + i * width), True) for s in (-1, 1) for i in range(1, count)]
    if variety.place == "highway" or rng.random() < 0.7:
        lines += [(-far, False), (far, False)]
    if divided:
        lines += [(-near, False), (near, False)]
    else:
        lines += [(0.0, True)] if rng.random() < 0.6 else [(-0.12, False), (0.12, False)]
    bands: tuple[tuple[float, float], ...] = ((-far - verge, far + verge),)
    if divided:
        bands = ((-far - verge, -inner), (inner, far + verge))
    road = road._replace(
        half_width=np.float32(far), kerb=np.full(2, far + verge, np.float32), pavement=np.float32(0)
    )
    ego = middles[int(rng.integers(count))]
    against = tuple(-m for m in middles)
    return road, Lanes(bands, tuple(lines), tuple(middles), against, ego, width)


def _drive(
    rng: np.random.Generator, variety: Variety, road: Road, lane: float, along: np.ndarray
) -> np.ndarray:
    """Camera poses [T, 4, 4] along the lane."""
    lane = lane + float(rng.normal(0, 0.15))
    x, slope = centre_line(road, along)
    t = np.arange(len(along))

    def wave(size: float, slowest: float) -> np.ndarray:
        return size * np.sin(2 * np.pi * t / rng.uniform(4, slowest) + rng.uniform(0, 2 * np.pi))

    yaw = np.arctan(slope) + np.radians(wave(variety.swing, 12) + rng.normal(0, 1.0))
    pitch = np.radians(variety.pitch + wave(variety.bounce, 9))
    roll = np.radians(variety.roll + wave(0.5 * variety.bounce, 9))
    lift = wave(0.02, 9)
    poses = np.tile(np.eye(4), (len(along), 1, 1))
    for i in range(len(along)):
        poses[i, :3, :3] = camera_rotation(yaw[i], pitch[i], roll[i])
    heading = np.arctan(slope)
    where = (x + lane * np.cos(heading), -variety.height + lift, along - lane * np.sin(heading))
    poses[:, :3, 3] = np.stack(where, -1)
    return poses


def _clear(road: Road, solids: list[Solid], lanes: Lanes) -> list[Solid]:
    """The solids that do not stand on the carriageways or around them."""
    if not solids:
        return solids
    points = np.stack([s.corners() for s in solids])  # [N, 8, 2]
    points = np.concatenate([points, np.array([s.position for s in solids])[:, None]], 1)
    # This is exact to first order in the bends, which is enough beside such straight roads.
    x, slope = centre_line(road, points[..., 1])
    d = (points[..., 0] - x) / np.sqrt(1.0 + slope * slope)
    on = np.zeros(len(solids), bool)
    for low, high in lanes.bands:
        on |= ((d > low - 0.05) & (d < high + 0.05)).any(1)
        on |= (d.min(1) < low) & (d.max(1) > high)
    return [s for s, bad in zip(solids, on, strict=True) if s.lift > 2.6 or not bad]


def _fitting(solids: list[Solid], eye: np.ndarray) -> list[Solid]:
    """The nearest solids, as many as the renderer takes. All frames of the drive have the same."""
    nearest = sorted(solids, key=lambda s: float(np.hypot(*(np.array(s.position) - eye))))
    boxes = keep_nearest([s for s in nearest if s.shape == "box"], MAX_BOXES)
    return boxes + keep_nearest([s for s in nearest if s.shape != "box"], VARIED_ROUNDS)


def _traffic(
    rng: np.random.Generator, variety: Variety, road: Road, lanes: Lanes, along: np.ndarray
) -> list[Solid]:
    """Vehicles in all lanes. In our own lane they are so far that we never run into them."""
    solids: list[Solid] = []
    pace = variety.speed
    lorries = float(rng.choice([0.0, 0.1, 0.35]))
    dense = float(rng.uniform(0.0, 1.0))
    for lane in lanes.with_us + lanes.against_us:
        ours, ahead = lane == lanes.ego, lane in lanes.with_us
        z = float(rng.uniform(6.0, 40.0) if ours else rng.uniform(-6.0, 40.0))
        if ours and rng.random() < 0.3:
            continue
        first = True
        while z < 140:
            rate = pace * float(rng.uniform(0.85, 1.2)) if ahead else -pace * rng.uniform(0.7, 1.3)
            rate = rate if abs(rate) > 0.05 else 0.05
            closing = max(0.0, float(np.max(along - rate * np.arange(len(along)))))
            # A vehicle's middle may be 7 m from its rear, which the camera is to see.
            at = z + closing + 8.0 if ours and first else z
            if rng.random() < 0.3 + 0.6 * dense:
                d = lane + float(rng.normal(0, 0.15))
                solids += vehicle(rng, road, at, d, speed=rate, lorries=lorries, simple=at > 45)
            z = at + float(rng.uniform(14, 30 + 50 * (1 - dense)))
            first = False
    if variety.place != "highway" and rng.random() < 0.3:
        edge = max(high for _, high in lanes.bands)
        d = max(0.6 * edge, edge - 0.6) if edge - lanes.ego > 2.2 else edge + 0.3
        z = float(rng.uniform(8, 35))
        solids += person(rng, road, z, d, rides=True, speed=float(0.5 * pace + 0.05))
    return solids
