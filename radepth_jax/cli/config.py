"""`radepth config [FILE[:VARIANT]] [--config.FIELD=VALUE ...]`: what every setting is and means."""

from radepth_jax.cli.config_file import CONFIG_HELP, FIELD_HELP, has_config, read_config
from radepth_jax.cli.parser import Parser

USAGE = "usage: radepth config [FILE[:VARIANT]] [--config.FIELD=VALUE ...]"
ABOUT = (
    "Print every field of a config with its value, the values that it takes and what it means, and "
    "mark those that differ from the default. Without FILE it is the published recipe."
)


def main(argv: list[str]) -> None:
    """Print the fields of the config that `argv` names."""
    if {"-h", "--help"} & set(argv):
        make_parser().print_help()
        return
    if argv and not argv[0].startswith("-"):
        argv = [f"--config={argv[0]}", *argv[1:]]
    print_fields(argv)


def make_parser() -> Parser:
    """All options but the config's fields, for the help and for completion."""
    parser = Parser("radepth config", usage=USAGE.removeprefix("usage: "), description=ABOUT)
    parser.add_argument("file", metavar="FILE", nargs="?", help=CONFIG_HELP)
    parser.add_argument("--config.FIELD", metavar="VALUE", help=FIELD_HELP)
    return parser


def print_fields(argv: list[str]) -> None:
    """Print the fields of a config.

    Args:
        argv: `--config` and `--config.FIELD`, as `radepth train` takes them.

    Raises:
        UserError: for a config that cannot be used.
    """
    from radepth_jax.runs.config import check_config, default_config
    from radepth_jax.runs.explain import explain, fields_of

    config, _ = read_config(argv, USAGE, None if has_config(argv) else default_config())
    check_config(config)
    print(explain(config))
    changed = sum(field.differs for field in fields_of(config))
    print(f'\n{changed} of these fields differ from the default; they are marked "# differs".')
