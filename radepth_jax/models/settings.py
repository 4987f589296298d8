"""Makes a network's module from its settings in a configuration, through a table of modules."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from ml_collections import ConfigDict

from radepth_jax.errors import UserError
from radepth_jax.settings import check_choice

Config: TypeAlias = Mapping[str, Any] | ConfigDict

FOR_DECODERS = {"for_decoders": True}
"""Metadata of a field that a decoder turns on if it `needs` it. No configuration sets it."""


def make(where: str, table: Mapping[str, type], config: Config, **given: Any) -> Any:
    """The module from a table that `config` names, with the fields of `config` and of `given`.

    Raises:
        UserError: A name or a field is unknown, or a value does not fit. The message names `where`.
    """
    check_choice(f"{where}.name", config["name"], table)
    cls = table[config["name"]]
    lacking = [field for field in given if field not in fields(cls)]
    if lacking:
        raise UserError(
            f"{where}.name is {config['name']!r}: {cls.__name__} has no field {lacking[0]}; "
            "expected policy: Policy = Policy() (radepth_jax/models/policy.py)"
        )
    check_fields(where, config, ["name", *defaults(cls)])
    values = {
        field: tuple(value) if isinstance(value, list | tuple) else value
        for field, value in config.items()
        if field != "name"
    }
    with within(where):
        return cls(**values, **given)


def defaults(cls: type) -> dict[str, Any]:
    """The fields of a module that a configuration sets, and their defaults.

    Raises:
        UserError: A field has no default, or one that a configuration cannot hold.
    """
    return {
        name: _default(cls, field)
        for name, field in fields(cls).items()
        if name not in ("policy", "parent", "name") and not field.metadata.get("for_decoders")
    }


def _default(cls: type, field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        value = field.default
    if not _is_plain(value):
        found = "nothing" if value is dataclasses.MISSING else repr(value)
        raise UserError(
            f"{cls.__name__}.{field.name} has {found} for a default: expected a number, a text, "
            "True or False, or a tuple of these, because a config holds it"
        )
    return value


def _is_plain(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str)


def fields(cls: type) -> dict[str, Any]:
    """All fields of a module, from `dataclasses.fields`, by name."""
    return {field.name: field for field in dataclasses.fields(cls)}


def check_fields(where: str, config: Config, expected: list[str]) -> None:
    """Raise a `UserError` unless `config` has exactly the `expected` fields."""
    unknown = [field for field in config if field not in expected]
    missing = [field for field in expected if field not in config]
    if unknown or missing:
        problem = f"unknown {', '.join(unknown)}" if unknown else f"missing {', '.join(missing)}"
        raise UserError(f"{where}: {problem}; its fields are {', '.join(expected)}")


@contextlib.contextmanager
def within(where: str) -> Iterator[None]:
    """Puts `where` before the name of a field with which a `UserError` starts."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}.{error}") from None
