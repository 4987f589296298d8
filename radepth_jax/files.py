"""Files that are written whole or not at all."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from radepth_jax.names import shortened


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a name to write to, which becomes `path` if the block succeeds and is gone if not."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{shortened(path.name, len('..part'))}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
