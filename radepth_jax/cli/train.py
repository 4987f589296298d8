"""`radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...] [--distributed ...]`."""

import argparse
import os
import re
import shlex
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from absl import flags
from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict, config_flags

from radepth_jax.cli.parser import Parser
from radepth_jax.cli.supervise import supervise
from radepth_jax.errors import PREEMPTED, PreemptedError, UserError

AGAIN = "the same command goes on from the newest checkpoint, if there is one"
USAGE = "usage: radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...]"
ABOUT = "Train from a config file. The same command goes on with a run that was stopped."
CONFIG_HELP = "a config file, such as configs/ra_depth_kitti.py; FILE:NAME is a variant of it"
WORKDIR_HELP = "the folder of the run, for checkpoints, figures and pictures"


def main(argv: list[str]) -> None:
    """Train from the config file and overrides in `argv`."""
    previous = signal.signal(signal.SIGTERM, _end_early)
    try:
        _main(argv)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(AGAIN) from None
    finally:
        signal.signal(signal.SIGTERM, previous)


def _end_early(number: int, frame: FrameType | None) -> None:
    """Handles SIGTERM until the run itself does. There is nothing to save yet."""
    del number, frame
    raise PreemptedError("asked to end (SIGTERM) before training; the same command starts again")


def _main(argv: list[str]) -> None:
    if {"-h", "--help"} & set(argv):
        _print_help(argv)
        return
    group, argv = parse_group(argv)
    if not group.distributed:
        _train(argv)
        return
    watched = supervise(peer_timeout=group.peer_timeout, step_timeout=group.step_timeout)
    try:
        _train_in(group, argv, watched.report_step)
    except UserError as error:
        watched.explain(2, f"radepth train: error: {error}")
        raise SystemExit(2) from None
    except PreemptedError as end:
        watched.explain(PREEMPTED, f"radepth train: {end}")
        raise SystemExit(PREEMPTED) from None
    except KeyboardInterrupt:
        watched.explain(130, f"radepth train: interrupted; {AGAIN}")
        raise SystemExit(130) from None
    except Exception as error:
        lines = str(error).splitlines() or [""]
        watched.explain(1, f"radepth train: error: {type(error).__name__}: {lines[0]} (see above)")
        raise


def _train_in(group: argparse.Namespace, argv: list[str], report_step: Callable[[], None]) -> None:
    """Train as one of a group of processes."""
    import jax

    from radepth_jax.processes import initialize

    set_up(parse(argv)[0])  # every process finds the same errors in it
    initialize(
        group.coordinator,
        group.processes,
        group.process,
        peer_timeout=group.peer_timeout,
        start_timeout=group.step_timeout,
    )
    try:
        _train(argv, report_step)
    except jax.errors.JaxRuntimeError as error:
        if not re.search("Gloo|NCCL|coordination|UNAVAILABLE|DEADLINE", str(error)):
            raise
        print(str(error).splitlines()[0], file=sys.stderr, flush=True)
        os.abort()  # as JAX does if it notices first


def _train(argv: list[str], report_step: Callable[[], None] = lambda: None) -> None:
    config, workdir = parse(argv)
    set_up(config)
    import jax  # after the flags, so that a wrong flag is reported without waiting for JAX

    from radepth_jax.train.loop import train

    train(config, workdir, report_step)
    if jax.process_index() == 0:
        print(f"trained; checkpoints, metrics.jsonl and TensorBoard files are in {workdir}")


def make_parser() -> Parser:
    """A parser of all options but the config's fields, for the help and for completion."""
    parser = Parser("radepth train", usage=USAGE.removeprefix("usage: "), description=ABOUT)
    parser.add_argument("--config", metavar="FILE", help=CONFIG_HELP)
    parser.add_argument(
        "--config.FIELD",
        metavar="VALUE",
        help="another value for a field, as often as need be, such as --config.data.batch_size=8 "
        "or --config.views.resolution=320,96",
    )
    parser.add_argument("--workdir", metavar="DIR", help=WORKDIR_HELP)
    _add_group(parser.add_argument_group("one run of several processes"))
    return parser


def _print_help(argv: list[str]) -> None:
    """Print the options and, if `argv` has a config, its fields with their values."""
    parser = make_parser()
    if not any(re.match("--config(=|$)", argument) for argument in argv):
        parser.epilog = "With --config FILE, --help lists the fields of that config too."
        parser.print_help()
        return
    given = [argument for argument in argv if argument not in ("-h", "--help")]
    config = _read(_split_group(given)[1])[0]
    parser.print_help()
    print("\nfields (radepth_jax/runs/config.py says what each means), with their values:")
    for name, value in flatten_dict(config.to_dict(), sep=".").items():
        print(f"  --config.{name}={_quoted(str(value))}")


