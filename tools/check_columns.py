"""Check that the lines of Markdown files have at most 100 columns.

    python tools/check_columns.py README.md docs/*.md ...

Rows of tables, pictures, lines with a link and words that cannot be broken may be longer.
"""

import sys
from pathlib import Path

COLUMNS = 100


def too_long(line: str) -> bool:
    """Whether a line of Markdown should have been broken."""
    exempt = line.lstrip().startswith(("|", "!")) or "](" in line or "://" in line
    return len(line) > COLUMNS and " " in line.strip() and not exempt


if __name__ == "__main__":
    problems = [
        f"{name}:{number}: more than {COLUMNS} columns; break the line"
        for name in sys.argv[1:]
        for number, line in enumerate(Path(name).read_text("utf-8").splitlines(), 1)
        if too_long(line)
    ]
    sys.exit("\n".join(problems) or None)
