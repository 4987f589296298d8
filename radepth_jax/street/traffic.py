"""What is on the road: parked cars, traffic in all lanes, people on foot and on bicycles."""

from dataclasses import dataclass, replace

import numpy as np

from radepth_jax.street.road import on_crossing
from radepth_jax.street.site import BEHIND, Site
from radepth_jax.street.solids import Colour, Motion, Solid

TYRE, GLASS = (0.03, 0.03, 0.03), (0.06, 0.07, 0.09)
LAMP, PLATE = (0.5, 0.05, 0.04), (0.7, 0.7, 0.6)
FAR = 28.0  # metres from the camera, at which wheels and lamps are left out


def parked(site: Site) -> list[Solid]:
    """Cars in the parking lanes."""
    solids: list[Solid] = []
    for lane in site.lanes.parking:
        density, z = site.uniform(0.3, 0.9), BEHIND + site.uniform(0, 6)
        while z < min(site.end, site.reached + 70.0):
            if site.chance(density) and not on_crossing(site.road, z, 5.0):
                turn = float(site.rng.normal(0, 0.03)) + np.pi * site.chance(0.5)
                d = lane + float(np.clip(site.rng.normal(0, 0.08), -0.15, 0.15))
                solids += vehicle(site, z, d, turn=turn)
            z += site.uniform(5.6, 8.0)
    return solids


def traffic(site: Site, along: np.ndarray) -> list[Solid]:
    """Vehicles in all lanes. In our own lane they are so far that we never run into them.

    `along` [T] is the camera's z.
    """
    solids: list[Solid] = []
    lanes, pace = site.lanes, max(site.reached / max(len(along) - 1, 1), 0.2)
    density = site.variety.traffic
    for lane in lanes.with_us + lanes.against_us:
        ours, ahead = lane == lanes.ego, lane in lanes.with_us
        z = site.uniform(6.0, 40.0) if ours else site.uniform(-6.0, 40.0)
        if ours and site.chance(0.3):
            continue
        first = True
        while z < min(site.end, 140):
            rate = pace * site.uniform(0.85, 1.2) if ahead else -pace * site.uniform(0.7, 1.3)
            # A vehicle's middle may be 7 m from its rear, which the camera is to see.
            closing = max(0.0, float(np.max(along - rate * np.arange(len(along)))))
            at = z + closing + 8.0 if ours and first else z
            if site.chance(0.9 * density) and at + max(rate, 0.0) * len(along) < site.end:
                d = lane + float(np.clip(site.rng.normal(0, 0.15), -0.3, 0.3))
                solids += vehicle(site, at, d, speed=rate, lorries=site.variety.lorries)
                first = False
            z = at + site.uniform(14, 90 - 60 * density)
    return solids


def people(site: Site) -> list[Solid]:
    """People on both pavements, and now and then somebody on a bicycle."""
    solids: list[Solid] = []
    lanes, often = site.lanes, site.variety.people
    for side in (-1, 1) if site.variety.built else ():
        for _ in range(site.rng.poisson(often)):
            speed = float(site.rng.choice([-0.1, 0.1, 0.0]))
            d = side * (lanes.edge(side) + site.uniform(0.5, lanes.shoulder))
            solids += person(site, site.uniform(5, 45), d, speed=speed)
    if site.variety.place != "highway" and site.chance(0.4 * often):
        edge = lanes.edge(1)
        d = max(0.6 * edge, edge - 0.6) if edge - lanes.ego > 2.2 else edge + 0.3
        speed = 0.5 * site.variety.speed + 0.05
        solids += person(site, site.uniform(8, 35), d, speed=speed, rides=True)
    return solids


@dataclass(frozen=True)
class _Part:
    """A box of a vehicle, `along` metres ahead of the vehicle's middle."""

    size: tuple[float, float, float]
    lift: float
    along: float
    colour: Colour
    grid: tuple[float, float, float, float, float] = (1.0, 1.0, 0.0, 0.0, 0.0)
    second: Colour = GLASS


def _paint(site: Site) -> Colour:
    """A colour of cars or clothes. Most cars of grey worlds are white, grey or black."""
    grey = float(site.rng.choice([0.06, 0.14, 0.3, 0.5, 0.75, 0.85])) * site.uniform(0.7, 1.15)
    hue = np.ones(3) if site.chance(site.variety.grey) else site.rng.uniform(0.1, 1.1, 3)
    r, g, b = np.clip(grey * hue, 0.02, 0.95).tolist()
    return r, g, b


