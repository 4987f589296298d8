"""The check of the width of Markdown: a long line is found, and what cannot be broken passes."""

import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "check_columns.py"
FULL = "word " * 19 + "words"  # 100 columns


@pytest.mark.parametrize(
    "line",
    [
        FULL,
        f"| {FULL} |",
        f"![{FULL}](street.jpg)",
        f"[{FULL}](street.md)",
        f"{FULL} https://example.org/",
        "    " + "x" * 120,
    ],
)
def test_lines_that_pass(tmp_path, line):
    assert check(tmp_path, line) == (0, "")


def test_a_long_line_is_named(tmp_path):
    code, said = check(tmp_path, f"short\n{FULL}.\nshort")
    assert code == 1
    assert said.endswith("page.md:2: more than 100 columns; break the line\n")


def check(folder: Path, text: str) -> tuple[int, str]:
    page = folder / "page.md"
    page.write_text(text + "\n")
    done = subprocess.run([sys.executable, TOOL, page], capture_output=True, text=True)
    return done.returncode, done.stderr
