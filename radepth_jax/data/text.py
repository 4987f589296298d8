"""One lenient reader for small text files, which people, editors and other programs wrote."""

import codecs
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from radepth_jax.errors import UserError, reason
from radepth_jax.names import shown

_LARGEST_JSON = 2**26  # bytes, ten times a transforms.json of ten thousand pictures
_DEEPEST_JSON = 100  # a run's config has 5

# The longer marks come first, because UTF-32's begins with UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Line:
    """A line of a text file that is neither blank nor a comment.

    Attributes:
        text: the line without the white space around it.
        where: the file and the line's number, for messages.
    """

    text: str
    where: str


def decode_text(data: bytes) -> str:
    r"""The text in a file's bytes, without its byte-order mark and with `\n` after each line.

    Raises:
        ValueError: The bytes are not text.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        raise ValueError("not a text file") from None
    # Any bytes after a mark of UTF-16 are characters, but only words and numbers are read here.
    foreign = encoding in ("utf-16", "utf-32") and 2 * sum(map(str.isascii, text)) < len(text)
    if "\0" in text or foreign:
        raise ValueError("not a text file")
    text = text.removesuffix("\x1a")  # DOS marks the end of a file with it
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_text(path: Path, hint: str = "") -> str:
    """`decode_text` of a file.

    Args:
        path: the file.
        hint: what to do if it is not there.

    Raises:
        UserError: The file cannot be opened, or is not text.
    """
    try:
        return decode_text(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{shown(path)}: {reason(error)}{f'; {hint}' if hint else ''}") from None


def read_json(path: Path, what: str) -> Any:
    """The value in a small JSON file that anybody may have written.

    The value is nested at most 100 levels deep, so that code which recurses over it cannot fail.

    Args:
        path: the file.
        what: what the file was expected to be, for messages, such as "a camera".

    Raises:
        UserError: The file cannot be opened, is not JSON, is nested deeper, or has over 64 MiB.
    """
    try:
        if path.stat().st_size > _LARGEST_JSON:
            raise ValueError(f"it is larger than {_LARGEST_JSON >> 20} MiB")
        value = json.loads(decode_text(path.read_bytes()))
        if _depth(value) > _DEEPEST_JSON:
            raise RecursionError
    except (OSError, ValueError) as error:
        raise UserError(f"{shown(path)}: not {what} ({reason(error)})") from None
    except RecursionError:
        raise UserError(
            f"{shown(path)}: not {what} (nested deeper than {_DEEPEST_JSON} levels)"
        ) from None
    return value


def _depth(value: Any) -> int:
    """How many lists and objects are inside one another."""
    depth, level = 0, [value]
    while level := [v for v in level if isinstance(v, dict | list)]:
        depth += 1
        level = [child for v in level for child in (v.values() if isinstance(v, dict) else v)]
    return depth


def read_lines(path: Path, *, hint: str = "", comments: str = "") -> list[Line]:
    """The lines of a text file that are neither blank nor comments.

    Args:
        path: the file.
        hint: what to do if it is not there.
        comments: what begins a comment, which goes on to the line's end. Empty if the format
            has no comments.

    Raises:
        UserError: the same as of `read_text`.
    """
    lines = []
    for number, text in enumerate(read_text(path, hint).split("\n"), 1):
        if comments:
            text = text.partition(comments)[0]
        if text.strip():
            lines.append(Line(text.strip(), f"{shown(path)}, line {number}"))
    return lines


def read_numbers(path: Path, columns: int, *, hint: str = "") -> np.ndarray:
    """float64 [N, columns] from a text file with `columns` finite numbers a line and `#` comments.

    Raises:
        UserError: A line is not of this form. The message names the file and the line.
    """
    rows = []
    for line in read_lines(path, hint=hint, comments="#"):
        try:
            values = [float(word) for word in line.text.split()]
        except ValueError:
            values = []
        if len(values) != columns or not np.isfinite(values).all():
            raise UserError(
                f"{line.where}: expected {columns} numbers, got {shown(line.text[:60])!r}"
            )
        rows.append(values)
    return np.array(rows, float).reshape(-1, columns)


def read_poses(path: Path, *, hint: str = "") -> np.ndarray:
    """Poses in KITTI's form: `world_T_camera`, float64 [N, 4, 4].

    Each line of the file has the 12 numbers of the upper rows of a matrix.

    Raises:
        UserError: As of `read_numbers`.
    """
    rows = read_numbers(path, 12, hint=hint).reshape(-1, 3, 4)
    bottom = np.broadcast_to([0.0, 0, 0, 1], (len(rows), 1, 4))
    return np.concatenate([rows, bottom], axis=1)
