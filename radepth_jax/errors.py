"""Errors that a user can act on."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


class UserError(Exception):
    """Something that the user gave cannot be used.

    The message is one line that names the file or field, says what was expected and what came,
    and what to do. The command line prints it without a traceback and exits with 2.
    """


class PreemptedError(Exception):
    """A run that was asked to end (SIGTERM) has saved. The same command goes on with it.

    The command line prints the message and exits with PREEMPTED.
    """


class Terminated(KeyboardInterrupt):
    """SIGTERM came. It ends every command but `radepth train` in the same way as Ctrl-C."""


PREEMPTED = 75
"""EX_TEMPFAIL: the run did not finish, so try again. A run that saved nothing may end with 143."""


def reason(error: BaseException) -> str:
    """An error's cause in one line that is never empty, to end a message with."""
    said = getattr(error, "strerror", None) or str(error)
    lines = str(said).strip().strip("'\"").splitlines()
    return lines[0] if lines and lines[0] else type(error).__name__


def cannot_write(error: BaseException, place: object) -> str | None:
    """One line about a full disk or a file-size limit, if that caused the error. Otherwise None.

    Python raises an OSError for it. ArrayRecord, TensorStore and safetensors have it in the texts
    of other errors, and some libraries fail once more while they clean up.

    Args:
        error: the error that was raised.
        place: what was written, for the message.
    """
    cause: BaseException | None = error
    while cause is not None:
        number = cause.errno if isinstance(cause, OSError) else None
        if number in _FULL or any(os.strerror(full) in str(cause) for full in _FULL):
            return f"the disk of {place} is full; free some space and run the same command again"
        if number == errno.EFBIG or os.strerror(errno.EFBIG) in str(cause):
            return (
                f"{place}: a file would become larger than the system allows (`ulimit -f`, or the "
                "file system's own limit); raise the limit or name another folder, and run the "
                "same command again"
            )
        cause = cause.__cause__ or cause.__context__
    return None


_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def writing_to(folder: str | Path) -> Iterator[None]:
    """Report a full disk or a folder that cannot be written as a UserError.

    Args:
        folder: what is written, for the message.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # libraries raise their own errors for it
        line = cannot_write(error, folder)
        if line is not None:
            raise UserError(line) from None
        forbidden = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)
        if isinstance(error, OSError) and error.errno in forbidden:
            raise UserError(f"{error.filename or folder}: {error.strerror}") from None
        raise
