"""`radepth prepare NAME --data_dir DIR [...]`: build a data set, once.

The options after NAME are the fields of that data set's configuration. --help lists them.
"""

import argparse
import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from radepth_jax.cli.parser import Parser
from radepth_jax.errors import UserError

if typing.TYPE_CHECKING:
    from radepth_jax.data.builder import FrameDatasetBuilder


def main(argv: list[str]) -> None:
    """Prepare the data set that the arguments name."""
    from radepth_jax.data.prepare import BUILDERS, load_builder, prepare
    from radepth_jax.runs.plugins import import_plugins

    first = Parser("radepth prepare", add_help=False, allow_abbrev=False)
    _add_plugins(first)
    given, argv = first.parse_known_args(argv)
    import_plugins(given.plugins)
    name = argv[0] if argv else ""
    if name in ("-h", "--help"):
        print("usage: radepth prepare NAME[/CONFIGURATION] [--data_dir DIR] [...]\n")
        for family in BUILDERS:
            print(f"  {family:15} {summary(load_builder(family))}")
        print("\n--plugins MODULE,MODULE adds data sets of your own (docs/extending.md).")
        print("radepth prepare NAME --help says where to get its files, and lists its options.")
        return
    family = name.partition("/")[0]  # NAME may carry a configuration: video/mine
    if family not in BUILDERS:
        raise UserError(
            f"{name or 'NAME'}: expected a data set, one of {', '.join(BUILDERS)}, or one of your "
            "own and its --plugins MODULE; see radepth prepare --help"
        )
    options = vars(make_parser(family, load_builder(family)).parse_args(argv[1:]))
    del options["plugins"]  # which are imported
    prepare(name, data_dir=Path(options.pop("data_dir")), **options)


def summary(builder: "type[FrameDatasetBuilder]") -> str:
    """The first line of a builder's docstring."""
    return (builder.__doc__ or "").strip().splitlines()[0]


def make_parser(family: str, builder: "type[FrameDatasetBuilder]") -> Parser:
    """The options of one data set: the fields of its configuration's dataclass.

    A field's type says how its text is read. Its default is the option's default, and its entry in
    the docstring's `Attributes` is the option's help.
    """
    parser = Parser(
        f"radepth prepare {family}",
        description=summary(builder),
        epilog=f"To get its files, {builder.DOWNLOADS}." if builder.DOWNLOADS else None,
    )
    add = parser.add_argument
    if builder.CONFIG_CLASS:
        about = describe_fields(builder.CONFIG_CLASS.__doc__ or "")
        for name, field in builder.options().items():
            default = None if field.default is dataclasses.MISSING else field.default
            required = name in builder.REQUIRED
            text = about.get(name, "").replace("%", "%%")
            if default not in (None, (), False):
                shown = ",".join(default) if isinstance(default, tuple) else default
                text += f" (default: {shown})"
            add(f"--{name}", help=text, required=required, default=default, **reading(field.type))
    if builder.BEAM:
        add(
            "--beam_pipeline_options",
            help="prepare with Apache Beam: "
            "runner=DirectRunner,direct_num_workers=0,direct_running_mode=multi_processing",
        )
    add("--data_dir", default="data", help="the folder of all data sets (default: data)")
    _add_plugins(parser)
    return parser


def _add_plugins(parser: Parser) -> None:
    parser.add_argument(
        "--plugins",
        type=_comma_list,
        default=(),
        metavar="MODULE,MODULE",
        help="modules of your own that add data sets to data.prepare.BUILDERS",
    )


def reading(annotation: Any) -> dict[str, Any]:
    """How argparse reads an option of a type: text, a number, a switch, a choice, a comma list.

    `T | Sequence[T]` is an option that may be repeated. `| None` and `| Path` change nothing.

    Raises:
        TypeError: The type has no form on the command line.
    """
    if annotation is bool:
        return {"action": "store_true"}
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        kinds = [kind for kind in inside if kind not in (type(None), Path)]
        single = [kind for kind in kinds if typing.get_origin(kind) is not Sequence]
        if len(single) == 1:
            return reading(single[0]) | ({"action": "append"} if len(kinds) == 2 else {})
    if origin is typing.Literal:
        return {"choices": inside}
    if origin is tuple and inside == (str, ...):
        return {"type": _comma_list, "action": _Once, "metavar": "A,B"}
    if annotation in (int, float, str):
        return {"type": annotation}
    raise TypeError(f"{annotation}: has no form on the command line")


def describe_fields(docstring: str) -> dict[str, str]:
    """Maps fields to their entries in a docstring's `Attributes`. `a, b: text` is for both."""
    _, _, section = docstring.partition("Attributes:\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        start = re.match(r" {8}(\w+(?:, \w+)*): (.*)", line)
        if start:
            names = start[1].split(", ")
            found |= dict.fromkeys(names, start[2])
        elif line.startswith(" " * 12):
            found |= {name: f"{found[name]} {line.strip()}" for name in names}
        elif line.strip():
            break
    return {name: text.replace("`", "") for name, text in found.items()}


class _Once(argparse.Action):
    """An error if the option is given again, because the earlier values would be forgotten."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) != self.default:
            parser.error(f"{option_string}: given twice; give all its values at once, by commas")
        setattr(namespace, self.dest, values)


def _comma_list(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)
