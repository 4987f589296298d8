"""`radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...] [--distributed ...]`."""

import argparse
import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType

from ml_collections import ConfigDict

from radepth_jax.cli.config import print_fields
from radepth_jax.cli.config_file import (
    CONFIG_HELP,
    FIELD_HELP,
    WORKDIR_HELP,
    has_config,
    read_config,
)
from radepth_jax.cli.parser import Parser
from radepth_jax.cli.supervise import supervise
from radepth_jax.errors import PREEMPTED, PreemptedError, UserError

AGAIN = "the same command goes on from the newest checkpoint, if there is one"
USAGE = "usage: radepth train --config FILE --workdir DIR [--config.FIELD=VALUE ...]"
ABOUT = "Train from a config file. The same command goes on with a run that was stopped."


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

    from radepth_jax.training.loop import train

    train(config, workdir, callbacks=(lambda step, state: report_step(),))
    if jax.process_index() == 0:
        print(f"trained; checkpoints, metrics.jsonl and TensorBoard files are in {workdir}")


def make_parser() -> Parser:
    """A parser of all options but the config's fields, for the help and for completion."""
    parser = Parser("radepth train", usage=USAGE.removeprefix("usage: "), description=ABOUT)
    parser.add_argument("--config", metavar="FILE", help=CONFIG_HELP)
    parser.add_argument("--config.FIELD", metavar="VALUE", help=FIELD_HELP)
    parser.add_argument("--workdir", metavar="DIR", help=WORKDIR_HELP)
    _add_group(parser.add_argument_group("one run of several processes"))
    return parser


def _print_help(argv: list[str]) -> None:
    """The options and, where `argv` has a config, its fields as `radepth config` prints them."""
    parser = make_parser()
    parser.epilog = (
        "`radepth config FILE` lists the fields of a config with their values, what each takes and "
        "what it means; so does this help with --config FILE."
    )
    parser.print_help()
    if has_config(argv):
        given = [argument for argument in argv if argument not in ("-h", "--help")]
        print("\nfields:")
        print_fields(_split_group(given)[1])


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
    config, workdir = read_config(argv, USAGE)
    if not workdir:
        raise UserError(f"--workdir: expected a folder for the run's files; {USAGE}")
    return config, workdir
