"""The table of what beyond.py found: all options, data sets and seeds of a folder.

    python experiments/beyond_table.py runs/beyond

Prints it in Markdown, for notes/2026-11-28-beyond-the-paper.md.
"""

import argparse
import ast
import inspect
import json
from pathlib import Path
from typing import Any

import beyond

BESIDES = {  # what else an option needs
    "teacher": (beyond.teacher_term,),
    "auto_blur": (beyond.blur_fine,),
    "split_permute": (beyond.Rearranged, beyond.rearranged),
    "graft": (beyond.Rearranged, beyond.rearranged),
}


def lines_of(names: str) -> int:
    """How many lines of code options by commas are, beside docstrings and the recipe's own two."""
    count = 0
    for name in names.split(","):
        count -= 2
        for function in (beyond.OPTIONS[name], *BESIDES.get(name, ())):
            source = ast.parse(inspect.getsource(function)).body[0]
            docstring = ast.get_docstring(source, clean=False)
            count += len(inspect.getsource(function).splitlines())
            count -= len(docstring.splitlines()) if docstring else 0
    return count


def table(folder: Path) -> list[str]:
    """A table in Markdown of every result in a folder, an option's data sets and seeds together."""
    head = ["option", "data", "seed", *(f"{w}x{h}" for w, h in beyond.RESOLUTIONS)]
    head += ["mean", "worst / best", "s a step", "lines"]
    rows = [head, ["---"] * len(head)]
    found = {path.parent: json.loads(path.read_text()) for path in folder.glob("*/*/result.json")}
    order = {name: i for i, name in enumerate(beyond.OPTIONS)}

    def place(run: Path) -> tuple[Any, ...]:
        names, _, seed = run.name.rpartition("_")
        return [order[name] for name in names.split(",")], run.parent.name != "street", seed

    last = ""
    for run in sorted(found, key=place):
        names, _, seed = run.name.rpartition("_")
        result = found[run]
        errors = list(result["abs_rel"].values())
        first = [f"`{names}`" if names != last else "", run.parent.name.removesuffix("_raw"), seed]
        figures = [f"{error:.3f}".lstrip("0") for error in (*errors, sum(errors) / len(errors))]
        step = result.get("seconds_per_step")
        ends = [f"{result['worst_over_best']:.2f}", f"{step:.2f}" if step else ""]
        rows.append([*first, *figures, *ends, str(lines_of(names)) if names != last else ""])
        last = names
    return ["| " + " | ".join(row) + " |" for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the --workdir of beyond.py")
    print("\n".join(table(parser.parse_args().folder)))


if __name__ == "__main__":
    main()
