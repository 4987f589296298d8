"""Settings that explain and check themselves: a field has its default, range and meaning in one.

views/options.py is an example.
"""

import dataclasses
import math
import numbers
import sys
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from ml_collections import ConfigDict

from radepth_jax.errors import UserError


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a setting means, and which values it takes.

    Attributes:
        meaning: sentences for people.
        least: the smallest number, of a tuple or a mapping that of each of its items.
        most: the largest one; None is any finite number, and `math.inf` an infinite one too.
        choices: the values that there are, of a tuple those of its items; all where empty.
    """

    meaning: str
    least: float | None = None
    most: float | None = None
    choices: tuple[Any, ...] = ()

    @property
    def expected(self) -> str:
        """Such as "a number from 0 to 1"; empty where any value of the type will do."""
        if self.choices:
            return f"one of {', '.join(map(str, self.choices))}"
        return "" if self.least is None else _range(self.least, self.most)

    def check(self, name: str, value: Any) -> None:
        """Raise a `UserError` that starts with the setting's `name`, unless the value will do."""
        if isinstance(value, Mapping):
            for key, item in value.items():
                self.check(f"{name}.{key}", item)
        elif isinstance(value, tuple):
            for index, item in enumerate(value):
                self.check(f"{name}[{index}]", item)
        elif self.choices:
            check_choice(name, value, self.choices)
        elif self.least is not None:
            check_number(name, value, self.least, self.most)


def setting(
    default: Any,
    meaning: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: Iterable[Any] = (),
) -> Any:
    """A field of a `Settings` class; the arguments after `default` are those of a `Rule`."""
    metadata = {"rule": Rule(meaning, least, most, tuple(choices))}
    if isinstance(default, Mapping):
        return dataclasses.field(default_factory=lambda: Named(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> None:
    """Raise a `UserError` that starts with the setting's `name`, unless the value is a choice."""
    choices = tuple(choices)
    if value not in choices:
        raise UserError(f"{name}: expected one of {', '.join(map(str, choices))}, got {value!r}")


def check_number(name: str, value: Any, least: float, most: float | None = None) -> None:
    """Raise a `UserError` that starts with the setting's `name`, unless the value is in a range.

    Args:
        name: of the setting.
        value: what it is.
        least: the smallest number.
        most: the largest one; None is any finite number, and `math.inf` an infinite one too.
    """
    number: Any = value if isinstance(value, numbers.Real) else math.nan
    if not least <= number <= (sys.float_info.max if most is None else most):
        raise UserError(f"{name}: expected {_range(least, most)}, got {value!r}")


def _range(least: float, most: float | None) -> str:
    to = "" if most in (None, math.inf) else f" to {most}"
    return f"a number from {least}{to}"


class Named(dict):
    """Values by name that do not change, so that they can be part of what is hashed."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self))  # the names alone: any value will do


@dataclasses.dataclass(frozen=True)
class Settings:
    """A group of the config, whose fields are made by `setting`; hashable.

    Attributes:
        group: its name in the config; empty for the config itself.
    """

    group: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Check every field; lists become tuples, and mappings `Named`.

        Raises:
            UserError: a value is not one that its field takes.
        """
        for name, rule in rules(type(self)).items():
            value = _frozen(getattr(self, name))
            object.__setattr__(self, name, value)
            rule.check(self.name_of(name), value)

    @classmethod
    def name_of(cls, field: str) -> str:
        """The field's name in a config, as messages give it."""
        return ".".join(filter(None, ("config", cls.group, field)))


def rules(cls: type) -> dict[str, Rule]:
    """The rules of the fields of a dataclass, in their order."""
    found = {field.name: field.metadata.get("rule") for field in dataclasses.fields(cls)}
    return {name: rule for name, rule in found.items() if rule is not None}


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    if isinstance(value, Mapping | ConfigDict):
        return Named({key: _frozen(item) for key, item in value.items()})
    return value
