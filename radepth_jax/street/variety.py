"""How varied worlds differ from one another: in the place, the camera, and the drive."""

from dataclasses import dataclass

import numpy as np

PLACES = ("town", "suburb", "country", "highway")
SEASONS = ("green", "dry", "autumn")
GENERATOR = 0x5A12  # makes the random numbers of varieties differ from those of worlds


@dataclass(frozen=True)
class Variety:
    """The character of one world, which is drawn once for it.

    Attributes:
        place: one of `PLACES`.
        season: one of `SEASONS`. It decides the colours of grass and leaves.
        field_of_view: the horizontal field of view, 45 to 100 degrees.
        principal: the offset of the principal point from the image's middle, right and down, as
            shares of the width and of the height.
        height: the camera's height above the road, 1.1 to 2.2 metres.
        pitch: the camera's pitch, -4 (up) to 6 (down) degrees.
        roll: the camera's roll, at most 2 degrees either way.
        swing: the amplitude of the camera's own turning about the vertical, in degrees.
        bounce: the amplitude of its nodding, and twice that of its rolling, in degrees.
        speed: the mean advance, 0.2 to 2.0 metres per frame.
    """

    place: str
    season: str
    field_of_view: float
    principal: tuple[float, float]
    height: float
    pitch: float
    roll: float
    swing: float
    bounce: float
    speed: float

    def intrinsics(self, size: tuple[int, int]) -> np.ndarray:
        """The camera's intrinsics [3, 3] for images of `size` (h, w). Its pixels are square."""
        h, w = size
        f = 0.5 * w / np.tan(np.radians(0.5 * self.field_of_view))
        cx, cy = (0.5 + self.principal[0]) * w - 0.5, (0.5 + self.principal[1]) * h - 0.5
        return np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]], np.float32)


def draw_variety(seed: tuple[int, ...]) -> Variety:
    """The variety of a seed's world. The same seed gives the same variety."""
    rng = np.random.default_rng((*seed, GENERATOR))
    lively = rng.random() < 0.4  # some cameras are hand-held or loosely mounted
    place = str(rng.choice(PLACES, p=(0.3, 0.2, 0.2, 0.3)))
    slowest, fastest = {"town": (0.2, 1.2), "suburb": (0.2, 1.2)}.get(place, (0.5, 2.0))
    return Variety(
        place=place,
        season=str(rng.choice(SEASONS, p=(0.5, 0.3, 0.2))),
        field_of_view=float(rng.uniform(45, 100)),
        principal=(float(rng.normal(0, 0.01)), float(rng.uniform(-0.06, 0.06))),
        height=float(rng.uniform(1.1, 2.2)),
        pitch=float(np.clip(rng.normal(1.0, 2.5), -4, 6)),
        roll=float(np.clip(rng.normal(0, 0.7), -2, 2)),
        swing=float(rng.uniform(0.5, 2.5) if lively else rng.uniform(0, 0.3)),
        bounce=float(rng.uniform(0.3, 1.2) if lively else rng.uniform(0.05, 0.3)),
        speed=float(rng.uniform(slowest, fastest)),
    )
