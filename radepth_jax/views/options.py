"""Settings of the views (arbitrary-scale augmentation, AS-Aug) and of the augmentations."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from radepth_jax.errors import UserError
from radepth_jax.settings import Named, Settings, check_choice, check_number, rules, setting

PUBLISHED = ("high", "middle", "low")


@dataclasses.dataclass(frozen=True)
class ViewEntry:
    """How a view is made; an entry of `config.views.entries`."""

    # Below a half, the strips that fill the canvas would be wider than the image.
    scale: tuple[float, float] = setting(
        (1.0, 1.0),
        "(smallest, largest) size of the whole frame in the view, as a factor of the canvas's.",
        least=0.5,
    )
    crop: bool = setting(
        False,
        "Whether a frame that is larger than the canvas is cut at random; otherwise it is cut in "
        "the middle. A smaller one stands at the top left, and its last strips are repeated.",
        choices=(True, False),
    )
    augmented: bool = setting(
        False, "Whether the depth network sees it with the augmentations.", choices=(True, False)
    )


@dataclasses.dataclass(frozen=True)
class ViewOptions(Settings):
    """What the views of a sample look like. The defaults are RA-Depth's.

    With all three published names the views are AS-Aug; with the middle one alone there is no
    AS-Aug.
    """

    group = "views"

    resolution: tuple[int, int] = setting((640, 192), "(width, height) of every view.", least=8)
    names: tuple[str, ...] = setting(
        PUBLISHED,
        "Which of the entries are views, the middle one among them. High, middle and low come "
        "first, the published order of BatchNorm's running averages, then the others as given.",
    )
    entries: Mapping[str, ViewEntry] = setting(
        {
            "high": ViewEntry(scale=(1.1, 2.0), crop=True),
            "middle": ViewEntry(augmented=True),
            "low": ViewEntry(scale=(0.7, 0.9)),
        },
        "The views that there are, by name.",
    )
    flip: float = setting(
        0.5, "Probability of a horizontal flip of the whole sample.", least=0, most=1
    )
    augmentations: Mapping[str, Mapping[str, Any]] = setting(
        {
            "colour_jitter": {
                "probability": 0.5,
                "brightness": 0.2,
                "contrast": 0.2,
                "saturation": 0.2,
                "hue": 0.1,
            },
            "colour_cast": {"probability": 0.0, "strength": 0.1},
            "cut_out": {"probability": 0.0, "share": 0.5},
        },
        "The probability of each of `views.AUGMENTATIONS`, and its own options. They change what "
        "the depth network sees of the views that are augmented, and nothing that is compared.",
    )

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
          UserError: a field is out of its range.
        """
        super().__post_init__()
        entries = Named({name: _entry(name, values) for name, values in self.entries.items()})
        object.__setattr__(self, "entries", entries)
        for index, name in enumerate(self.names):
            check_choice(f"config.views.names[{index}]", name, entries)
        if "middle" not in self.names or len(set(self.names)) != len(self.names):
            raise UserError(
                "config.views.names: expected 'middle' and any others of "
                f"{', '.join(entries)}, each once, got {self.names}"
            )
        if entries["middle"].scale != (1, 1):
            raise UserError(
                "config.views.entries.middle.scale: expected (1.0, 1.0), as the others are "
                f"compared with it, got {entries['middle'].scale}"
            )
        first = tuple(name for name in PUBLISHED if name in self.names)
        others = tuple(name for name in self.names if name not in PUBLISHED)
        object.__setattr__(self, "names", first + others)
        if len(self.resolution) != 2:
            raise UserError(
                f"config.views.resolution: expected (width, height), got {self.resolution}"
            )
        for name, given in self.augmentations.items():
            if not isinstance(given, Mapping) or "probability" not in given:
                raise UserError(
                    f"config.views.augmentations.{name}: expected a dictionary of its probability "
                    f"and options, got {given!r}"
                )
            where = f"config.views.augmentations.{name}.probability"
            check_number(where, given["probability"], 0, 1)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of every view."""
        width, height = self.resolution
        return height, width


def _entry(name: str, values: Any) -> ViewEntry:
    """One of `config.views.entries`, checked."""
    where = f"config.views.entries.{name}"
    known = rules(ViewEntry)
    if not isinstance(values, Mapping | ViewEntry):
        raise UserError(f"{where}: expected a dictionary of {', '.join(known)}, got {values!r}")
    given = values if isinstance(values, Mapping) else vars(values)
    for field, value in given.items():
        check_choice(where, field, known)
        known[field].check(f"{where}.{field}", value)
    entry = ViewEntry(**given)
    if (
        not isinstance(entry.scale, tuple)
        or len(entry.scale) != 2
        or entry.scale[0] > entry.scale[1]
    ):
        raise UserError(f"{where}.scale: expected (smallest, largest), got {entry.scale}")
    return entry
