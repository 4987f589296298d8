"""Objects of a town's street: rows of buildings, gardens, trees, poles, parked and moving cars.

Each function draws one kind of object with a generator and returns solids. `side` is -1 for the
left of the road and 1 for the right, and `end` is the z where the street ends.
"""

import colorsys
from dataclasses import replace

import numpy as np

from radepth_jax.street.road import Road, beside
from radepth_jax.street.solids import Colour, Motion, Solid

START = -6.0  # z from which a street is furnished
FREE = 1.05  # solids stay farther from the centre line than this share of the half width


def _colour(rng: np.random.Generator, saturation: float, low: float, high: float) -> Colour:
    return colorsys.hsv_to_rgb(rng.random(), saturation * rng.random(), rng.uniform(low, high))


def _tint(rng: np.random.Generator, colour: Colour, low: float, high: float) -> Colour:
    share = float(rng.uniform(low, high))
    return colour[0] * share, colour[1] * share, colour[2] * share


def _at(road: Road, z: float, d: float) -> tuple[tuple[float, float], float]:
    position, heading = beside(road, z, d)
    return (float(position[0]), float(position[1])), heading


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))


def on_crossing(road: Road, z: float, half: float) -> bool:
    """Whether a crossing street comes within `half` metres of `z`."""
    return bool(np.any(np.abs(road.crossings[:, 0] - z) < road.crossings[:, 1] + half))


def _house(
    rng: np.random.Generator,
    road: Road,
    z: float,
    d: float,
    size: tuple[float, float, float],
    turn: float = 0.0,
) -> Solid:
    """A building of (depth across, height, length along the road). Its middle is at `d`."""
    at, heading = _at(road, z, d)
    storey, bay = rng.uniform(2.6, 3.6), rng.uniform(1.6, 4.0)
    brick = rng.random() < 0.35
    return Solid(
        at,
        size,
        heading + turn,
        _tint(rng, (0.55, 0.33, 0.26), 0.75, 1.15) if brick else _colour(rng, 0.45, 0.35, 0.9),
        _seed(rng),
        second=_colour(rng, 0.3, 0.08, 0.3) if rng.random() < 0.8 else _colour(rng, 0.3, 0.8, 1.0),
        grid=(bay, storey, bay * rng.uniform(0.3, 0.65), storey * rng.uniform(0.35, 0.6), 0.9),
        cell=rng.uniform(3.0, 6.0),
        contrast=rng.uniform(0.2, 0.4),
    )


