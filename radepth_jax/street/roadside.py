"""The sides of varied roads: objects along towns, suburbs, country roads and highways.

`edges` are the least and the largest d of the carriageways, in metres right of the centre line.
"""

from dataclasses import replace

import numpy as np

from radepth_jax.street import roadside_objects, town_objects
from radepth_jax.street.road import Road
from radepth_jax.street.solids import Solid
from radepth_jax.street.variety import Variety
from radepth_jax.street.vehicles import person, vehicle

BEHIND = -8.0  # z from which a varied world is furnished


def _trees(
    rng: np.random.Generator,
    variety: Variety,
    road: Road,
    side: int,
    nearest: float,
    spread: float,
    spacing: float,
    end: float,
) -> list[Solid]:
    """Groups of trees along one side, from `nearest` to `nearest + spread` off the centre line."""
    solids = []
    kinds = rng.choice(["round", "tall", "conifer", "bush"], 2)
    z = BEHIND + rng.uniform(0, spacing)
    scale = float(rng.uniform(0.7, 1.2))
    while z < end:
        d = side * (nearest + spread * rng.random() ** 1.5)
        at, _ = roadside_objects.spot(road, float(z), float(d))
        # Crowns near the road begin above it.
        low = 2.8 if abs(d) < nearest + 4.5 else 0.0
        kind = str(rng.choice(kinds))
        if low and kind == "conifer":
            kind = "round"
        solids += roadside_objects.tree(rng, at, variety.season, kind, scale, low)
        z += spacing * rng.uniform(0.3, 1.7) * (4.0 if rng.random() < 0.12 else 1.0)
    return solids


def _poles(rng: np.random.Generator, road: Road, side: int, off: float, end: float) -> list[Solid]:
    solids: list[Solid] = []
    if rng.random() < 0.3:
        return solids
    z, spacing = BEHIND + rng.uniform(0, 25), rng.uniform(15, 45)
    while z < end:
        solids += roadside_objects.pole(rng, road, float(z), side * off, side)
        z += spacing * rng.uniform(0.6, 1.4)
    return solids


def _people(rng: np.random.Generator, road: Road, d: float, end: float) -> list[Solid]:
    solids: list[Solid] = []
    for _ in range(rng.poisson(0.8)):
        z = float(rng.uniform(5, end))
        speed = float(rng.choice([-0.1, 0.1, 0.0]))
        solids += person(rng, road, z, d, rides=False, speed=speed)
    return solids


def _banks(
    rng: np.random.Generator, variety: Variety, road: Road, side: int, edge: float
) -> list[Solid]:
    solids = []
    z, away = -15.0, edge + float(rng.uniform(11.5, 14))
    while z < 140:
        length = float(rng.uniform(40, 80))
        solids.append(
            roadside_objects.bank(rng, road, variety.season, z + length / 2, side * away, length)
        )
        z += 0.6 * length
    return solids


def _calm(rng: np.random.Generator, solids: list[Solid]) -> list[Solid]:
    """The solids with less colour and another coarseness than `town_objects` gives them."""
    grey, contrast = rng.uniform(0.5, 0.95), rng.uniform(0.1, 0.6)
    cell = np.exp(rng.uniform(np.log(0.15), np.log(1.2)))
    out = []
    for solid in solids:
        mean = sum(solid.base) / 3
        r, g, b = (float(c + grey * (mean - c)) for c in solid.base)
        share = contrast * rng.uniform(0.5, 1.3)
        out.append(
            replace(solid, base=(r, g, b), contrast=solid.contrast * share, cell=solid.cell * cell)
        )
    return out


