"""What grows and rises beside the road: trees and bushes, banks, hills, woods far off."""

import numpy as np

from radepth_jax.street.appearance import GRASS
from radepth_jax.street.site import BEHIND, Site
from radepth_jax.street.solids import Colour, Solid

LEAVES = {
    "green": ((0.16, 0.26, 0.09), (0.25, 0.36, 0.13)),
    "dry": ((0.20, 0.25, 0.11), (0.32, 0.33, 0.17)),
    "autumn": ((0.50, 0.32, 0.12), (0.27, 0.30, 0.11)),
}


def leaf(site: Site, season: str | None = None) -> Colour:
    """A colour of leaves."""
    colours = LEAVES[season or site.variety.season]
    return site.tint(colours[int(site.chance(0.4))], 0.3)


def trees(
    site: Site, side: int, nearest: float, spread: float, spacing: float, end: float
) -> list[Solid]:
    """Groups of trees along one side, from `nearest` to `nearest + spread` off the centre line."""
    solids = []
    kinds = site.rng.choice(["round", "tall", "conifer", "bush"], 2)
    z, scale = BEHIND + site.uniform(0, spacing), site.uniform(0.7, 1.2)
    while z < end:
        d = nearest + spread * site.rng.random() ** 1.5
        # Crowns near the road begin above it.
        low = 2.8 if d < nearest + 4.5 else 0.0
        kind = str(site.rng.choice(kinds))
        if low and kind == "conifer":
            kind = "round"
        solids += _tree(site, site.at(z, side * d), kind, scale, low)
        z += spacing * site.uniform(0.3, 1.7) * (4.0 if site.chance(0.12) else 1.0)
    return solids


def _tree(site: Site, at: tuple[float, float], kind: str, scale: float, low: float) -> list[Solid]:
    """A `round`, `tall` or `conifer` tree, whose crown begins at `low` m or higher, or a `bush`."""
    rng = site.rng
    colour = leaf(site, "green" if kind == "conifer" else None)

    def crown(width: float, height: float, lift: float, shift: float = 0.0) -> Solid:
        turn = rng.uniform(0, 2 * np.pi)
        return site.placed(
            (at[0] + float(shift * np.sin(turn)), at[1] + float(shift * np.cos(turn))),
            (width, height, width),
            turn,
            site.tint(colour, 0.15),
            cell=site.uniform(0.5, 1.2) * max(1.0, 0.3 * width),
            contrast=site.uniform(0.35, 0.6),
            lift=lift,
            shape="ellipsoid",
        )

    if kind == "bush":
        width, height = scale * site.uniform(1.2, 3.5), scale * site.uniform(0.9, 2.4)
        shares = rng.uniform(0.5, 0.9, rng.integers(0, 3))
        smaller = [crown(s * width, s * height, -0.2, 0.45 * width) for s in shares.tolist()]
        return [crown(width, height, -0.3), *smaller]
    height = scale * site.uniform(5, 13)
    thick = 0.03 * height + 0.05
    bare = max(low, height * site.uniform(0.15, 0.4))
    height = max(height, bare + 2.5)
    stem, bark = (thick, bare + 0.3 * height, thick), site.tint((0.2, 0.16, 0.12))
    trunk = site.placed(at, stem, 0.0, bark, cell=0.6, contrast=0.3, shape="cylinder")
    if not site.is_free(trunk):
        return []
    if kind == "conifer":
        return [trunk, crown(0.4 * height, 1.25 * height, 0.08 * height)]
    wide = height * (site.uniform(0.25, 0.4) if kind == "tall" else site.uniform(0.5, 0.9))
    tall = height - bare
    out = [trunk, crown(wide, tall, bare)]
    for share in rng.uniform(0.45, 0.8, rng.integers(1, 5)).tolist():
        lift = bare + site.uniform(0.0, 0.5) * tall
        out.append(crown(share * wide, 0.6 * tall * share + 0.5, lift, 0.42 * wide))
    return out


def banks(site: Site, side: int, edge: float) -> list[Solid]:
    """Grassy or wooded slopes along the road, beyond `edge` metres from the centre line."""
    solids = []
    z, away = -15.0, edge + site.uniform(11.5, 14)
    while z < 140:
        length, height, width = site.uniform(40, 80), site.uniform(1.5, 6.0), site.uniform(12, 20)
        size = (width, 2 * height, length)
        look = dict(cell=site.uniform(1.5, 5), contrast=site.uniform(0.15, 0.29))
        solids.append(_half(site, site.at(z + length / 2, side * away), size, 0.0, 0.0, look))
        z += 0.6 * length
    return solids


def horizon(site: Site) -> list[Solid]:
    """Hills and a wood far off, around the way ahead."""
    rng, solids = site.rng, []
    if site.chance(0.75):
        far, steep = site.uniform(200, 600), site.uniform(0.03, 0.16)
        for i in range(rng.integers(3, 9)):
            away = far * site.uniform(1.0, 2.5)
            bearing = site.uniform(-1.1, 1.1) if i else site.uniform(-0.3, 0.3)
            depth, height = away * site.uniform(0.25, 0.5), away * steep * site.uniform(0.6, 1.3)
            at = (away * float(np.sin(bearing)), away * float(np.cos(bearing)) + 0.5 * depth)
            size = (away * site.uniform(0.6, 1.6), 2 * height, depth)
            look = dict(cell=away * 0.04, contrast=site.uniform(0.15, 0.5), landmark=True)
            solids.append(_half(site, at, size, bearing + float(rng.normal(0, 0.3)), 0.6, look))
    if site.chance(0.5):
        away = site.uniform(90, 250)
        for bearing in np.arange(-1.0, 1.0, 0.12).tolist():
            if site.chance(0.6) and abs(bearing) > 0.1:
                at = (away * float(np.sin(bearing)), away * float(np.cos(bearing)))
                size = (0.16 * away, 2 * site.uniform(5, 10), 0.1 * away)
                look = dict(cell=2.5, contrast=0.45, landmark=True)
                solids.append(_half(site, at, size, bearing, 1.0, look))
    return solids


def _half(
    site: Site,
    at: tuple[float, float],
    size: tuple[float, float, float],
    yaw: float,
    wooded: float,
    look: dict,
) -> Solid:
    """An ellipsoid whose lower half is below the ground. `wooded` is the share of woods."""
    season = site.variety.season
    grass = site.tint(GRASS[season][int(site.chance(0.5))])
    colour = leaf(site) if site.chance(wooded) else grass
    return site.placed(at, size, yaw, colour, lift=-0.5 * size[1], shape="ellipsoid", **look)
