"""File names of any bytes and length, some of which belong to files that systems make."""

import contextlib
import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

LONGEST = 255
"""The most bytes that a name may have on nearly every file system."""

# Files that file managers and archives leave behind. Names that begin with a dot are hidden too.
_LEFT_BEHIND = {
    *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r"),
    *("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found"),
}


def hidden(name: str) -> bool:
    """Whether a name is that of a system's file, such as `._1.jpg`, `.DS_Store` or `Thumbs.db`."""
    return name.startswith(".") or name.lower() in _LEFT_BEHIND


def visible(folder: Path) -> list[Path]:
    """The files and folders in a folder, in natural order, without hidden names."""
    paths = [path for path in folder.iterdir() if not hidden(path.name)]
    return sorted(paths, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, str]]:
    """A sorting key that puts `2.png` before `10.png`."""
    return [(int(n or -1), text) for n, text in re.findall(r"([0-9]*)([^0-9]*)", name)]


def shown(text: object) -> str:
    r"""A text as one line of valid UTF-8. Other bytes are escaped, such as `\xe9`.

    Line breaks and other characters that control a terminal are escaped, too.
    """
    data = str(text).encode("utf-8", "surrogatepass")
    with contextlib.suppress(UnicodeEncodeError):
        data = str(text).encode("utf-8", "surrogateescape")
    line = data.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def examples(names: Iterable[object], count: int = 3) -> str:
    """The first few names, separated by commas: `a, b, c, ...`."""
    listed = list(names)
    return ", ".join(map(shown, listed[:count])) + ", ..." * (len(listed) > count)


def counted(number: int, what: str) -> str:
    """A number with a noun: `1 file`, `2 files`."""
    return f"{number} {what}" + "s" * (number != 1)


def shortened(name: str, ending: int = 0) -> str:
    """A name that is short enough to append `ending` bytes. A name that is cut gets a digest.

    Args:
        name: a file's name, without folders.
        ending: how many bytes will be appended to it.
    """
    data = os.fsencode(name)
    if len(data) + ending <= LONGEST:
        return name
    digest = hashlib.sha256(data).hexdigest()[:8]
    room = LONGEST - ending - len(digest) - 1
    # A character is not cut in two, unless its bytes were invalid before.
    whole = next(
        (data[:end] for end in range(room, room - 4, -1) if _is_text(data[:end])), data[:room]
    )
    return f"{os.fsdecode(whole)}~{digest}"


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def follow(names: Sequence[str]) -> list[bool]:
    """Whether each name's number is the next one after the name before it.

    The commonest step counts as one, so `0000.png, 0005.png, 0010.png` follow each other. If most
    names are not counted in one step (such as times and digests), no name is taken to be missing.

    Args:
        names: the names, in natural order.

    Returns:
        A value for each name. The first is False.
    """
    parts = [re.fullmatch(r"(.*?)([0-9]+)([^0-9]*)", name, re.DOTALL) for name in names]
    steps: list[int | None] = []
    for before, after in itertools.pairwise(parts):
        alike = before and after and (before[1], before[3]) == (after[1], after[3])
        steps.append(int(after[2]) - int(before[2]) if alike and after and before else None)
    known = [step for step in steps if step is not None]
    if not known:
        return [False] + [True] * (len(names) - 1)
    usual = max(sorted(set(known)), key=known.count)
    if 2 * known.count(usual) < len(steps):
        return [False] + [True] * (len(names) - 1)
    return [False] + [step == usual for step in steps]
