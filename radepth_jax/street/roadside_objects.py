"""Objects beside the roads of varied worlds: trees, hills, houses, rails, signs, poles."""

import colorsys

import numpy as np

from radepth_jax.street.appearance import GRASS
from radepth_jax.street.road import Road, beside
from radepth_jax.street.solids import NONE, Colour, Solid

LEAVES = {
    "green": ((0.16, 0.26, 0.09), (0.25, 0.36, 0.13)),
    "dry": ((0.20, 0.25, 0.11), (0.32, 0.33, 0.17)),
    "autumn": ((0.50, 0.32, 0.12), (0.27, 0.30, 0.11)),
}
WALLS = (
    (0.85, 0.82, 0.76),
    (0.75, 0.68, 0.52),
    (0.5, 0.27, 0.2),
    (0.6, 0.6, 0.6),
    (0.8, 0.6, 0.45),
)
ROOFS = ((0.4, 0.18, 0.12), (0.2, 0.2, 0.22), (0.3, 0.24, 0.2))


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 20))


def _shade(rng: np.random.Generator, colour: Colour, spread: float = 0.25) -> Colour:
    r, g, b = np.array(colour) * rng.uniform(1 - spread, 1 + spread) * rng.uniform(0.92, 1.08, 3)
    return float(r), float(g), float(b)


def spot(road: Road, z: float, d: float) -> tuple[tuple[float, float], float]:
    """The ground point `d` metres right of the centre line at `z`, and the heading there."""
    position, heading = beside(road, z, d)
    return (float(position[0]), float(position[1])), heading


def leaf(rng: np.random.Generator, season: str) -> Colour:
    """A colour of leaves."""
    return _shade(rng, LEAVES[season][int(rng.random() < 0.4)], 0.3)


def tree(
    rng: np.random.Generator,
    at: tuple[float, float],
    season: str,
    kind: str,
    scale: float,
    low: float,
) -> list[Solid]:
    """A `round`, `tall` or `conifer` tree of a few ellipsoids, or a `bush`.

    The crown begins at `low` metres or higher.
    """
    colour = leaf(rng, "green" if kind == "conifer" else season)

    def crown(size: tuple[float, float, float], lift: float, shift: float = 0.0) -> Solid:
        turn = rng.uniform(0, 2 * np.pi)
        place = (at[0] + float(shift * np.sin(turn)), at[1] + float(shift * np.cos(turn)))
        return Solid(
            place,
            size,
            float(rng.uniform(0, 3)),
            _shade(rng, colour, 0.15),
            _seed(rng),
            cell=float(rng.uniform(0.5, 1.2) * max(1.0, 0.3 * size[0])),
            contrast=float(rng.uniform(0.35, 0.6)),
            lift=lift,
            shape="ellipsoid",
        )

    if kind == "bush":
        width = scale * float(rng.uniform(1.2, 3.5))
        tall = scale * float(rng.uniform(0.9, 2.4))
        out = [crown((width, tall, width), -0.3)]
        for _ in range(rng.integers(0, 3)):
            share = float(rng.uniform(0.5, 0.9))
            out.append(crown((share * width, share * tall, share * width), -0.2, 0.45 * width))
        return out
    height = scale * float(rng.uniform(5, 13))
    thick = 0.03 * height + 0.05
    bare = max(low, height * float(rng.uniform(0.15, 0.4)))
    height = max(height, bare + 2.5)
    bark = _shade(rng, (0.2, 0.16, 0.12))
    stem = (thick, bare + 0.3 * height, thick)
    out = [Solid(at, stem, 0.0, bark, _seed(rng), cell=0.6, contrast=0.3, shape="cylinder")]
    if kind == "conifer":
        width = 0.4 * height
        return [*out, crown((width, 1.25 * height, width), 0.08 * height)]
    spread = height * float(rng.uniform(0.25, 0.4) if kind == "tall" else rng.uniform(0.5, 0.9))
    tall = height - bare
    out.append(crown((spread, tall, spread), bare))
    for _ in range(rng.integers(1, 5)):
        share = float(rng.uniform(0.45, 0.8))
        size = (share * spread, 0.6 * tall * share + 0.5, share * spread)
        lift = bare + float(rng.uniform(0.0, 0.5)) * tall
        out.append(crown(size, lift, 0.42 * spread))
    return out


