"""Files that are written whole or not at all, and arrays that are read without loading them."""

import contextlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from radepth_jax.names import shortened

try:
    import fcntl
except ImportError:  # Windows has none
    HAS_LOCKS = False
else:
    HAS_LOCKS = True


def lock(file: IO[Any], *, wait: bool = True) -> None:
    """Locks an open file until it is closed. Windows has no such locks, so it does nothing there.

    Args:
        file: an open file.
        wait: whether to wait while another process has the lock.

    Raises:
        OSError: The file system has no locks, or another process has the lock.
    """
    if HAS_LOCKS:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yields a file name to write to. If the block succeeds, the file becomes `path`.

    If the block fails, the file is deleted. Each writer has its own file, so several writers may
    write the same `path`. The last one to end determines its contents.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _own_part(path) as part:
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def remove_stale_parts(folders: Iterable[Path]) -> None:
    """Delete the files that killed writers left behind. Files of living writers stay.

    Nothing is deleted on Windows, where no lock tells the ones from the others.

    Args:
        folders: the folders that `atomic_write` was writing to. They need not exist.
    """
    if not HAS_LOCKS:
        return
    for folder in set(folders):
        with contextlib.suppress(OSError):
            parts = [path for path in folder.iterdir() if _PART.fullmatch(path.name)]
            for part in parts:
                with part.open("rb") as file, contextlib.suppress(OSError):
                    lock(file, wait=False)
                    part.unlink(missing_ok=True)


_PART = re.compile(r"\..+\.[0-9a-f]{8}\.part", re.DOTALL)


@contextlib.contextmanager
def _own_part(path: Path) -> Iterator[Path]:
    """Yields the name of a new file beside `path`, which is locked while its writer lives."""
    while True:
        ending = f".{secrets.token_hex(4)}.part"
        part = path.with_name(f".{shortened(path.name, len(ending) + 1)}{ending}")
        with part.open("xb") as file:
            if not HAS_LOCKS:
                file.close()  # Windows neither renames nor deletes an open file
                yield part
                return
            with contextlib.suppress(OSError):  # the file system may have no locks
                lock(file)
            # Another writer may have deleted it as stale before it was locked.
            if os.fstat(file.fileno()).st_nlink:
                yield part
                return


def open_npy(path: Path) -> np.ndarray:
    """The array in an NPY file. Its values stay on disk, and pickled objects are never opened.

    Raises:
        ValueError: The file is not an NPY file, is not complete, or cannot be opened.
    """
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise ValueError(error.strerror) from None
    except Exception as error:  # damaged headers make the parser raise almost anything
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise ValueError(f"not an NPY file of numbers, or not all of it ({reason})") from None
