"""Cars, vans, lorries and people on foot or on bicycles, for varied worlds."""

from dataclasses import replace

import numpy as np

from radepth_jax.street.road import Road, beside
from radepth_jax.street.solids import Colour, Motion, Solid

TYRE, GLASS, LAMP, PLATE = (
    (0.03, 0.03, 0.03),
    (0.06, 0.07, 0.09),
    (0.5, 0.05, 0.04),
    (0.7, 0.7, 0.6),
)


def paint(rng: np.random.Generator) -> Colour:
    """A car's colour. Most cars are white, grey or black."""
    grey = float(rng.choice([0.06, 0.14, 0.3, 0.5, 0.75, 0.85]) * rng.uniform(0.7, 1.15))
    hue = rng.uniform(0.1, 1.1, 3) if rng.random() < 0.35 else np.ones(3)
    colour = np.clip(grey * hue, 0.02, 0.95)
    return float(colour[0]), float(colour[1]), float(colour[2])


def vehicle(
    rng: np.random.Generator,
    road: Road,
    z: float,
    d: float,
    *,
    speed: float = 0.0,
    turn: float = 0.0,
    lorries: float = 0.0,
    simple: bool = False,
) -> list[Solid]:
    """A vehicle whose middle is `d` m right of the centre line at `z`.

    Args:
      rng: a generator.
      road: the road.
      z: where it is along the road.
      d: how many metres it is right of the centre line.
      speed: metres per frame along the road, 0 if it is parked.
      turn: the angle in radians by which it stands askew.
      lorries: the share of lorries and buses.
      simple: whether it has no wheels and lamps, for vehicles far away.
    """
    kind = rng.random()
    colour = paint(rng)
    if kind < lorries:
        parts, axles, width, length = _lorry(rng, colour)
    else:
        parts, axles, width, length = _car(rng, colour, kind > 0.85)
    if not simple:
        parts += [_part((width + 0.02, 0.55, 0.55), 0.0, at, TYRE) for at in axles]
        low = 0.22 + 0.45
        lamps = (width * 0.96, 0.16, 0.06)
        gap = (width * 0.96 - 0.3, 100.0, width * 0.96 - 0.6, 100.0, -1.0)
        rear = replace(_part(lamps, low, -0.5 * length - 0.01, LAMP, gap), second=colour)
        plate = _part((0.5, 0.12, 0.08), low - 0.15, -0.5 * length - 0.01, PLATE)
        parts += [rear, plate]
    forward = -1.0 if speed < 0 else 1.0
    out = []
    for part in parts:
        along = forward * part.position[1]
        position, heading = beside(road, z + along if speed else z, d)
        yaw = heading + turn
        if speed:
            # All parts move at the same speed, each from its own start.
            motion = Motion(z + along, d, speed)
        else:
            motion = None
            position = position + along * np.array([np.sin(yaw), np.cos(yaw)])
        at = (float(position[0]), float(position[1]))
        out.append(replace(part, position=at, yaw=yaw, seed=_seed(rng), motion=motion))
    return out


def _lorry(
    rng: np.random.Generator, colour: Colour
) -> tuple[list[Solid], list[float], float, float]:
    """Parts, places of the axles along it, width and length."""
    width, length = float(rng.uniform(2.3, 2.55)), float(rng.uniform(7, 14))
    height = float(rng.uniform(2.6, 3.7))
    load = colour if rng.random() < 0.5 else (0.75, 0.75, 0.73)
    parts = [
        _part((width, height - 0.9, length - 2.6), 0.9, -1.3, load),
        _part((width - 0.1, 0.5, length - 1.0), 0.45, -0.2, (0.08, 0.08, 0.08)),
        _part((width - 0.05, 2.2, 2.2), 0.5, length / 2 - 1.1, colour, (1.2, 100.0, 1.0, 0.8, 1)),
    ]
    axles = [-length / 2 + 1.5, length / 2 - 1.3]
    return parts, axles, width, length


def _car(
    rng: np.random.Generator, colour: Colour, van: bool
) -> tuple[list[Solid], list[float], float, float]:
    """Parts, places of the axles along it, width and length."""
    width = float(rng.uniform(1.65, 1.95))
    length = float(rng.uniform(3.6, 4.9) + 0.6 * van)
    body = float(rng.uniform(0.55, 0.75) + 0.2 * van)
    top = float(rng.uniform(0.5, 0.75) + 0.4 * van)
    share = 0.86 if van else float(rng.uniform(0.45, 0.7))
    windows = (1.3, 100.0, 1.16, 0.72 * min(top, 0.65), 0.12 + 0.3 * van)
    cabin = (0.88 * width, top, share * length)
    back = -0.5 * (0.95 - share) * length * float(rng.uniform(0.3, 1.0))
    parts = [
        _part((width, body, length), 0.22, 0.0, colour),
        _part(cabin, 0.22 + body, back, colour, windows),
    ]
    axles = [-0.31 * length, 0.31 * length]
    return parts, axles, width, length


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))


def _part(
    size: tuple[float, float, float],
    lift: float,
    along: float,
    colour: Colour,
    grid: tuple[float, float, float, float, float] = (1.0, 1.0, 0.0, 0.0, 0.0),
) -> Solid:
    """A part `along` metres ahead of the middle of the vehicle."""
    return Solid(
        (0.0, along), size, 0.0, colour, 0, GLASS, grid, cell=1.2, contrast=0.08, lift=lift
    )


def person(
    rng: np.random.Generator, road: Road, z: float, d: float, *, rides: bool, speed: float
) -> list[Solid]:
    """Somebody on foot, or on a bicycle."""
    (x, y), heading = beside(road, z, d)
    at = (float(x), float(y))
    height = float(rng.uniform(1.55, 1.9))
    coat, trousers, skin = paint(rng), paint(rng), (0.55, 0.38, 0.3)
    rise = 0.25 if rides else 0.0
    motion = Motion(z, d, speed) if speed else None
    waist = 0.5 * height
    parts = [
        Solid(at, (0.5, 0.4 * height, 0.3), 0.0, coat, 1, lift=rise + 0.46 * height),
        Solid(at, (0.2, 0.24, 0.22), 0.0, skin, 2, lift=rise + 0.86 * height),
        Solid(at, (0.3, waist, 0.25), 0.0, trousers, 3, lift=rise),
    ]
    shapes = ["ellipsoid", "ellipsoid", "cylinder"]
    if rides:
        parts.append(Solid(at, (0.06, 0.65, 1.6), 0.0, TYRE, 4))
        shapes.append("box")
    return [
        replace(part, shape=shape, yaw=heading, seed=_seed(rng), contrast=0.2, motion=motion)
        for part, shape in zip(parts, shapes, strict=True)
    ]