def _town(
    rng: np.random.Generator,
    variety: Variety,
    road: Road,
    edges: tuple[float, float],
) -> list[Solid]:
    del edges
    solids: list[Solid] = []
    end = float(rng.uniform(40, 130))
    houses: list[Solid] = []
    for side in (-1, 1):
        kerb = float(road.kerb[(side + 1) // 2])
        wall = kerb + float(road.pavement) + rng.choice([0.0, 1.5, 5.0, 10.0]) * rng.uniform(0.3, 1)
        houses += town_objects.frontage(rng, road, side, wall, end)
        houses += town_objects.backdrop(rng, road, side, wall, end)
        if rng.random() < 0.6:
            edge = kerb + 0.7
            solids += _trees(rng, variety, road, side, edge, 0.3, rng.uniform(8, 18), 70.0)
        solids += _poles(rng, road, side, kerb + 0.5, 80.0)
        solids += _people(rng, road, side * (kerb + 1.0), 45.0)
    if rng.random() < 0.6:
        houses += town_objects.end_wall(rng, road, end)
    return solids + _calm(rng, houses)


def _suburb(
    rng: np.random.Generator,
    variety: Variety,
    road: Road,
    edges: tuple[float, float],
) -> list[Solid]:
    solids: list[Solid] = []
    for side in (-1, 1):
        edge = (edges[1] if side > 0 else -edges[0]) + float(road.pavement)
        z, fence = BEHIND, rng.random() < 0.7
        gap = rng.uniform(2, 14)
        while z < 130:
            length, depth = float(rng.uniform(7, 15)), float(rng.uniform(7, 11))
            back = edge + float(rng.uniform(3, 10))
            height = float(rng.uniform(2.8, 7.0))
            middle = z + length / 2
            d = side * (back + depth / 2)
            if rng.random() < 0.85:
                solids += roadside_objects.house(rng, road, middle, d, (depth, height, length))
            if fence and z < 80:
                d = side * (edge + 0.5)
                solids.append(roadside_objects.border(rng, road, middle, d, length + 0.7 * gap))
            z += length + gap * rng.uniform(0.5, 1.5)
        solids += _trees(rng, variety, road, side, edge + 1.0, 6.0, rng.uniform(7, 16), 90.0)
        solids += _poles(rng, road, side, edge - 0.3, 90.0)
        solids += _people(rng, road, side * (edge - 0.6), 45.0)
    return solids


def _country(
    rng: np.random.Generator,
    variety: Variety,
    road: Road,
    edges: tuple[float, float],
) -> list[Solid]:
    solids: list[Solid] = []
    for side in (-1, 1):
        edge = edges[1] if side > 0 else -edges[0]
        kind = rng.choice(["open", "trees", "wood", "hedge", "bank"])
        if kind == "wood":
            solids += _trees(rng, variety, road, side, edge + 2.0, 12.0, 3.2, 110.0)
        elif kind in ("trees", "open"):
            spread = 30.0 if kind == "open" else 4.0
            near = edge + rng.uniform(1.5, 4)
            solids += _trees(rng, variety, road, side, near, spread, rng.uniform(8, 16), 150.0)
        elif kind == "bank":
            solids += _banks(rng, variety, road, side, edge)
        if kind == "hedge" or rng.random() < 0.2:
            z, d = BEHIND, side * (edge + rng.uniform(1.0, 4.0))
            while z < 110:
                solids.append(roadside_objects.border(rng, road, z + 5, d, 10.0))
                z += 10.0 if rng.random() < 0.85 else 25.0
        if rng.random() < 0.3:
            concrete = bool(rng.random() < 0.2)
            solids += roadside_objects.rail(rng, road, side * (edge + 0.7), BEHIND, 100.0, concrete)
        if rng.random() < 0.35:
            z, d = float(rng.uniform(15, 90)), side * (edge + float(rng.uniform(10, 30)))
            solids += roadside_objects.house(rng, road, z, d, (9.0, 5.0, 12.0))
        solids += _poles(rng, road, side, edge + 1.5, 120.0)
    return solids


def _highway(
    rng: np.random.Generator,
    variety: Variety,
    road: Road,
    edges: tuple[float, float],
) -> list[Solid]:
    solids: list[Solid] = []
    far = 200.0
    if rng.random() < 0.7:  # a rail between the two directions
        solids += roadside_objects.rail(rng, road, 0.0, BEHIND, far, bool(rng.random() < 0.5))
    for side in (-1, 1):
        edge = edges[1] if side > 0 else -edges[0]
        if rng.random() < 0.55:
            concrete = bool(rng.random() < 0.25)
            start = BEHIND if rng.random() < 0.6 else float(rng.uniform(5, 50))
            d = side * (edge + rng.uniform(0.4, 1.5))
            solids += roadside_objects.rail(rng, road, d, start, far, concrete)
        kind = rng.choice(["open", "trees", "wood", "wall", "bank"])
        near = edge + rng.uniform(4, 12)
        if kind == "wood":
            solids += _trees(rng, variety, road, side, near, 15.0, 4.0, 160.0)
        elif kind in ("open", "trees"):
            spread = 40.0 if kind == "open" else 8.0
            solids += _trees(rng, variety, road, side, near, spread, rng.uniform(10, 25), 260.0)
        elif kind == "bank":
            solids += _banks(rng, variety, road, side, edge + 2.0)
        else:
            z, d = BEHIND, side * (edge + rng.uniform(2.0, 6.0))
            while z < 220:
                solids.append(roadside_objects.border(rng, road, z + 10, d, 20.0))
                z += 20.0
        solids += _poles(rng, road, side, edge + 2.0, 180.0)
    if rng.random() < 0.45:
        z = float(rng.uniform(12, 110))
        both = rng.random() < 0.5
        low, high = (edges[0] - 1, edges[1] + 1) if both else (0.0, edges[1] + 1)
        solids += roadside_objects.gantry(rng, road, z, low, high)
    if rng.random() < 0.3:
        for _ in range(rng.integers(1, 6)):
            side, z = int(rng.choice([-1, 1])), float(rng.uniform(40, 200))
            d = side * (edges[1] + float(rng.uniform(20, 60)))
            size = (12.0, float(rng.uniform(4, 15)), float(rng.uniform(12, 40)))
            solids += roadside_objects.house(rng, road, z, d, size)
    return solids


def parked(rng: np.random.Generator, road: Road, parking: tuple[bool, bool]) -> list[Solid]:
    """Cars in the parking lanes."""
    solids: list[Solid] = []
    for side, lane in zip((-1, 1), parking, strict=True):
        density, z = rng.uniform(0.3, 0.95) * lane, BEHIND + rng.uniform(0, 6)
        while z < 75.0:
            if rng.random() < density and not town_objects.on_crossing(road, z, 5.0):
                d = side * (float(road.half_width) + 1.25)
                turn = float(rng.normal(0, 0.03) + np.pi * (rng.random() < 0.5))
                solids += vehicle(rng, road, z, d, turn=turn, simple=z > 35)
            z += rng.uniform(5.6, 8.0)
    return solids


def horizon(rng: np.random.Generator, variety: Variety) -> list[Solid]:
    """Hills and woods far off."""
    solids = []
    if rng.random() < 0.75:
        solids += roadside_objects.hills(rng, variety.season, float(rng.uniform(200, 600)))
    if rng.random() < 0.5:  # a wood far off
        away = float(rng.uniform(90, 250))
        for bearing in np.arange(-1.0, 1.0, 0.12):
            if rng.random() < 0.6 and abs(bearing) > 0.1:
                at = (float(away * np.sin(bearing)), float(away * np.cos(bearing)))
                size = (0.16 * away, float(rng.uniform(8, 16)), 0.1 * away)
                colour = roadside_objects.leaf(rng, variety.season)
                solids.append(
                    Solid(
                        at,
                        size,
                        float(bearing),
                        colour,
                        int(rng.integers(1 << 20)),
                        cell=2.5,
                        contrast=0.45,
                        lift=-2.0,
                        shape="ellipsoid",
                        landmark=True,
                    )
                )
    return solids


FURNISH = {"town": _town, "suburb": _suburb, "country": _country, "highway": _highway}
"""A function of (generator, variety, road, edges) for each place, which draws its solids."""
