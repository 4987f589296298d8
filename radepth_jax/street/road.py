"""The road of a street world: a gently winding centre line over flat ground.

World coordinates are `x` right, `y` down, `z` forward, in metres. The ground is `y = 0`, so heights
are negative `y`. The centre line is `x = sum_i a_i sin(k_i z + p_i)`. It is analytic, so that the
renderer and the world's generator agree exactly, and has one `x` for each `z`.
"""

from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

MAX_CROSSINGS = 3
NOWHERE = -1e6  # z of a crossing that does not exist


class Road(NamedTuple):
    """What the renderer needs to draw the ground. Lengths are in metres, colours RGB in [0, 1].

    `d` below is the signed distance to the right of the centre line.
    """

    amplitude: Any  # [2]
    wavenumber: Any  # [2] rad/m
    phase: Any  # [2]
    half_width: Any  # [] centre line to the edge of the driving lanes
    kerb: Any  # [2] |d| of the kerb on the left and on the right (lanes and parking)
    pavement: Any  # [] width of the pavement beyond the kerb
    crossings: Any  # [MAX_CROSSINGS, 2] z of the centre and half width of crossing streets
    asphalt: Any  # [3]
    slabs: Any  # [3]
    verge: Any  # [3]
    seed: Any  # [] int32


def centre_line(road: Road, z: Any, xp: ModuleType = np) -> tuple[Any, Any]:
    """`x` and slope `dx/dz` of the centre line at `z` (any shape). `xp` is NumPy or `jax.numpy`."""
    x = xp.zeros_like(z)
    slope = xp.zeros_like(z)
    for i in range(2):
        angle = road.wavenumber[i] * z + road.phase[i]
        x = x + road.amplitude[i] * xp.sin(angle)
        slope = slope + road.amplitude[i] * road.wavenumber[i] * xp.cos(angle)
    return x, slope


def beside(road: Road, z: float, d: float) -> tuple[np.ndarray, float]:
    """The ground point `(x, z)` `d` metres right of the centre line at `z`, and the heading there.

    The heading is the angle from the z axis towards x, in radians.
    """
    x, slope = centre_line(road, np.float64(z))
    heading = float(np.arctan(slope))
    return np.array([x + d * np.cos(heading), z - d * np.sin(heading)]), heading


def clearance(road: Road, points: np.ndarray) -> np.ndarray:
    """Metres from ground points `[N, 2]` (x, z) to the centre line, within 0.1 m: `[N]`."""
    low, high = points[:, 1].min() - 30.0, points[:, 1].max() + 30.0
    z = np.arange(low, high, 0.5)
    x, _ = centre_line(road, z)
    gaps = np.hypot(points[:, :1] - x[None, :], points[:, 1:] - z[None, :])
    return gaps.min(1)


def draw_road(rng: np.random.Generator, parking: tuple[bool, bool]) -> Road:
    """Draw a road. `parking` says whether there is a parking lane on the left and on the right."""
    steepest = np.array([rng.uniform(0.0, 0.42), rng.uniform(0.0, 0.15)])
    if rng.random() < 0.25:
        steepest *= 0.1
    wavenumber = 2 * np.pi / np.array([rng.uniform(80, 140), rng.uniform(45, 70)])
    half_width = rng.uniform(2.8, 4.0)
    crossings = np.full((MAX_CROSSINGS, 2), (NOWHERE, 1.0))
    z = rng.uniform(8, 60)
    for i in range(MAX_CROSSINGS):
        crossings[i] = (z, rng.uniform(3.0, 6.0))
        z += rng.uniform(30, 80)
    grey = rng.uniform(0.22, 0.42)
    grass, stone = np.array([0.30, 0.42, 0.20]), np.array([0.50, 0.46, 0.41])
    verge = rng.uniform(0.8, 1.2) * (grass if rng.random() < 0.6 else stone)
    return Road(
        amplitude=(steepest / wavenumber).astype(np.float32),
        wavenumber=wavenumber.astype(np.float32),
        phase=rng.uniform(0, 2 * np.pi, 2).astype(np.float32),
        half_width=np.float32(half_width),
        kerb=np.array([half_width + 2.2 * side for side in parking], np.float32),
        pavement=np.float32(rng.uniform(1.2, 3.5)),
        crossings=crossings.astype(np.float32),
        asphalt=(grey * rng.uniform(0.92, 1.08, 3)).astype(np.float32),
        slabs=(rng.uniform(0.45, 0.65) * rng.uniform(0.9, 1.1, 3)).astype(np.float32),
        verge=verge.astype(np.float32),
        seed=np.int32(rng.integers(1 << 20)),
    )