def vehicle(
    site: Site, z: float, d: float, *, speed: float = 0.0, turn: float = 0.0, lorries: float = 0.0
) -> list[Solid]:
    """A vehicle whose middle is `d` m right of the centre line at `z`.

    Args:
      site: the site.
      z: where it is along the road.
      d: how many metres it is right of the centre line.
      speed: metres per frame along the road, 0 if it is parked.
      turn: the angle in radians by which it stands askew.
      lorries: the share of lorries and buses.
    """
    kind, colour = site.rng.random(), _paint(site)
    parts, width, length = (
        _lorry(site, colour) if kind < lorries else _car(site, colour, kind > 0.85)
    )
    if z < site.reached + (2 * FAR if speed < 0 else FAR):
        rear = -0.5 * length - 0.01
        gap = (width * 0.96 - 0.3, 100.0, width * 0.96 - 0.6, 100.0, -1.0)
        axles = (-0.31 * length, 0.31 * length)
        parts += [_Part((width + 0.02, 0.55, 0.55), 0.0, along, TYRE) for along in axles]
        parts.append(_Part((width * 0.96, 0.16, 0.06), 0.67, rear, LAMP, gap, colour))
        parts.append(_Part((0.5, 0.12, 0.08), 0.52, rear, PLATE))
    return [_fitted(site, part, z, d, speed, turn) for part in parts]


def _fitted(site: Site, part: _Part, z: float, d: float, speed: float, turn: float) -> Solid:
    """A part at its place. Moving parts all have the same speed, each from its own start."""
    along = -part.along if speed < 0 else part.along
    solid = site.solid(
        z + along if speed else z,
        d,
        part.size,
        part.colour,
        turn=turn,
        second=part.second,
        grid=part.grid,
        cell=1.2,
        contrast=0.22 * site.variety.texture,
        lift=part.lift,
        motion=Motion(z + along, d, speed) if speed else None,
    )
    if speed:
        return solid
    x, depth = solid.position
    ahead = (x + along * float(np.sin(solid.yaw)), depth + along * float(np.cos(solid.yaw)))
    return replace(solid, position=ahead)


def _lorry(site: Site, colour: Colour) -> tuple[list[_Part], float, float]:
    """Parts, width and length."""
    width, length = site.uniform(2.3, 2.55), site.uniform(7, 14)
    load = colour if site.chance(0.5) else (0.75, 0.75, 0.73)
    windows = (1.2, 100.0, 1.0, 0.8, 1.0)
    return (
        [
            _Part((width, site.uniform(1.7, 2.8), length - 2.6), 0.9, -1.3, load),
            _Part((width - 0.1, 0.5, length - 1.0), 0.45, -0.2, (0.08, 0.08, 0.08)),
            _Part((width - 0.05, 2.2, 2.2), 0.5, length / 2 - 1.1, colour, windows),
        ],
        width,
        length,
    )


def _car(site: Site, colour: Colour, van: bool) -> tuple[list[_Part], float, float]:
    """Parts, width and length."""
    width, length = site.uniform(1.65, 1.95), site.uniform(3.6, 4.9) + 0.6 * van
    body, top = site.uniform(0.55, 0.75) + 0.2 * van, site.uniform(0.5, 0.75) + 0.4 * van
    share = 0.86 if van else site.uniform(0.45, 0.7)
    windows = (1.3, 100.0, 1.16, 0.72 * min(top, 0.65), 0.12 + 0.3 * van)
    cabin = (0.88 * width, top, share * length)
    back = -0.5 * (0.95 - share) * length * site.uniform(0.3, 1.0)
    return (
        [
            _Part((width, body, length), 0.22, 0.0, colour),
            _Part(cabin, 0.22 + body, back, colour, windows),
        ],
        width,
        length,
    )


def person(site: Site, z: float, d: float, *, speed: float, rides: bool = False) -> list[Solid]:
    """Somebody on foot, or on a bicycle."""
    height, rise = site.uniform(1.55, 1.9), 0.25 * rides
    parts = [
        ("ellipsoid", (0.5, 0.4 * height, 0.3), _paint(site), rise + 0.46 * height),
        ("ellipsoid", (0.2, 0.24, 0.22), (0.55, 0.38, 0.3), rise + 0.86 * height),
        ("cylinder", (0.3, 0.5 * height, 0.25), _paint(site), rise),
        ("box", (0.06, 0.65, 1.6), TYRE, 0.0),
    ]
    motion = Motion(z, d, speed) if speed else None
    return [
        site.solid(z, d, size, colour, contrast=0.2, lift=lift, shape=shape, motion=motion)
        for shape, size, colour, lift in parts[: 3 + rides]
    ]
