"""What worlds are like: the ranges that a data set chooses, and what one world draws from them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

SEED = 0x5A12  # makes the random numbers of varieties differ from those of worlds
OPEN_ROAD = 1.65  # how much faster we drive on country roads and highways

Ranges = Mapping[str, Any]
"""What each field of a `Variety` is drawn from. A pair is the least and the largest value, between
which all are equally likely. A mapping has values and their shares. Anything else is the value."""


@dataclass(frozen=True)
class Variety:
    """The character of one world. Lengths are in metres, angles in degrees.

    Attributes:
        place: "town", "suburb", "country" or "highway".
        season: "green", "dry" or "autumn", which decides the colours of grass and leaves.
        weather: "clear", "cloudy", "overcast", "rain", "dusk" or "night".
        field_of_view: of the camera, horizontally.
        across: how far the principal point is right of the image's middle, as a share of its width.
        down: how far it is below the middle, as a share of the height.
        height: of the camera above the road.
        yaw, pitch, roll: how the camera is mounted: turned right, looking down, leaning.
        swing: the amplitude of the camera's own turning about the vertical.
        bounce: the amplitude of its nodding, and twice that of its rolling.
        weave: the amplitude of the drive's weaving within its lane.
        speed: the mean advance per frame.
        ripple: by what share of it the speed changes on the way.
        traffic: how dense the traffic is, from 0 to 1.
        lorries: the share of lorries and buses in the traffic.
        people: how many people walk along a side of a street, on average.
        grey: how much colour walls and cars lack, from 0 to 1.
        texture: how strong the texture of walls, cars and asphalt is, from 0 to 1.
        flaws: how much the camera departs from a perfect one, from 0 to 1: in exposure, colours,
            sharpness and noise.
        stops: whether we brake and stop for a moment.
        aspect: the width of the camera's image divided by its height. Images of another shape are
            squeezed. None is the shape of any image, whose pixels are square then.
    """

    place: str
    season: str
    weather: str
    field_of_view: float
    across: float
    down: float
    height: float
    yaw: float
    pitch: float
    roll: float
    swing: float
    bounce: float
    weave: float
    speed: float
    ripple: float
    traffic: float
    lorries: float
    people: float
    grey: float
    texture: float
    flaws: float
    stops: bool
    aspect: float | None

    @property
    def built(self) -> bool:
        """Whether there are buildings and pavements along the road."""
        return self.place in ("town", "suburb")

    def intrinsics(self, size: tuple[int, int]) -> np.ndarray:
        """The camera's intrinsics [3, 3] for images of `size` (h, w)."""
        h, w = size
        fx = 0.5 * w / np.tan(np.radians(0.5 * self.field_of_view))
        fy = fx * (self.aspect or w / h) * h / w
        cx, cy = (0.5 + self.across) * w - 0.5, (0.5 + self.down) * h - 0.5
        return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], np.float32)


def draw_variety(seed: tuple[int, ...], ranges: Ranges) -> Variety:
    """The variety of a seed's world. The same seed gives the same variety."""
    rng = np.random.default_rng((*seed, SEED))
    drawn = {}
    for name, value in ranges.items():
        if isinstance(value, Mapping):
            drawn[name] = list(value)[rng.choice(len(value), p=list(value.values()))]
        elif isinstance(value, tuple):
            # Few cameras are hand-held or loosely mounted.
            share = rng.random() ** (3 if name in ("swing", "bounce") else 1)
            drawn[name] = float(value[0] + share * (value[1] - value[0]))
        else:
            drawn[name] = value
    variety = Variety(**drawn)
    return variety if variety.built else replace(variety, speed=OPEN_ROAD * variety.speed)


RANGES: dict[str, Ranges] = {
    # A drive through a town in fine weather, where all has texture, with a camera as KITTI's.
    "plain": dict(
        place="town",
        season="green",
        weather={"clear": 0.5, "cloudy": 0.5},
        field_of_view=2 * np.degrees(np.arctan(0.5 / 0.58)),
        aspect=1.92 / 0.58,
        across=0.0,
        down=0.0,
        height=1.65,
        yaw=0.0,
        pitch=1.2,
        roll=0.0,
        swing=0.0,
        bounce=0.23,
        weave=(0.0, 0.4),
        speed=(0.5, 0.95),
        ripple=(0.05, 0.25),
        stops={True: 0.2, False: 0.8},
        traffic=(0.4, 0.8),
        lorries=0.0,
        people=0.0,
        grey=(0.0, 0.3),
        texture=1.0,
        flaws=0.0,
    ),
    # For real footage: every world has a camera, a road and a weather of its own.
    "varied": dict(
        place={"town": 0.3, "suburb": 0.2, "country": 0.2, "highway": 0.3},
        season={"green": 0.5, "dry": 0.3, "autumn": 0.2},
        weather=dict(clear=0.42, cloudy=0.22, overcast=0.14, rain=0.08, dusk=0.06, night=0.08),
        field_of_view=(40.0, 110.0),
        aspect=None,
        across=(-0.02, 0.02),
        down=(-0.06, 0.06),
        height=(1.1, 2.2),
        yaw=(-1.5, 1.5),
        pitch=(-3.0, 5.0),
        roll=(-1.5, 1.5),
        swing=(0.0, 2.5),
        bounce=(0.05, 1.2),
        weave=(0.0, 0.15),
        speed=(0.2, 1.2),
        ripple=(0.0, 0.1),
        stops=False,
        traffic=(0.3, 1.0),
        lorries=(0.0, 0.3),
        people=0.8,
        grey=(0.5, 0.95),
        texture=(0.1, 0.6),
        flaws=1.0,
    ),
}
"""Ranges by the name of the kind of world."""