def frontage(
    rng: np.random.Generator, road: Road, side: int, wall: float, end: float
) -> list[Solid]:
    """The row along one side: buildings at varied setbacks, gaps, hedged and fenced gardens."""
    solids = []
    z = START + rng.uniform(0, 5)
    edge = float(road.kerb[(side + 1) // 2] + road.pavement)
    openness = rng.uniform(0.05, 0.45)
    while z < end:
        length = float(rng.uniform(5, 18))
        middle = z + length / 2
        if on_crossing(road, middle, length / 2 + 0.5):
            z += 1.0
            continue
        depth, height = float(rng.uniform(6, 14)), float(rng.uniform(3.5, 16))
        kind = rng.random()
        setback = wall + float(rng.choice([0.0, 0.0, 1.0, 4.0]) * rng.uniform(0.3, 1.0))
        if kind > openness:
            turn = float(rng.normal(0, 0.04))
            solids.append(
                _house(
                    rng, road, middle, side * (setback + depth / 2), (depth, height, length), turn
                )
            )
        elif kind > 0.5 * openness:
            back = setback + rng.uniform(4, 10) + depth / 2
            solids.append(_house(rng, road, middle, side * back, (depth, height, 0.8 * length)))
            solids.append(_border(rng, road, middle, side * (edge + 0.4), length))
        elif kind > 0.25 * openness:
            solids.append(_border(rng, road, middle, side * (edge + 0.4), length))
        z += length + (rng.uniform(0.5, 4) if rng.random() < 0.4 else 0.02)
    return solids


def _border(rng: np.random.Generator, road: Road, z: float, d: float, length: float) -> Solid:
    """A hedge, a wall or a slatted fence along the pavement."""
    at, heading = _at(road, z, d)
    kind = rng.integers(3)
    if kind == 0:
        size = (0.8, float(rng.uniform(0.8, 2.2)), length)
        green = _tint(rng, (0.22, 0.36, 0.14), 0.7, 1.2)
        return Solid(at, size, heading, green, _seed(rng), cell=1.5, contrast=0.5)
    if kind == 1:
        size = (0.3, float(rng.uniform(0.7, 2.0)), length)
        stone = _colour(rng, 0.25, 0.4, 0.7)
        mortar, blocks = _tint(rng, stone, 0.7, 0.85), (0.5, 0.25, 0.46, 0.21, 0.0)
        return Solid(at, size, heading, mortar, _seed(rng), stone, blocks, 2.0, 0.35)
    size = (0.1, float(rng.uniform(0.9, 1.8)), length)
    wood, gaps = _colour(rng, 0.5, 0.4, 0.9), (0.4, 100.0, 0.12, 100.0, 0.0)
    return Solid(at, size, heading, wood, _seed(rng), (0.1, 0.1, 0.08), gaps, 2.0, 0.4)


def backdrop(
    rng: np.random.Generator, road: Road, side: int, wall: float, end: float
) -> list[Solid]:
    """A second row well behind the first, which closes most views through gaps."""
    solids = []
    z = START + rng.uniform(0, 20)
    while z < end + 10:
        length = float(rng.uniform(15, 35))
        d = side * (wall + rng.uniform(24, 45))
        size = (6.0, float(rng.uniform(6, 18)), length)
        solids.append(_house(rng, road, z + length / 2, d, size, float(rng.normal(0, 0.15))))
        z += length + rng.uniform(-2, 4)
    return solids


def end_wall(rng: np.random.Generator, road: Road, end: float) -> list[Solid]:
    """The buildings that face the end of the street."""
    solids = []
    d = -45.0
    while d < 45.0:
        length = float(rng.uniform(10, 25))
        depth = float(rng.uniform(6, 14))
        size = (length, float(rng.uniform(5, 18)), depth)
        solids.append(_house(rng, road, end + 12 + depth / 2, d + length / 2, size))
        d += length + (rng.uniform(0, 3) if abs(d + length) > 6 else 0.02)
    return solids


def pavement(
    rng: np.random.Generator, road: Road, side: int, kerb: float, end: float
) -> list[Solid]:
    """Trees, lamp posts, bins and cabinets between the kerb and the wall."""
    solids = []
    z = START + rng.uniform(0, 15)
    trees, spacing = rng.random() < 0.5, rng.uniform(7, 16)
    while z < end:
        at, heading = _at(road, z, side * (kerb + 0.55))
        kind = rng.random()
        if not on_crossing(road, z, 0.5):
            if trees and kind < 0.7:
                solids += _tree(rng, at)
            elif kind < 0.85:
                thick = float(rng.uniform(0.12, 0.26))
                solids.append(
                    Solid(
                        at,
                        (thick, float(rng.uniform(4, 8)), thick),
                        heading,
                        _colour(rng, 0.2, 0.2, 0.7),
                        _seed(rng),
                        cell=0.8,
                        contrast=0.3,
                        shape="cylinder",
                    )
                )
            else:
                size = (0.5, float(rng.uniform(0.8, 1.5)), float(rng.uniform(0.5, 1.3)))
                paint = _colour(rng, 0.8, 0.3, 0.9)
                solids.append(Solid(at, size, heading, paint, _seed(rng), cell=0.7, contrast=0.3))
        z += spacing * rng.uniform(0.6, 1.4)
    return solids


def _tree(rng: np.random.Generator, at: tuple[float, float]) -> list[Solid]:
    thick, height = float(rng.uniform(0.2, 0.45)), float(rng.uniform(2.2, 3.2))
    spread, crown = float(rng.uniform(2.0, 4.0)), float(rng.uniform(2.0, 4.0))
    bark = _tint(rng, (0.35, 0.28, 0.22), 0.7, 1.3)
    green = _tint(rng, (0.24, 0.38, 0.17), 0.7, 1.3)
    trunk = (thick, height + 1.0, thick)
    return [
        Solid(at, trunk, 0.0, bark, _seed(rng), cell=0.6, contrast=0.4, shape="cylinder"),
        Solid(
            at,
            (spread, crown, spread),
            0.0,
            green,
            _seed(rng),
            cell=1.2,
            contrast=0.5,
            lift=height,
            shape="ellipsoid",
        ),
    ]


def _car(
    rng: np.random.Generator,
    road: Road,
    z: float,
    d: float,
    *,
    turn: float = 0.0,
    speed: float = 0.0,
) -> list[Solid]:
    """A car (now and then a van) at `z`: body and cabin."""
    at, heading = _at(road, z, d)
    van = rng.random() < 0.2
    length, width = float(rng.uniform(3.7, 4.8) + 0.8 * van), float(rng.uniform(1.65, 1.9))
    body, top = (0.95, rng.uniform(1.0, 1.5)) if van else (0.82, rng.uniform(0.5, 0.65))
    paint, tyres, glass = _colour(rng, 0.9, 0.15, 0.95), (0.07, 0.07, 0.07), (0.12, 0.14, 0.17)
    skirt = (100.0, 100.0, 100.0, 0.28, 0.0)
    windows = (1.2, 100.0, 1.08, 0.7 * min(float(top), 0.6), 0.1)
    cabin = (0.86 * width, float(top), (0.85 if van else 0.55) * length)
    lower = Solid(at, (width, body, length), heading + turn, paint, _seed(rng), tyres, skirt)
    upper = Solid(at, cabin, heading + turn, paint, _seed(rng), glass, windows, lift=body)
    motion = Motion(z, d, speed) if speed else None
    return [replace(part, cell=1.0, contrast=0.22, motion=motion) for part in (lower, upper)]


def parked(rng: np.random.Generator, road: Road, side: int, end: float) -> list[Solid]:
    """Cars in the parking lane."""
    solids = []
    z = START + rng.uniform(0, 6)
    density = rng.uniform(0.3, 0.85)
    while z < end:
        if rng.random() < density and not on_crossing(road, z, 5.0):
            d = side * (float(road.half_width) + 1.15 + rng.normal(0, 0.08))
            solids += _car(rng, road, z, d, turn=float(rng.normal(0, 0.02)))
        z += rng.uniform(5.6, 7.5)
    return solids


def traffic(
    rng: np.random.Generator, road: Road, along: np.ndarray, lane: float, end: float
) -> list[Solid]:
    """Moving cars. Some worlds have one or two oncoming cars, some have one ahead at our pace."""
    solids = []
    middle = lane * float(road.half_width)
    pace = float(along[-1]) / max(len(along) - 1, 1)
    for _ in range(rng.choice([0, 1, 2], p=[0.4, 0.4, 0.2])):
        z = rng.uniform(15, min(90.0, end))
        solids += _car(rng, road, z, -middle, speed=-float(rng.uniform(0.4, 1.2)))
    if rng.random() < 0.25:
        # It is so far ahead that we never run into it, even if it is slower.
        speed = pace * float(rng.uniform(0.9, 1.15))
        room = 14.0 + max(0.0, float(np.max(along - speed * np.arange(len(along)))))
        if room + speed * len(along) < end:
            solids += _car(rng, road, room, middle, speed=speed)
    return solids
