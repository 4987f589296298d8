"""Solids of a street world: boxes, upright cylinders and ellipsoids with their textures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

Colour = tuple[float, float, float]  # RGB in [0, 1]
NONE = (1.0, 1.0, 0.0, 0.0, 0.0)  # a grid with no windows


class Solids(NamedTuple):
    """N solids as arrays, for the renderer.

    A solid's own axes are the world's axes, turned by `yaw` about the vertical. It fills
    `centre +- half` along them. Its colour is `base`, and `second` in the panes of a grid, both
    under value noise. On an upright face the grid's `u` runs along the face and `v` up from the
    bottom. Its cells are (`period_u`, `period_v`) large, its panes (`width_u`, `width_v`), and the
    first row starts at `offset_v`.
    """

    centre: Any  # [N, 3] metres
    half: Any  # [N, 3] metres
    yaw: Any  # [N] radians, from z towards x
    ellipsoid: Any  # [N] 1 for an ellipsoid, 0 for a box or an upright cylinder
    base: Any  # [N, 3] RGB in [0, 1]
    second: Any  # [N, 3]
    grid: Any  # [N, 5] period_u, period_v, width_u, width_v, offset_v, metres
    cell: Any  # [N] metres: lattice spacing of the coarsest octave of noise
    contrast: Any  # [N] amplitude of the noise relative to the colour
    seed: Any  # [N] int32


@dataclass(frozen=True)
class Motion:
    """A drive along the road, `lane` metres right of its centre line."""

    start: float  # z at frame 0
    lane: float
    speed: float  # change of z per frame


@dataclass(frozen=True)
class Solid:
    """One solid that stands on the ground, or `lift` metres above it. See `Solids`."""

    position: tuple[float, float]  # x, z of the centre
    size: tuple[float, float, float]  # metres along its own x, height, along its own z
    yaw: float
    base: Colour
    seed: int
    second: Colour = (0.0, 0.0, 0.0)
    grid: tuple[float, float, float, float, float] = NONE
    cell: float = 4.0
    contrast: float = 0.5
    lift: float = 0.0
    shape: str = "box"  # or "cylinder" or "ellipsoid"
    motion: Motion | None = None
    landmark: bool = False  # whether it is drawn however far away it is

    def corners(self) -> np.ndarray:
        """Ground points [8, 2] (x, z) of the outline: the corners and the middles of the edges."""
        unit = np.array(
            [(-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1)], np.float64
        )
        local = unit * np.array([self.size[0], self.size[2]]) / 2
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        return np.array(self.position) + local @ np.array([[c, -s], [s, c]])


def pack(solids: Sequence[Solid], capacity: int) -> Solids:
    """At most `capacity` solids as arrays, padded with specks far below the ground."""
    out = Solids(
        centre=np.full((capacity, 3), 1e4, np.float32),
        half=np.full((capacity, 3), 1e-3, np.float32),
        yaw=np.zeros(capacity, np.float32),
        ellipsoid=np.zeros(capacity, np.float32),
        base=np.zeros((capacity, 3), np.float32),
        second=np.zeros((capacity, 3), np.float32),
        grid=np.tile(np.array(NONE, np.float32), (capacity, 1)),
        cell=np.ones(capacity, np.float32),
        contrast=np.zeros(capacity, np.float32),
        seed=np.zeros(capacity, np.int32),
    )
    for i, solid in enumerate(solids):
        height = solid.size[1]
        out.centre[i] = (solid.position[0], -solid.lift - height / 2, solid.position[1])
        out.half[i] = np.array(solid.size) / 2
        out.yaw[i] = solid.yaw
        out.ellipsoid[i] = solid.shape == "ellipsoid"
        out.base[i], out.second[i], out.grid[i] = solid.base, solid.second, solid.grid
        out.cell[i], out.contrast[i], out.seed[i] = solid.cell, solid.contrast, solid.seed
    return out
