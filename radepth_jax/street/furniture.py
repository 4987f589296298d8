"""Furniture of roads: hedges and fences, rails, poles and signs, gantries, bins."""

import colorsys

import numpy as np

from radepth_jax.street.landscape import leaf
from radepth_jax.street.site import BEHIND, Site
from radepth_jax.street.solids import Solid

STEEL, STONE = (0.42, 0.43, 0.45), (0.5, 0.46, 0.41)


def border(site: Site, z: float, d: float, length: float) -> Solid:
    """A hedge, a wall, a fence or a noise barrier along the road."""
    kind = site.rng.choice(["hedge", "wall", "fence", "barrier"])
    if kind == "hedge":
        size = (0.9, site.uniform(0.8, 2.4), length)
        return site.solid(z, d, size, leaf(site), cell=0.8, contrast=0.5)
    colour = site.tint((0.4, 0.33, 0.26) if kind == "fence" else STONE, 0.4)
    thick, low, high, second, grid = {
        "wall": (0.3, 0.7, 2.2, site.tint(colour), (0.5, 0.25, 0.46, 0.21, 0.0)),
        "fence": (0.1, 0.9, 1.9, (0.08, 0.08, 0.06), (0.4, 100.0, 0.12, 100.0, 0.0)),
        "barrier": (0.4, 0.8, 3.5, site.tint(colour), (4.0, 100.0, 0.15, 100.0, 0.0)),
    }[kind]
    size = (thick, site.uniform(low, high), length)
    return site.solid(z, d, size, colour, second=second, grid=grid, cell=2.0, contrast=0.25)


def borders(site: Site, d: float, end: float, unbroken: float) -> list[Solid]:
    """Pieces of 10 m along the road. After each the next one follows at once in a share of cases.

    All are of the same kind where all follow.
    """
    solids = []
    z, length = BEHIND, 10.0
    while z < end:
        solids.append(border(site, z + length / 2, d, length))
        z += length if site.chance(unbroken) else 2.5 * length
    return solids


def rail(site: Site, d: float, start: float, end: float, concrete: bool) -> list[Solid]:
    """A guard rail on posts, or a concrete barrier, along the road."""
    solids = []
    z, length = start, 8.0
    colour = site.tint(STONE if concrete else STEEL)
    lift = 0.0 if concrete else 0.45
    while z < end:
        size = (0.4, 0.85, length) if concrete else (0.08, 0.32, length)
        middle = z + length / 2
        solids.append(site.solid(middle, d, size, colour, cell=1.5, contrast=0.12, lift=lift))
        if not concrete and z < start + 50:
            solids.append(site.solid(z, d, (0.1, 0.7, 0.1), colour, contrast=0.1))
        z += length
        length = 8.0 if z < start + 60 else 20.0
    return solids


def poles(site: Site, side: int, off: float, end: float) -> list[Solid]:
    """Lamp posts, masts, signs and, in towns, bins, `off` metres from the centre line."""
    solids: list[Solid] = []
    if site.chance(0.3):
        return solids
    z, spacing = BEHIND + site.uniform(0, 20), site.uniform(12, 40)
    while z < end:
        solids += _pole(site, z, side * off, side)
        z += spacing * site.uniform(0.6, 1.4)
    return solids


def _pole(site: Site, z: float, d: float, side: int) -> list[Solid]:
    kind, colour = site.rng.random(), site.tint((0.3, 0.3, 0.3), 0.7)
    if kind < 0.2 and site.variety.built:
        size = (0.5, site.uniform(0.8, 1.5), site.uniform(0.5, 1.3))
        paint = colorsys.hsv_to_rgb(site.rng.random(), 0.7, site.uniform(0.3, 0.9))
        return [site.solid(z, d, size, paint, cell=0.7, contrast=0.3)]
    if kind < 0.45:
        height, width = site.uniform(2.0, 2.8), site.uniform(0.5, 0.9)
        hue = colorsys.hsv_to_rgb(site.rng.choice([0.0, 0.13, 0.6, 0.35]), 0.9, 0.7)
        stem = (0.08, height, 0.08)
        board = site.solid(
            z, d, (width, width, 0.05), hue, cell=0.5, contrast=0.3, lift=height - 0.2
        )
        return [site.solid(z, d, stem, colour, contrast=0.1, shape="cylinder"), board]
    height, thick = site.uniform(5, 10), site.uniform(0.12, 0.3)
    post = (thick, height, thick)
    out = [site.solid(z, d, post, colour, cell=0.8, contrast=0.2, shape="cylinder")]
    if kind < 0.8:
        arm, lift = (2.0, 0.12, 0.3), height - 0.15
        out.append(site.solid(z, d - side * 0.9, arm, colour, contrast=0.1, lift=lift))
    return out


def gantry(site: Site, z: float, low: float, high: float) -> list[Solid]:
    """Signs on a beam across the road from `low` to `high`. Now and then it is a bridge."""
    middle, lift = 0.5 * (low + high), site.uniform(4.8, 6.0)
    if site.chance(0.3):
        stone = site.tint(STONE)
        deck = (high - low + 60.0, site.uniform(1.0, 1.8), site.uniform(5, 10))
        piers = [
            site.solid(z, d, (1.0, lift, 4.0), stone, contrast=0.15)
            for d in (low - 1.5, high + 1.5)
        ]
        return [site.solid(z, middle, deck, stone, contrast=0.15, lift=lift), *piers]
    steel = site.tint(STEEL)
    beam = (high - low + 2.0, 0.5, 0.4)
    out = [site.solid(z, middle, beam, steel, contrast=0.1, lift=lift)]
    for d in (low - 1.0, high + 1.0):
        post = (0.4, lift + 0.5, 0.4)
        out.append(site.solid(z, d, post, steel, contrast=0.1, shape="cylinder"))
    colour = ((0.02, 0.25, 0.12), (0.05, 0.15, 0.45), (0.8, 0.8, 0.8))[site.rng.integers(3)]
    look = dict(second=(0.75, 0.75, 0.75), grid=(0.5, 0.5, 0.3, 0.2, 0.2), cell=1.0, contrast=0.1)
    for d in np.linspace(low, high, 5)[1:-1]:
        if site.chance(0.6):
            board = (site.uniform(2, 3.5), site.uniform(1.4, 2.4), 0.15)
            out.append(site.solid(z - 0.3, float(d), board, colour, lift=lift - 0.3, **look))
    return out
