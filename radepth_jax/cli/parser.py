"""Argument parsing whose errors are one line."""

import argparse
from typing import NoReturn

from radepth_jax.errors import UserError


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` that raises UserError instead of printing its usage."""

    def error(self, message: str) -> NoReturn:
        """Raise UserError with the message and where to read more."""
        raise UserError(f"{message}; see {self.prog} --help")
