"""The road of a street world: a gently winding centre line over flat ground, and its lanes.

World coordinates are `x` right, `y` down, `z` forward, in metres. The ground is `y = 0`, so heights
are negative `y`. The centre line is `x = sum_i a_i sin(k_i z + p_i)`. It is analytic, so that the
renderer and the world's generator agree exactly, and has one `x` for each `z`.
"""

from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from radepth_jax.street.variety import Variety

MAX_CROSSINGS = 3
NOWHERE = -1e6  # z of a crossing that does not exist


class Road(NamedTuple):
    """The course of the road, in metres."""

    amplitude: Any  # [2]
    wavenumber: Any  # [2] rad/m
    phase: Any  # [2]
    crossings: Any  # [MAX_CROSSINGS, 2] z of the centre and half width of crossing streets


def centre_line(road: Road, z: Any, xp: ModuleType = np) -> tuple[Any, Any]:
    """`x` and slope `dx/dz` of the centre line at `z` (any shape). `xp` is NumPy or `jax.numpy`."""
    x = xp.zeros_like(z)
    slope = xp.zeros_like(z)
    for i in range(2):
        angle = road.wavenumber[i] * z + road.phase[i]
        x = x + road.amplitude[i] * xp.sin(angle)
        slope = slope + road.amplitude[i] * road.wavenumber[i] * xp.cos(angle)
    return x, slope


def beside(road: Road, z: float, d: float) -> tuple[tuple[float, float], float]:
    """The ground point `(x, z)` `d` metres right of the centre line at `z`, and the heading there.

    The heading is the angle from the z axis towards x, in radians.
    """
    x, slope = centre_line(road, np.float64(z))
    heading = float(np.arctan(slope))
    return (float(x + d * np.cos(heading)), float(z - d * np.sin(heading))), heading


def on_crossing(road: Road, z: float, half: float) -> bool:
    """Whether a crossing street comes within `half` metres of `z`."""
    return bool(np.any(np.abs(road.crossings[:, 0] - z) < road.crossings[:, 1] + half))


def draw_road(rng: np.random.Generator, variety: Variety) -> Road:
    """Draw a road. Highways bend less than others, and more slowly."""
    steepest = np.array([rng.uniform(0.0, 0.42), rng.uniform(0.0, 0.15)])
    wavelength = np.array([rng.uniform(80, 140), rng.uniform(45, 70)])
    if rng.random() < 0.25:
        steepest *= 0.1
    if variety.place == "highway":
        steepest, wavelength = 0.3 * steepest, wavelength * rng.uniform(2, 5)
    crossings = np.full((MAX_CROSSINGS, 2), (NOWHERE, 1.0))
    if variety.built and rng.random() < 0.75:
        z = rng.uniform(8, 60)
        for i in range(MAX_CROSSINGS):
            crossings[i] = (z, rng.uniform(3.0, 6.0))
            z += rng.uniform(30, 80)
    wavenumber = 2 * np.pi / wavelength
    phase = rng.uniform(0, 2 * np.pi, 2)
    arrays = (steepest / wavenumber, wavenumber, phase, crossings)
    return Road(*(array.astype(np.float32) for array in arrays))


@dataclass(frozen=True)
class Lanes:
    """The cross-section of a road, in metres right of its centre line."""

    bands: tuple[tuple[float, float], ...]  # the one or two carriageways
    lines: tuple[tuple[float, bool], ...]  # the painted lines, and whether each is dashed
    with_us: tuple[float, ...]  # the middles of the lanes in our direction
    against_us: tuple[float, ...]
    parking: tuple[float, ...]  # the middles of the parking lanes
    ego: float  # the middle of the lane we drive in
    width: float  # a lane's width
    shoulder: float  # the width of the pavement, or of the strip beyond the carriageways

    def edge(self, side: int) -> float:
        """Metres from the centre line to the edge of the carriageways, left (-1) or right (1)."""
        return max(side * d for band in self.bands for d in band)


def draw_lanes(rng: np.random.Generator, variety: Variety) -> Lanes:
    """Draw the lanes that suit the place."""
    return _street(rng, variety) if variety.built else _open_road(rng, variety)


def _street(rng: np.random.Generator, variety: Variety) -> Lanes:
    half = float(rng.uniform(2.8, 4.0))
    parked = [rng.random() < (0.6 if variety.place == "town" else 0.35) for _ in range(2)]
    lines = [(0.0, bool(rng.random() < 0.8))] if rng.random() < 0.7 else []
    if rng.random() < 0.4:
        lines += [(0.1 - half, False), (half - 0.1, False)]
    return Lanes(
        bands=((-half - 2.2 * parked[0], half + 2.2 * parked[1]),),
        lines=tuple(lines),
        with_us=(0.5 * half,),
        against_us=(-0.5 * half,),
        parking=tuple(s * (half + 1.2) for s, there in zip((-1, 1), parked, strict=True) if there),
        ego=0.5 * half,
        width=half,
        shoulder=float(rng.uniform(1.2, 3.5)),
    )


def _open_road(rng: np.random.Generator, variety: Variety) -> Lanes:
    highway = variety.place == "highway"
    width = float(rng.uniform(3.3, 3.8) if highway else rng.uniform(2.7, 3.6))
    count = int(rng.integers(2, 5)) if highway else 1
    divided = highway and rng.random() < 0.8
    inner = float(rng.uniform(0.6, 5.0)) if divided else 0.0
    verge = float(rng.uniform(0.4, 3.0) if highway else rng.uniform(0.1, 0.5))
    near = inner + 0.5 * divided
    far = near + count * width
    outer = far + verge
    lines = [(s * (near + i * width), True) for s in (-1, 1) for i in range(1, count)]
    if highway or rng.random() < 0.7:
        lines += [(-far, False), (far, False)]
    if divided:
        lines += [(-near, False), (near, False)]
    else:
        lines += [(0.0, True)] if rng.random() < 0.6 else [(-0.12, False), (0.12, False)]
    middles = tuple(near + (i + 0.5) * width for i in range(count))
    return Lanes(
        bands=((-outer, -inner), (inner, outer)) if divided else ((-outer, outer),),
        lines=tuple(lines),
        with_us=middles,
        against_us=tuple(-middle for middle in middles),
        parking=(),
        ego=middles[int(rng.integers(count))],
        width=width,
        shoulder=float(rng.uniform(0, 3.5)),
    )