def house(
    rng: np.random.Generator, road: Road, z: float, d: float, size: tuple[float, float, float]
) -> list[Solid]:
    """A house of (depth across, height, length along the road) with a roof."""
    at, heading = spot(road, z, d)
    heading += float(rng.normal(0, 0.06))
    storey, bay = rng.uniform(2.6, 3.4), rng.uniform(1.8, 4.5)
    pane = (float(rng.uniform(0.05, 0.2)),) * 3
    grid = (bay, storey, bay * rng.uniform(0.25, 0.6), storey * rng.uniform(0.35, 0.55), 0.9)
    wall = _shade(rng, WALLS[rng.integers(len(WALLS))], 0.3)
    contrast = float(rng.uniform(0.03, 0.22))
    cell = float(np.exp(rng.uniform(np.log(0.5), np.log(6))))
    out = [Solid(at, size, heading, wall, _seed(rng), pane, grid, cell, contrast)]
    if size[1] < 9:
        roof = _shade(rng, ROOFS[rng.integers(len(ROOFS))])
        eaves = (size[0] + 0.6, 0.25, size[2] + 0.6)
        out.append(Solid(at, eaves, heading, roof, _seed(rng), contrast=0.15, lift=size[1]))
        top = (0.65 * size[0], float(rng.uniform(1.2, 2.2)), 0.85 * size[2])
        rows = (100.0, 0.35, 100.0, 0.04, 0.0)
        dark = _shade(rng, (0.1, 0.08, 0.07))
        lift = size[1] + 0.2
        out.append(Solid(at, top, heading, roof, _seed(rng), dark, rows, 1.0, 0.15, lift))
    return out


def border(rng: np.random.Generator, road: Road, z: float, d: float, length: float) -> Solid:
    """A hedge, a wall, a fence or a noise barrier along the road."""
    at, heading = spot(road, z, d)
    kind = rng.integers(4)
    if kind == 0:
        size = (1.0, float(rng.uniform(0.8, 2.6)), length)
        return Solid(at, size, heading, leaf(rng, "green"), _seed(rng), cell=0.8, contrast=0.5)
    if kind == 1:
        size = (0.3, float(rng.uniform(0.6, 2.4)), length)
        stone = _shade(rng, (0.5, 0.45, 0.4), 0.4)
        mortar, blocks = _shade(rng, stone), (0.5, 0.25, 0.46, 0.21, 0.0)
        return Solid(at, size, heading, mortar, _seed(rng), stone, blocks, 2.0, 0.2)
    if kind == 2:
        size = (0.1, float(rng.uniform(0.9, 2.0)), length)
        wood, gaps = _shade(rng, (0.4, 0.33, 0.26), 0.5), (0.4, 100.0, 0.12, 100.0, 0.0)
        return Solid(at, size, heading, wood, _seed(rng), (0.08, 0.08, 0.06), gaps, 2.0, 0.25)
    size = (0.4, float(rng.uniform(0.8, 3.5)), length)
    panel = _shade(rng, (0.55, 0.54, 0.5), 0.3)
    grid = (4.0, 100.0, 0.15, 100.0, 0.0)
    return Solid(at, size, heading, panel, _seed(rng), _shade(rng, panel), grid, 3.0, 0.15)


def rail(
    rng: np.random.Generator, road: Road, d: float, start: float, end: float, concrete: bool
) -> list[Solid]:
    """A guard rail on posts, or a concrete barrier, along the road."""
    solids = []
    z, length = start, 8.0
    grey = (0.5, 0.5, 0.47) if concrete else (0.42, 0.44, 0.46)
    colour = _shade(rng, grey)
    while z < end:
        at, heading = spot(road, z + length / 2, d)
        size = (0.4, 0.85, length) if concrete else (0.08, 0.32, length)
        lift = 0.0 if concrete else 0.45
        solids.append(
            Solid(at, size, heading, colour, _seed(rng), cell=1.5, contrast=0.12, lift=lift)
        )
        if not concrete and z < start + 50:
            post, _ = spot(road, z, d)
            solids.append(Solid(post, (0.1, 0.7, 0.1), heading, colour, _seed(rng), contrast=0.1))
        z += length
        length = 8.0 if z < start + 60 else 20.0
    return solids


def pole(rng: np.random.Generator, road: Road, z: float, d: float, side: int) -> list[Solid]:
    """A lamp post, a mast or a road sign."""
    at, heading = spot(road, z, d)
    kind = rng.random()
    colour = _shade(rng, (0.3, 0.3, 0.3), 0.7)
    if kind < 0.35:
        height = float(rng.uniform(2.0, 2.8))
        stem = Solid(
            at, (0.08, height, 0.08), heading, colour, _seed(rng), contrast=0.1, shape="cylinder"
        )
        hue = colorsys.hsv_to_rgb(rng.choice([0.0, 0.13, 0.6, 0.35]), rng.choice([0.1, 0.9]), 0.7)
        width = float(rng.uniform(0.5, 0.9))
        board = (width, width, 0.05)
        sign = Solid(at, board, heading, hue, _seed(rng), cell=0.5, contrast=0.3, lift=height - 0.2)
        return [stem, sign]
    height, thick = float(rng.uniform(5, 10)), float(rng.uniform(0.12, 0.3))
    size = (thick, height, thick)
    out = [Solid(at, size, heading, colour, _seed(rng), cell=0.8, contrast=0.2, shape="cylinder")]
    if kind < 0.75:
        arm, _ = spot(road, z, d - side * 0.9)
        lamp = (2.0, 0.12, 0.3)
        out.append(Solid(arm, lamp, heading, colour, _seed(rng), contrast=0.1, lift=height - 0.15))
    return out


