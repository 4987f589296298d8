"""Argument parsing whose errors are one line, and which shells can complete."""

import argparse
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from radepth_jax.errors import UserError

COMPLETING = "_ARGCOMPLETE"  # a shell that completes sets it to where the arguments begin


def add_allow_plugins(parser: argparse.ArgumentParser) -> None:
    """Add the option of the commands that load a model."""
    parser.add_argument(
        "--allow_plugins",
        action="store_true",
        help="import the modules that a model from the hub or of `radepth push` names in its "
        "config.plugins: programs that may do whatever you may",
    )


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises UserError instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError with the message and where to read more."""
        raise UserError(f"{message}; see {self.prog} --help")

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> Any:
        """Does what argparse's does. If a shell asks for completions, it answers and exits."""
        if COMPLETING in os.environ:
            import argcomplete

            argcomplete.autocomplete(self)
        return super().parse_args(args, namespace)
