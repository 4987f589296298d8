"""The site of a world: what the objects along its road are drawn from and placed by."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from radepth_jax.street.road import Lanes, Road, beside, centre_line
from radepth_jax.street.solids import Colour, Solid
from radepth_jax.street.variety import Variety

BEHIND = -8.0  # z from which a world is furnished


@dataclass(frozen=True)
class Site:
    """A road and its surroundings. `z` is a place along the road, and `d` metres right of it."""

    rng: np.random.Generator
    variety: Variety
    road: Road
    lanes: Lanes
    end: float  # z up to which the road is furnished
    reached: float  # z that the camera reaches

    def uniform(self, low: float, high: float) -> float:
        """A number between two others."""
        return float(self.rng.uniform(low, high))

    def spread(self, low: float, high: float) -> float:
        """A number between two others, whose logarithm is uniform."""
        return float(np.exp(self.rng.uniform(np.log(low), np.log(high))))

    def chance(self, share: float) -> bool:
        """True in this share of cases."""
        return bool(self.rng.random() < share)

    def tint(self, colour: Colour, spread: float = 0.25) -> Colour:
        """A colour that is darker or brighter by up to `spread`, and a little off in hue."""
        share = self.rng.uniform(1 - spread, 1 + spread) * self.rng.uniform(0.92, 1.08, 3)
        r, g, b = np.array(colour) * share
        return float(r), float(g), float(b)

    def at(self, z: float, d: float) -> tuple[float, float]:
        """The ground point (x, z) there."""
        return beside(self.road, z, d)[0]

    def solid(
        self, z: float, d: float, size: tuple[float, float, float], colour: Colour, **rest: Any
    ) -> Solid:
        """A solid of (width, height, length) along the road. `turn` is its own angle to it."""
        position, heading = beside(self.road, z, d)
        return self.placed(position, size, heading + rest.pop("turn", 0.0), colour, **rest)

    def placed(
        self,
        position: tuple[float, float],
        size: tuple[float, float, float],
        yaw: float,
        colour: Colour,
        **rest: Any,
    ) -> Solid:
        """A solid anywhere, with a texture of its own."""
        seed = int(self.rng.integers(1 << 20))
        return Solid(position, size, float(yaw), colour, seed, **rest)

    def is_free(self, solid: Solid) -> bool:
        """Whether a solid stands on no carriageway, exact to first order in the bends."""
        points = np.concatenate([solid.corners(), [solid.position]])
        x, slope = centre_line(self.road, points[:, 1])
        d = (points[:, 0] - x) / np.sqrt(1.0 + slope * slope)
        return all(d.max() < low - 0.05 or d.min() > high + 0.05 for low, high in self.lanes.bands)
