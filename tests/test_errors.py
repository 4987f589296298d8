import errno
import os

import pytest

from radepth_jax.errors import UserError, cannot_write, reason, writing_to


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError(), "ValueError"),
        (ValueError("\n"), "ValueError"),
        (KeyError("name"), "name"),
        (FileNotFoundError(2, "No such file or directory", "a.txt"), "No such file or directory"),
        (OSError("odd"), "odd"),
    ],
)
def test_the_reason_is_one_line_and_never_empty(error, said):
    assert reason(error) == said


class OtherError(Exception):
    """As libraries have their own."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOSPC, "..."), "the disk of there is full; free some space"),
        (OSError(errno.EDQUOT, "..."), "the disk of there is full; free some space"),
        (OtherError("I/O error: No space left on device (os error 28)"), "the disk of there is"),
        (OSError(errno.EFBIG, "..."), "there: a file would become larger than the system allows"),
        (RuntimeError("write() failed: File too large; writing x"), "there: a file would become"),
    ],
)
def test_a_disk_that_takes_no_more_is_one_line(error, said):
    with pytest.raises(UserError, match=said), writing_to("there"):
        raise error


def test_a_full_disk_is_found_behind_the_error_of_cleaning_up():
    behind = OtherError("cannot close it")
    behind.__context__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with pytest.raises(UserError, match="the disk of there is full"), writing_to("there"):
        raise behind


def test_other_errors_stay_what_they_are():
    with pytest.raises(OtherError, match="a bug"), writing_to("there"):
        raise OtherError("a bug")
    assert cannot_write(OtherError("a bug"), "there") is None