def _quoted(text: str) -> str:
    """The text quoted for a shell. Double quotes are preferred, because tuples have single ones."""
    quoted = shlex.quote(text)
    return f'"{text}"' if quoted != text and not set(text) & set('"$`\\!') else quoted


def set_up(config: ConfigDict) -> None:
    """Make the settings that JAX needs before it looks for devices."""
    from radepth_jax.platforms import ask_for_repeatable_kernels
    from radepth_jax.startup import start_program

    start_program()
    if config.train.get("deterministic"):
        ask_for_repeatable_kernels()


def parse_group(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags that say which process of many this is, and the other arguments.

    Raises:
        UserError: Flags do not fit together, or a value is out of range.
    """
    group, others = _split_group(argv)
    for name in ("peer_timeout", "step_timeout"):
        if getattr(group, name) <= 0:
            raise UserError(f"--{name}: expected seconds above 0, got {getattr(group, name)}")
    given = [group.coordinator, group.processes, group.process]
    if given == [None] * 3:
        return group, others
    if None in given:
        raise UserError(
            "--coordinator, --processes and --process go together; with none of them, --distributed"
            " asks the scheduler"
        )
    if not re.fullmatch(r".+:\d+", group.coordinator):
        raise UserError(f"--coordinator: expected HOST:PORT, got {group.coordinator!r}")
    if not 0 <= group.process < group.processes:
        raise UserError(f"--process: expected 0 to {group.processes - 1}, got {group.process}")
    group.distributed = True
    return group, others


def _split_group(argv: list[str]) -> tuple[argparse.Namespace, list[str]]:
    parser = Parser("radepth train", add_help=False, allow_abbrev=False)
    _add_group(parser)
    return parser.parse_known_args(argv)


def _add_group(parser: argparse._ActionsContainer) -> None:
    add = parser.add_argument
    add("--distributed", action="store_true", help="ask the scheduler for the next three")
    add("--coordinator", metavar="HOST:PORT", help="of process 0")
    add("--processes", type=int, metavar="N", help="how many there are")
    add("--process", type=int, metavar="N", help="which of them this is, from 0")
    for name, default, text in (
        ("--peer_timeout", 100, "after which a silent process is dead (100)"),
        ("--step_timeout", 1800, "that a step may take (1800)"),
    ):
        add(name, type=int, metavar="SECONDS", default=default, help=text)


def parse(argv: list[str]) -> tuple[ConfigDict, str]:
    """The config with its overrides, locked, and the working directory.

    Raises:
        UserError: Something is not a config file, a field, or a value of the field's type.
    """
    config, workdir = _read(argv)
    if not workdir:
        raise UserError(f"--workdir: expected a folder for the run's files; {USAGE}")
    return config, workdir


def _read(argv: list[str]) -> tuple[ConfigDict, str | None]:
    """Does what `parse` does, with None if there is no working directory."""
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", None, CONFIG_HELP, flag_values=values)
    flags.DEFINE_string("workdir", None, WORKDIR_HELP, flag_values=values)
    sys.argv = ["radepth", *argv]  # config_flags looks for overrides there
    if not any(a.startswith("--config=") or a == "--config" for a in argv):
        raise UserError(f"--config: expected a file such as configs/ra_depth_kitti.py; {USAGE}")
    try:
        rest = values(sys.argv)
        config: ConfigDict = values["config"].value
        config.lock()
    except Exception as e:  # a config file may raise anything
        # A KeyError's text is the repr of what it was given.
        text = str(e.args[0]) if isinstance(e, KeyError) and e.args else str(e) or repr(e)
        lines = [line.strip() for line in text.splitlines()]
        raise UserError(
            f"{_blamed(argv, text)}: {'; '.join(lines)}; see the config file and "
            "radepth_jax/runs/config.py for the fields and their types"
        ) from e
    _check_given_once(argv, config)
    if len(rest) > 1:
        raise UserError(f"{rest[1]}: expected only flags, such as --config.FIELD=VALUE")
    return config, values["workdir"].value


def _check_given_once(argv: list[str], config: ConfigDict) -> None:
    """Raises a UserError if a tuple is given twice, because absl would join the values."""
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
    """The argument that an error is about."""
    for argument in argv:
        name = argument.split("=")[0]
        if name.startswith("--config.") and (
            name[2:] in message or repr(name.rsplit(".", 1)[-1]) in message.replace("\\", "")
        ):
            return argument
    return next((a for a in argv if a.startswith("--config")), "--config")
