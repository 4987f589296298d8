"""The sides of the roads: what stands along towns, suburbs, country roads and highways."""

from radepth_jax.street import buildings, furniture, landscape
from radepth_jax.street.site import BEHIND, Site
from radepth_jax.street.solids import Solid


def furnish(site: Site) -> list[Solid]:
    """The solids along both sides, and on the horizon."""
    solids: list[Solid] = []
    along = {"town": _street, "suburb": _street, "country": _country, "highway": _highway}
    for side in (-1, 1):
        solids += along[site.variety.place](site, side)
    if site.variety.place == "highway":
        solids += _over_the_highway(site)
    return solids


def _street(site: Site, side: int) -> list[Solid]:
    kerb, shoulder = site.lanes.edge(side), site.lanes.shoulder
    solids = buildings.frontage(site, side)
    if site.variety.place == "town":
        solids += buildings.backdrop(site, side)
        if site.chance(0.6):
            solids += landscape.trees(site, side, kerb + 0.6, 0.2, site.uniform(8, 18), site.end)
    else:
        solids += landscape.trees(site, side, kerb + shoulder + 1.0, 6.0, site.uniform(7, 16), 90.0)
    return solids + furniture.poles(site, side, kerb + 0.5, site.end)


def _country(site: Site, side: int) -> list[Solid]:
    edge = site.lanes.edge(side)
    solids, kind = _growth(site, side, edge + 2.0, ["open", "trees", "wood", "hedge", "bank"])
    if kind == "hedge" or site.chance(0.2):
        solids += furniture.borders(site, side * (edge + site.uniform(1.0, 4.0)), 110.0, 0.85)
    if site.chance(0.3):
        concrete = site.chance(0.2)
        solids += furniture.rail(site, side * (edge + 0.7), BEHIND, 100.0, concrete)
    if site.chance(0.35):
        z, d = site.uniform(15, 90), side * (edge + site.uniform(10, 30))
        solids += buildings.house(site, z, d, (9.0, 5.0, 12.0))
    return solids + furniture.poles(site, side, edge + 1.5, 120.0)


def _highway(site: Site, side: int) -> list[Solid]:
    edge = site.lanes.edge(side)
    near = edge + site.uniform(4, 12)
    solids, kind = _growth(site, side, near, ["open", "trees", "wood", "wall", "bank"])
    if kind == "wall":
        solids += furniture.borders(site, side * (edge + site.uniform(2.0, 6.0)), 200.0, 1.0)
    if site.chance(0.55):
        start, concrete = BEHIND if site.chance(0.6) else site.uniform(5, 50), site.chance(0.25)
        d = side * (edge + site.uniform(0.4, 1.5))
        solids += furniture.rail(site, d, start, 200.0, concrete)
    for _ in range(site.rng.integers(0, 4) if site.chance(0.3) else 0):
        d = side * (edge + site.uniform(20, 60))
        size = (12.0, site.uniform(4, 15), site.uniform(12, 40))
        solids += buildings.house(site, site.uniform(40, 200), d, size)
    return solids + furniture.poles(site, side, edge + 2.0, 180.0)


def _over_the_highway(site: Site) -> list[Solid]:
    left, right = -site.lanes.edge(-1), site.lanes.edge(1)
    solids: list[Solid] = []
    if site.chance(0.7):  # a rail between the two directions
        solids += furniture.rail(site, 0.0, BEHIND, 200.0, site.chance(0.5))
    if site.chance(0.45):
        low = left - 1 if site.chance(0.5) else 0.0
        solids += furniture.gantry(site, site.uniform(12, 110), low, right + 1)
    return solids


def _growth(site: Site, side: int, near: float, kinds: list[str]) -> tuple[list[Solid], str]:
    """What grows beside an open road, and its kind, which is one of `kinds`."""
    kind = str(site.rng.choice(kinds))
    if kind == "wood":
        return landscape.trees(site, side, near, 13.0, 3.6, 140.0), kind
    if kind in ("trees", "open"):
        spread = 35.0 if kind == "open" else 6.0
        return landscape.trees(site, side, near, spread, site.uniform(8, 20), 200.0), kind
    return landscape.banks(site, side, near) if kind == "bank" else [], kind