def gantry(rng: np.random.Generator, road: Road, z: float, low: float, high: float) -> list[Solid]:
    """Signs on a beam across the road from `low` to `high`. Now and then it is a bridge."""
    middle = 0.5 * (low + high)
    at, heading = spot(road, z, middle)
    steel = _shade(rng, (0.4, 0.42, 0.43))
    lift = float(rng.uniform(4.8, 6.0))
    if rng.random() < 0.3:
        deck = (high - low + 60.0, float(rng.uniform(1.0, 1.8)), float(rng.uniform(5, 10)))
        stone = _shade(rng, (0.55, 0.53, 0.5))
        out = [Solid(at, deck, heading, stone, _seed(rng), contrast=0.15, lift=lift)]
        for d in (low - 1.5, high + 1.5):
            pier, _ = spot(road, z, d)
            size = (1.0, lift, 4.0)
            out.append(Solid(pier, size, heading, stone, _seed(rng), contrast=0.15))
        return out
    beam = (high - low + 2.0, 0.5, 0.4)
    out = [Solid(at, beam, heading, steel, _seed(rng), contrast=0.1, lift=lift)]
    for d in (low - 1.0, high + 1.0):
        post, _ = spot(road, z, d)
        size = (0.4, lift + 0.5, 0.4)
        out.append(Solid(post, size, heading, steel, _seed(rng), contrast=0.1, shape="cylinder"))
    colour = ((0.02, 0.25, 0.12), (0.05, 0.15, 0.45), (0.8, 0.8, 0.8))[rng.integers(3)]
    for d in np.linspace(low, high, 5)[1:-1]:
        if rng.random() < 0.6:
            board, _ = spot(road, z - 0.3, float(d))
            size = (float(rng.uniform(2, 3.5)), float(rng.uniform(1.4, 2.4)), 0.15)
            words = (0.5, 0.5, 0.3, 0.2, 0.2)
            white = (0.75, 0.75, 0.75)
            out.append(
                Solid(board, size, heading, colour, _seed(rng), white, words, 1.0, 0.1, lift - 0.3)
            )
    return out


def hills(rng: np.random.Generator, season: str, far: float) -> list[Solid]:
    """Ridges on the horizon, `far` metres off and more, at any place around the way ahead."""
    solids = []
    count = rng.integers(3, 9)
    steep = rng.uniform(0.03, 0.16)
    for i in range(count):
        away = far * float(rng.uniform(1.0, 2.5))
        bearing = float(rng.uniform(-1.1, 1.1)) if i else float(rng.uniform(-0.3, 0.3))
        width = away * float(rng.uniform(0.6, 1.6))
        depth = 0.5 * away * float(rng.uniform(0.5, 1.0))
        height = away * float(steep * rng.uniform(0.6, 1.3))
        wood = rng.random() < 0.6
        colour = leaf(rng, season) if wood else _shade(rng, GRASS[season][0])
        at = (float(away * np.sin(bearing)), float(away * np.cos(bearing)) + 0.5 * depth)
        # Half of the ellipsoid is below the ground.
        solids.append(
            Solid(
                at,
                (width, 2 * height, depth),
                bearing + float(rng.normal(0, 0.3)),
                colour,
                _seed(rng),
                NONE[:3],
                cell=away * 0.04,
                contrast=float(rng.uniform(0.15, 0.5)),
                lift=-height,
                shape="ellipsoid",
                landmark=True,
            )
        )
    return solids


def bank(
    rng: np.random.Generator, road: Road, season: str, z: float, d: float, length: float
) -> Solid:
    """A grassy or wooded slope along the road. Its middle is `d` from the centre line."""
    at, heading = spot(road, z, d)
    height, width = float(rng.uniform(1.5, 6.0)), float(rng.uniform(12, 20))
    colour = _shade(rng, GRASS[season][int(rng.random() < 0.5)])
    return Solid(
        at,
        (width, 2 * height, length),
        heading,
        colour,
        _seed(rng),
        cell=float(rng.uniform(1.5, 5)),
        contrast=float(rng.uniform(0.15, 0.4)),
        lift=-height,
        shape="ellipsoid",
    )
