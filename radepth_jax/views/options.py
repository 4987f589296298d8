"""Settings of the views (arbitrary-scale augmentation, AS-Aug) and of the colour jitter."""

import dataclasses

from radepth_jax.errors import UserError
from radepth_jax.views.view import NAMES


@dataclasses.dataclass(frozen=True)
class ViewOptions:
    """What the views of a sample look like. The defaults are RA-Depth's.

    With all three names the views are AS-Aug; with the middle one alone there is no AS-Aug.

    Attributes:
      resolution: (width, height) of every view.
      names: which views, a subset of high, middle and low that has the middle one. They are put
        in that order, in which the published code updates BatchNorm's running averages.
      high_scale: range of the high view's scale, at least 1.
      low_scale: range of the low view's scale, within [0.5, 1].
      flip: probability of a horizontal flip of everything.
      jitter: probability of colour jitter on what the depth network sees of the middle view.
      brightness: brightness factors are drawn from 1 +- this.
      contrast: likewise.
      saturation: likewise.
      hue: shifts are drawn from +- this, in turns of the colour circle, at most 0.5.
    """

    resolution: tuple[int, int] = (640, 192)
    names: tuple[str, ...] = NAMES
    high_scale: tuple[float, float] = (1.1, 2.0)
    low_scale: tuple[float, float] = (0.7, 0.9)
    flip: float = 0.5
    jitter: float = 0.5
    brightness: float = 0.2
    contrast: float = 0.2
    saturation: float = 0.2
    hue: float = 0.1

    def __post_init__(self) -> None:
        """Checks every field; lists (from configurations) become tuples.

        Raises:
          UserError: a field is out of its range.
        """
        for field in ("resolution", "names", "high_scale", "low_scale"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        unknown = set(self.names) - set(NAMES)
        if unknown or "middle" not in self.names or len(set(self.names)) != len(self.names):
            raise UserError(
                f"views.names is {self.names}; expected 'middle' with or without 'high' and 'low'"
            )
        object.__setattr__(self, "names", tuple(n for n in NAMES if n in self.names))
        if len(self.resolution) != 2 or min(self.resolution) < 8:
            raise UserError(
                f"views.resolution is {self.resolution}; expected (width, height), at least 8 each"
            )
        _check_range("high_scale", self.high_scale, 1.0, float("inf"))
        # Below a half, the strips that fill the low view's canvas would be wider than the image.
        _check_range("low_scale", self.low_scale, 0.5, 1.0)
        limits = {"brightness": 1, "contrast": 1, "saturation": 1, "hue": 0.5}
        for field, limit in {"flip": 1, "jitter": 1, **limits}.items():
            value = getattr(self, field)
            if not 0 <= value <= limit:
                raise UserError(f"views.{field} is {value}; expected a number from 0 to {limit}")

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of every view."""
        width, height = self.resolution
        return height, width


def _check_range(field: str, value: tuple[float, ...], lowest: float, highest: float) -> None:
    if len(value) != 2 or not lowest <= value[0] <= value[1] <= highest:
        bound = f"{lowest} <= smallest <= largest" + (f" <= {highest}" if highest < 10 else "")
        raise UserError(f"views.{field} is {value}; expected (smallest, largest) with {bound}")
