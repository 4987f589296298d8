"""Config files and overrides of their fields on the command line."""

import re
import sys
from typing import Any

from absl import flags
from ml_collections import ConfigDict, config_flags

from radepth_jax.errors import UserError

CONFIG_HELP = "a config file, such as configs/ra_depth_kitti.py; FILE:NAME is a variant of it"
FIELD_HELP = (
    "another value for a field, as often as need be, such as --config.data.batch_size=8 or "
    "--config.views.resolution=320,96"
)
WORKDIR_HELP = "the folder of the run, for checkpoints, figures and pictures"


def has_config(argv: list[str]) -> bool:
    """Whether `--config` is among the arguments."""
    return any(re.match("--config(=|$)", argument) for argument in argv)


def read_config(
    argv: list[str], usage: str, default: ConfigDict | None = None
) -> tuple[ConfigDict, str | None]:
    """The config with its overrides, locked, and the working directory (None without one).

    Args:
        argv: `--config`, `--config.FIELD` and `--workdir`, each with a value.
        usage: ends the message where there is no config file.
        default: the config without a file.

    Raises:
        UserError: for anything that is not a config file, a field or a value of the field's type.
    """
    if default is None and not has_config(argv):
        raise UserError(f"--config: expected a file such as configs/ra_depth_kitti.py; {usage}")
    values = flags.FlagValues()
    flags.DEFINE_string("workdir", None, WORKDIR_HELP, flag_values=values)
    sys.argv = ["radepth", *argv]  # config_flags looks for overrides there
    try:
        if has_config(argv):
            config_flags.DEFINE_config_file("config", None, CONFIG_HELP, flag_values=values)
        else:
            config_flags.DEFINE_config_dict("config", default, CONFIG_HELP, flag_values=values)
        rest = values(sys.argv)
        config: ConfigDict = values["config"].value
        config.lock()
    except Exception as e:  # a config file may raise anything
        # A KeyError's text is the repr of what it was given.
        text = str(e.args[0]) if isinstance(e, KeyError) and e.args else str(e) or repr(e)
        lines = [line.strip() for line in text.splitlines()]
        raise UserError(
            f"{_blamed(argv, text)}: {'; '.join(lines)}; `radepth config` lists the fields with "
            "their values"
        ) from e
    _check_given_once(argv, config)
    if len(rest) > 1:
        raise UserError(f"{rest[1]}: expected only flags, such as --config.FIELD=VALUE")
    return config, values["workdir"].value


def _check_given_once(argv: list[str], config: ConfigDict) -> None:
    """UserError for a tuple that is given twice: the flags' library would join the values."""
    names = [match[1] for a in argv if (match := re.match(r"--?config\.([^=]+)", a))]
    for name in names:
        value: Any = config
        for part in name.split("."):
            value = value.get(part) if isinstance(value, ConfigDict) else None
        if names.count(name) > 1 and isinstance(value, tuple):
            raise UserError(
                f"--config.{name}: given {names.count(name)} times; give all its values at once, "
                f"as --config.{name}=A,B"
            )


def _blamed(argv: list[str], message: str) -> str:
    """The argument an error is about."""
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--config.") and (
            name[2:] in message or repr(name.rsplit(".", 1)[-1]) in message.replace("\\", "")
        ):
            return argument
    return next((a for a in argv if a.startswith("--config")), "--config")
