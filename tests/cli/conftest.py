"""The command line as a user runs it, in this process."""

import sys

import pytest

from radepth_jax.cli import main as cli


@pytest.fixture
def radepth(monkeypatch, capsys):
    """Run `radepth ...` in this process -> (exit code, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["radepth", *map(str, arguments)])
        for command in cli.COMMANDS:  # the tests have a compilation cache of their own
            cache = f"radepth_jax.cli.{command}.use_compilation_cache"
            monkeypatch.setattr(cache, lambda: None, raising=False)
        capsys.readouterr()  # what came before, such as a preparation
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return run
