"""The `radepth` command: one sub-command per module of `radepth_jax.cli`."""

import importlib
import io
import os
import signal
import sys

import radepth_jax
from radepth_jax.cli.ending import output_that_may_end, terminated_as_interrupted
from radepth_jax.cli.parser import COMPLETING, Parser
from radepth_jax.errors import PREEMPTED, PreemptedError, Terminated, UserError
from radepth_jax.names import shown

COMMANDS = {
    "prepare": "build a data set from KITTI, your video, or the rendered street",
    "train": "train from a config file; the same command resumes",
    "config": "every setting of a config file: its value, its range and what it means",
    "evaluate": "depth metrics of a checkpoint at a list of resolutions",
    "predict": "depth of images, folders and videos, as pictures, numbers and point clouds",
    "app": "depth of your pictures and videos in a browser",
    "odometry": "how well a pose network, or any trajectory file, follows the camera",
    "convert": "published PyTorch weights to a checkpoint, and back",
    "push": "give a network away on the Hugging Face hub",
    "doctor": "versions, devices, cache and disk, for a bug report",
    "export": "the depth network as one StableHLO or ONNX file",
}


def main() -> None:
    """Run the sub-command that `sys.argv` names.

    A user's error gives one line and exit code 2. A run that was asked to end gives one line and
    exit code 75.
    """
    for stream in (
        sys.stdout,
        sys.stderr,
    ):  # a character that the terminal cannot show must not end a run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    name = " ".join(["radepth", *sys.argv[1:2]])
    with output_that_may_end(shown(name)), terminated_as_interrupted():
        _run()


def _run() -> None:
    if COMPLETING in os.environ:
        complete()
    usage = "usage: radepth COMMAND ...\n" + "\n".join(
        f"  {name:10} {text}" for name, text in COMMANDS.items()
    )
    if sys.argv[1:] == ["--version"]:
        print(f"radepth {radepth_jax.__version__}")
        raise SystemExit(0)
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help", "help"):
        print(usage)
        raise SystemExit(0 if len(sys.argv) > 1 else 2)
    name = sys.argv[1]
    if "" not in sys.path:  # a console script's path begins with its own folder, not with this one
        sys.path.append("")  # plugins; last, so that no file here hides an installed package
    if name not in COMMANDS:
        print(f"radepth: error: {name}: no such command\n{usage}", file=sys.stderr)
        raise SystemExit(2)
    try:
        importlib.import_module(f"radepth_jax.cli.{name}").main(sys.argv[2:])
    except UserError as error:
        print(f"radepth {name}: error: {shown(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except PreemptedError as end:
        print(f"radepth {name}: {end}", file=sys.stderr)
        raise SystemExit(PREEMPTED) from None
    except KeyboardInterrupt as end:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second one would only disturb the end
        again = str(end) or "the same command starts over"
        print(f"radepth {name}: interrupted; {again}", file=sys.stderr)
        number = signal.SIGTERM if isinstance(end, Terminated) else signal.SIGINT
        raise SystemExit(128 + number) from None


def complete() -> None:
    """Answer a shell that asks for completions (`register-python-argcomplete radepth`)."""
    line = os.environ.get("COMP_LINE", "")[: int(os.environ.get("COMP_POINT", "0"))]
    whole = line.split()[1:] if line.endswith(" ") else line.split()[1:-1]
    parser = Parser("radepth")
    if not whole:
        parser.add_argument("command", choices=list(COMMANDS))
    elif whole[0] in ("config", "train"):  # their other options are the config's fields
        os.environ[COMPLETING] = "2"
        parser = importlib.import_module(f"radepth_jax.cli.{whole[0]}").make_parser()
    elif whole == ["prepare"]:
        from radepth_jax.data.prepare import BUILDERS

        os.environ[COMPLETING] = "2"
        parser.add_argument("name", choices=list(BUILDERS))
    elif whole[0] in COMMANDS:
        os.environ[COMPLETING] = "3" if whole[0] == "prepare" else "2"
        importlib.import_module(f"radepth_jax.cli.{whole[0]}").main(whole[1:2])
    parser.parse_args([])


if __name__ == "__main__":
    main()
