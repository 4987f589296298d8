"""`radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...]`."""

import sys

from absl import flags
from ml_collections import ConfigDict, config_flags

from radepth_jax.cli.cache import use_compilation_cache
from radepth_jax.errors import UserError

USAGE = "usage: radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...]"


def main(argv: list[str]) -> None:
    """Train from the config file and overrides in `argv`."""
    config, workdir = parse(argv)
    use_compilation_cache()
    from radepth_jax.train.loop import train  # after the flags: a wrong one should not wait for JAX

    train(config, workdir)
    print(f"trained; checkpoints, metrics.jsonl and TensorBoard files are in {workdir}")


def parse(argv: list[str]) -> tuple[ConfigDict, str]:
    """The config with its overrides, locked, and the working directory.

    Raises:
        UserError: for anything that is not a config file, a field or a value of the field's type.
    """
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, "a file under configs/", flag_values=values)
    flags.DEFINE_string("workdir", None, "where the run's files go", flag_values=values)
    sys.argv = ["radepth", *argv]  # config_flags looks for overrides there
    if not any(a.startswith("--config=") or a == "--config" for a in argv):
        raise UserError(f"--config: expected a file such as configs/ra_depth_kitti.py; {USAGE}")
    try:
        rest = values(sys.argv)
        config: ConfigDict = values["config"].value
        config.lock()
    except (
        flags.Error,
        AttributeError,
        KeyError,
        ValueError,
        TypeError,
        OSError,
        SyntaxError,
    ) as e:
        lines = [line.strip() for line in str(e).strip("\"'").replace("\\n", "\n").splitlines()]
        raise UserError(
            f"{_blamed(argv, str(e))}: {'; '.join(lines)}; see the config file and "
            "radepth_jax/train/config.py for the fields and their types"
        ) from e
    if len(rest) > 1:
        raise UserError(f"{rest[1]}: expected only flags, such as --config.FIELD=VALUE")
    if not values["workdir"].value:
        raise UserError(f"--workdir: expected a folder for the run's files; {USAGE}")
    return config, values["workdir"].value


def _blamed(argv: list[str], message: str) -> str:
    """The argument an error is about."""
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--config.") and (
            name[2:] in message or repr(name.rsplit(".", 1)[-1]) in message.replace("\\", "")
        ):
            return argument
    return next((a for a in argv if a.startswith("--config")), "--config")
