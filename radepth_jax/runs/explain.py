"""A config in words: every field with its value, what it takes, what it means, and its default."""

import inspect
import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ml_collections import ConfigDict

from radepth_jax.models.build import DECODERS, DTYPES, ENCODERS, POSES
from radepth_jax.models.settings import defaults
from radepth_jax.runs.config import default_config, to_json
from radepth_jax.runs.options import GROUPS, Options
from radepth_jax.settings import Rule, rules
from radepth_jax.views import AUGMENTATIONS
from radepth_jax.views.options import ViewEntry

WIDTH = 100
_TABLES: dict[str, Mapping[str, type]] = {
    "model.depth.encoder": ENCODERS,
    "model.depth.decoder": DECODERS,
    "model.pose": POSES,
}
_KINDS = {bool: "True or False", int: "a whole number", float: "a number", str: "a text"}


class Field(NamedTuple):
    """A field of a config.

    Attributes:
        name: such as "data.batch_size".
        value: what it is.
        default: what it is by itself; None where nothing is.
        rule: what it means and takes; None where nothing in this package reads it.
    """

    name: str
    value: Any
    default: Any
    rule: Rule | None

    @property
    def differs(self) -> bool:
        """Whether the value is not the default."""
        return bool(self.value != self.default)


def explain(config: ConfigDict) -> str:
    """Every field of a config, as an override of the command line, with its explanation.

    Args:
        config: as `default_config`; one that `check_config` takes.
    """
    lines, last = [], None
    for field in fields_of(config):
        lines.append(_override(field))
        if field.rule is None or field.rule is not last:  # the weights of the loss share one
            meaning = field.rule.meaning if field.rule else "Nothing in this package reads it."
            text = textwrap.fill(f"{meaning} [{_taken(field)}]", WIDTH - 6)
            lines.append(textwrap.indent(text, 6 * " "))
        last = field.rule
    return "\n".join(lines)


def fields_of(config: ConfigDict) -> list[Field]:
    """All fields: the run's own, the model's, then the groups in the order of `Options`."""
    known, standard = _rules(config), _defaults(config)
    places = {name: place for place, name in enumerate(known)}

    def setting(name: str) -> str:
        while name and name not in known:  # a part of a dictionary, such as loss.weights
            name = name.rpartition(".")[0]
        return name

    fields = [
        Field(name, value, standard.get(name), known.get(setting(name)))
        for name, value in _leaves(to_json(config))
    ]
    return sorted(fields, key=lambda field: places.get(setting(field.name), len(places)))


def _rules(config: ConfigDict) -> dict[str, Rule]:
    """The rules of all fields, in the order in which they are shown."""
    found = rules(Options)
    found["model.dtype"] = Rule(
        "The type that the networks compute in; parameters stay float32.", choices=tuple(DTYPES)
    )
    for part, table in _TABLES.items():
        found[f"{part}.name"] = Rule(
            "The module; its docstring explains the other fields.", choices=tuple(table)
        )
        for name, meaning in _attributes(_module(config, part)).items():
            found[f"{part}.{name}"] = Rule(meaning)
    for group, cls in GROUPS.items():
        for name, rule in rules(cls).items():
            found[f"{group}.{name}"] = rule
            found |= _rules_within(config, f"{group}.{name}")
    return found


def _rules_within(config: ConfigDict, setting: str) -> dict[str, Rule]:
    """The rules of a dictionary's parts, where these have their own."""
    parts: dict[str, dict[str, Rule]] = {}
    if setting == "views.entries":
        parts = {name: rules(ViewEntry) for name in config.views.entries}
    if setting == "views.augmentations":
        for name in config.views.augmentations:
            said = _documented(AUGMENTATIONS[name], "Args")
            parts[name] = {option: Rule(meaning) for option, meaning in said.items()}
    return {f"{setting}.{part}.{n}": rule for part, own in parts.items() for n, rule in own.items()}


def _defaults(config: ConfigDict) -> dict[str, Any]:
    """The default of every field; a network's of another module are that module's own."""
    found = dict(_leaves(to_json(default_config())))
    for part in _TABLES:
        module = _module(config, part)
        if module is not _module(default_config(), part):
            own = {f"{part}.{name}": value for name, value in defaults(module).items()}
            others = {k: v for k, v in found.items() if not k.startswith(f"{part}.")}
            found = others | {f"{part}.name": found[f"{part}.name"]} | own
    return found


def _module(config: ConfigDict, part: str) -> type:
    """The class of a part of the model, such as "model.pose"."""
    value: Any = config
    for name in part.split("."):
        value = value[name]
    return _TABLES[part][value["name"]]


def _attributes(cls: type) -> dict[str, str]:
    """What the docstrings of a class and of its bases say of its attributes."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        found |= _documented(base, "Attributes")
    return found


def _documented(item: Any, section: str) -> dict[str, str]:
    """What a section of a docstring says of each name."""
    text = inspect.cleandoc(item.__doc__ or "")
    match = re.search(rf"^{section}.*:\n((?: .*\n?|\n)*)", text, re.M)
    parts = re.split(r"^(\w+): ", textwrap.dedent(match[1]), flags=re.M)[1:] if match else []
    return {n: _sentence(meaning) for n, meaning in zip(parts[::2], parts[1::2], strict=True)}


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return words[:1].upper() + words[1:]


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _override(field: Field) -> str:
    """A line that a shell takes; what is no override, or no part of it, is a comment."""
    if isinstance(field.value, Mapping):  # an empty one, which only a config file can fill
        line = f"  # config.{field.name} is empty"
    else:
        line = f"  --config.{field.name}={_quoted(field.value)}"
    if not field.differs:
        return line
    default = "it has no default" if field.default is None else f"default {_quoted(field.default)}"
    return f"{line}  # differs: {default}"


def _quoted(value: Any) -> str:
    """As a shell takes it; in double quotes if these will do, because tuples have single ones."""
    text = str(value)
    quoted = shlex.quote(text)
    return f'"{text}"' if quoted != text and not set(text) & set('"$`\\!') else quoted


def _taken(field: Field) -> str:
    """Such as "a number from 0 to 1"."""
    expected, value = field.rule.expected if field.rule else "", field.value
    if isinstance(value, tuple):
        return f"a tuple, of each item {expected}" if expected else "a tuple"
    if isinstance(value, int):
        expected = expected.replace("a number", "a whole number")
    return expected or _KINDS.get(type(value), "a dictionary")
