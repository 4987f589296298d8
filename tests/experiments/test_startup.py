"""Every script that computes sets its process up first, as the commands do."""

import ast
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "experiments"
# The first compiles for devices that are not there, the second computes on a GPU.
NOT_ON_A_CPU = {"accelerator", "on_gpu"}


def calls(tree: ast.AST) -> set[str]:
    """The names of all functions that are called: `start_program`, `runner.main`."""
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}


def computes(tree: ast.AST) -> bool:
    """Whether a script trains, evaluates, or compiles a program of its own."""
    return bool(
        calls(tree) & {"train", "loop.train", "evaluate", "jax.jit", "jax.pmap", "pmap_step"}
    )


def is_program(tree: ast.AST) -> bool:
    return any(isinstance(n, ast.If) and "__main__" in ast.unparse(n.test) for n in ast.walk(tree))


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.py")), ids=lambda path: path.stem)
def test_a_script_that_computes_sets_its_process_up(path):
    tree = ast.parse(path.read_text())
    if is_program(tree) and computes(tree) and path.stem not in NOT_ON_A_CPU:
        assert calls(tree) & {"start_program", "runner.main"}
