"""Errors a user can act on."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one line that names the file or field, says what was expected and what came,
    and what to do. The command line prints it without a traceback and exits with 2.
    """


class PreemptedError(Exception):
    """A run that was asked to end (SIGTERM) has saved; the same command goes on.

    The command line prints the message and exits with PREEMPTED.
    """


PREEMPTED = 75
"""EX_TEMPFAIL: it did not finish, try again. 143 would also be said of a run that saved nothing."""


def reason(error: BaseException) -> str:
    """What an error says of its cause, in one line: never empty, for an end of a message."""
    said = getattr(error, "strerror", None) or str(error)
    lines = str(said).strip().strip("'\"").splitlines()
    return lines[0] if lines and lines[0] else type(error).__name__


@contextlib.contextmanager
def writing_to(folder: str | Path) -> Iterator[None]:
    """Report a full disk or a folder that cannot be written as a UserError.

    Python says so with an OSError; ArrayRecord and TensorStore with other errors' texts.

    Args:
        folder: what is written, for the message.
    """
    try:
        yield
    except UserError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        if full or "No space left on device" in str(error):
            raise UserError(
                f"the disk of {folder} is full; free some space and run the same command again"
            ) from None
        forbidden = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
        if isinstance(error, OSError) and error.errno in forbidden:
            raise UserError(f"{error.filename or folder}: {error.strerror}") from None
        raise
