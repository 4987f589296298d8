"""Files that are written whole or not at all, and arrays that are read where they lie."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

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


def open_npy(path: Path) -> np.ndarray:
    """The array in an NPY file, its values still on disk; pickled objects are never opened.

    Raises:
        ValueError: it is none, or not all of it, or cannot be opened.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise ValueError(error.strerror) from None
    except Exception as error:  # damaged headers make the parser raise almost anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"not an NPY file of numbers, or not all of it ({reason})") from None
