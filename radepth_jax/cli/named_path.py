"""`NAME=PATH`: a file or a folder with the name that a table or a page gives it."""

import os

from radepth_jax.errors import UserError
from radepth_jax.names import shown


def split_name(text: str) -> tuple[str, str]:
    """`NAME=PATH` or `PATH` -> (name, path); the name is "" where none is given.

    Both may hold `=`. What exists decides: the whole text as a path, or else the longest part after
    an `=`. Where nothing exists, the name ends at the first `=`.

    Raises:
        UserError: there is no path.
    """
    text = text.strip()
    parts = text.split("=")
    splits = [("=".join(parts[:i]), "=".join(parts[i:])) for i in range(len(parts))]
    for name, path in splits:
        if os.path.exists(os.path.expanduser(path)):
            return name, path
    name, path = splits[min(1, len(splits) - 1)]
    if not path:
        raise UserError(f"{shown(text)!r}: expected PATH or NAME=PATH")
    return name, path


def split_names(text: str) -> list[tuple[str, str]]:
    """`split_name` of each of a comma-separated list; empty entries are left out."""
    return [split_name(item) for item in text.split(",") if item.strip()]
