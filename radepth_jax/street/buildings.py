"""Buildings: single houses, and the rows of them along a street.

`side` is -1 for the left of the road and 1 for the right.
"""

import colorsys

from radepth_jax.street.furniture import border
from radepth_jax.street.road import on_crossing
from radepth_jax.street.site import BEHIND, Site
from radepth_jax.street.solids import Solid

WALLS = (
    (0.85, 0.82, 0.76),
    (0.75, 0.68, 0.52),
    (0.5, 0.27, 0.2),
    (0.6, 0.6, 0.6),
    (0.8, 0.6, 0.45),
)
ROOFS = ((0.4, 0.18, 0.12), (0.2, 0.2, 0.22), (0.3, 0.24, 0.2))


def house(
    site: Site, z: float, d: float, size: tuple[float, float, float], *, roof: bool = True
) -> list[Solid]:
    """A house of (depth across, height, length along the road). Low ones may have a roof."""
    rng, turn = site.rng, float(site.rng.normal(0, 0.05))
    wall = site.tint(WALLS[rng.integers(len(WALLS))], 0.3)
    if site.chance(0.5):
        wall = colorsys.hsv_to_rgb(rng.random(), 0.45 * rng.random(), site.uniform(0.35, 0.9))
    mean, grey = sum(wall) / 3, site.variety.grey
    r, g, b = (c + grey * (mean - c) for c in wall)
    storey, bay = site.uniform(2.6, 3.6), site.uniform(1.6, 4.3)
    pane = site.uniform(0.05, 0.25) if site.chance(0.8) else site.uniform(0.8, 1.0)
    out = [
        site.solid(
            z,
            d,
            size,
            (r, g, b),
            turn=turn,
            second=(pane, pane, pane),
            grid=(bay, storey, bay * site.uniform(0.3, 0.6), storey * site.uniform(0.35, 0.6), 0.9),
            cell=site.spread(0.7, 6.0),
            contrast=site.variety.texture * site.uniform(0.2, 0.4),
        )
    ]
    if roof and size[1] < 9 and site.chance(0.6) and site.is_free(out[0]):
        tiles = site.tint(ROOFS[rng.integers(len(ROOFS))])
        eaves = (size[0] + 0.6, 0.25, size[2] + 0.6)
        out.append(site.solid(z, d, eaves, tiles, turn=turn, contrast=0.15, lift=size[1]))
        top = (0.65 * size[0], site.uniform(1.2, 2.2), 0.85 * size[2])
        rows = (100.0, 0.35, 100.0, 0.04, 0.0)
        lift, dark = size[1] + 0.2, site.tint((0.1, 0.08, 0.07))
        look = dict(second=dark, grid=rows, cell=1.0, contrast=0.15)
        out.append(site.solid(z, d, top, tiles, turn=turn, lift=lift, **look))
    return out


def frontage(site: Site, side: int) -> list[Solid]:
    """The row along one side: buildings at varied setbacks, gaps, hedged and fenced gardens."""
    solids: list[Solid] = []
    town = site.variety.place == "town"
    openness = site.uniform(0.05, 0.45) if town else site.uniform(0.6, 0.9)
    tallest = 16.0 if town else 7.0
    edge = site.lanes.edge(side) + site.lanes.shoulder
    wall = edge + float(site.rng.choice([0.0, 1.5, 5.0, 10.0])) * site.uniform(0.3, 1)
    wall = wall if town else edge + site.uniform(1, 5)
    z = BEHIND + site.uniform(0, 5)
    while z < site.end:
        length, depth = site.uniform(5, 18 if town else 14), site.uniform(6, 14 if town else 11)
        middle = z + length / 2
        if on_crossing(site.road, middle, length / 2 + 0.5):
            z += 1.0
            continue
        height, kind = site.uniform(3.0, tallest), site.rng.random()
        setback = wall + float(site.rng.choice([0.0, 0.0, 1.0, 4.0])) * site.uniform(0.3, 1.0)
        if kind > openness:
            solids += house(site, middle, side * (setback + depth / 2), (depth, height, length))
        elif kind > 0.5 * openness:
            back = side * (setback + site.uniform(2, 8) + depth / 2)
            solids += house(site, middle, back, (depth, height, 0.8 * length))
        if 0.25 * openness < kind <= openness:
            solids.append(border(site, middle, side * (edge + 0.5), length))
        gap = site.uniform(0.5, 4) if site.chance(0.4) else 0.02
        z += length + (gap if town else site.uniform(1, 10))
    return solids


def backdrop(site: Site, side: int) -> list[Solid]:
    """A second row well behind the first, which closes most views through gaps."""
    solids: list[Solid] = []
    wall = site.lanes.edge(side) + site.lanes.shoulder
    z = BEHIND + site.uniform(0, 20)
    while z < site.end + 10:
        length = site.uniform(15, 35)
        size = (6.0, site.uniform(6, 18), length)
        away = wall + site.uniform(28, 50)
        solids += house(site, z + length / 2, side * away, size, roof=False)
        z += length + site.uniform(-2, 4)
    return solids


def end_wall(site: Site) -> list[Solid]:
    """The buildings that face the end of the street."""
    solids: list[Solid] = []
    d = -45.0
    while d < 45.0:
        length, depth = site.uniform(10, 25), site.uniform(6, 14)
        size = (length, site.uniform(5, 18), depth)
        solids += house(site, site.end + 12 + depth / 2, d + length / 2, size, roof=False)
        d += length + (site.uniform(0, 3) if abs(d + length) > 6 else 0.02)
    return solids
