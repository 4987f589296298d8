"""Settings of the views (arbitrary-scale augmentation, AS-Aug) and of the colour jitter."""

import dataclasses

from radepth_jax.errors import UserError
from radepth_jax.settings import Settings, setting
from radepth_jax.views.view import NAMES


@dataclasses.dataclass(frozen=True)
class ViewOptions(Settings):
    """What the views of a sample look like. The defaults are RA-Depth's.

    With all three names the views are AS-Aug; with the middle one alone there is no AS-Aug.
    """

    group = "views"

    resolution: tuple[int, int] = setting((640, 192), "(width, height) of every view.", least=8)
    names: tuple[str, ...] = setting(
        NAMES,
        "Which views, the middle one among them. Their order is the published one of BatchNorm's "
        "running averages, whatever the order they are given in.",
        choices=NAMES,
    )
    high_scale: tuple[float, float] = setting(
        (1.1, 2.0), "(smallest, largest) scale of the high view.", least=1
    )
    # Below a half, the strips that fill the low view's canvas would be wider than the image.
    low_scale: tuple[float, float] = setting(
        (0.7, 0.9), "(smallest, largest) scale of the low view.", least=0.5, most=1
    )
    flip: float = setting(
        0.5, "Probability of a horizontal flip of the whole sample.", least=0, most=1
    )
    jitter: float = setting(
        0.5,
        "Probability of colour jitter on what the depth network sees of the middle view.",
        least=0,
        most=1,
    )
    brightness: float = setting(
        0.2, "Colour jitter: brightness factors are drawn from 1 +- this.", least=0, most=1
    )
    contrast: float = setting(
        0.2, "Colour jitter: contrast factors are drawn from 1 +- this.", least=0, most=1
    )
    saturation: float = setting(
        0.2, "Colour jitter: saturation factors are drawn from 1 +- this.", least=0, most=1
    )
    hue: float = setting(
        0.1,
        "Colour jitter: shifts of the hue are drawn from +- this, in turns of the colour circle.",
        least=0,
        most=0.5,
    )

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
          UserError: a field is out of its range.
        """
        super().__post_init__()
        if "middle" not in self.names or len(set(self.names)) != len(self.names):
            raise UserError(
                "config.views.names: expected 'middle' with or without 'high' and 'low', got "
                f"{self.names}"
            )
        object.__setattr__(self, "names", tuple(n for n in NAMES if n in self.names))
        if len(self.resolution) != 2:
            raise UserError(
                f"config.views.resolution: expected (width, height), got {self.resolution}"
            )
        for name in ("high_scale", "low_scale"):
            scale = getattr(self, name)
            if len(scale) != 2 or scale[0] > scale[1]:
                raise UserError(f"config.views.{name}: expected (smallest, largest), got {scale}")

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of every view."""
        width, height = self.resolution
        return height, width
