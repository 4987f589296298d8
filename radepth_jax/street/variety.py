"""What differs from one varied world to the next: the place, the camera, how it is driven."""

from dataclasses import dataclass

import numpy as np

PLACES = ("town", "suburb", "country", "highway")
SEASONS = ("green", "dry", "autumn")
GENERATOR = 0x5A12  # sets the generators of variety apart from those of the worlds themselves


@dataclass(frozen=True)
class Variety:
    """The character of one world; drawn once for it.

    Attributes:
        place: one of `PLACES`.
        season: one of `SEASONS`: the colours of grass and leaves.
        field_of_view: horizontal, degrees, 45 to 100.
        principal: offset of the principal point from the middle of the image, right and down, as
            shares of the width and of the height.
        height: of the camera above the road, metres, 1.1 to 2.2.
        pitch: of the camera, degrees, -4 (up) to 6 (down).
        roll: of the camera, degrees, at most 2 either way.
        swing: amplitude of the camera's own turning about the vertical, degrees.
        bounce: amplitude of its nodding and half that of its rolling, degrees.
        speed: mean advance, metres a frame, 0.2 to 2.0.
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
        """The camera's intrinsics [3, 3] for images of `size` (h, w): square pixels."""
        h, w = size
        f = 0.5 * w / np.tan(np.radians(0.5 * self.field_of_view))
        cx, cy = (0.5 + self.principal[0]) * w - 0.5, (0.5 + self.principal[1]) * h - 0.5
        return np.array([[f, 0, cx], [0, f, cy], [0, 0, 1]], np.float32)


def draw_variety(seed: tuple[int, ...]) -> Variety:
    """The variety of a seed's world: the same seed gives the same one."""
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
