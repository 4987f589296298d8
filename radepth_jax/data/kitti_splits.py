"""Which KITTI frames belong to which split: published lists, list files, or whole drives."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

from radepth_jax.errors import UserError

SPLIT_LISTS_URL = "https://raw.githubusercontent.com/nianticlabs/monodepth2/master/splits"
# Eigen-Zhou's training frames with Eigen's test frames: what published results are trained with.
PUBLISHED = {
    "eigen_zhou": {
        "train": "eigen_zhou/train_files.txt",
        "validation": "eigen_zhou/val_files.txt",
        "test": "eigen/test_files.txt",
    },
}
_SIDES = {"l": 2, "r": 3}


@dataclasses.dataclass(frozen=True, order=True)
class Target:
    """A listed frame: `date/drive`, frame number, camera."""

    drive: str
    frame: int
    camera: int


def read_list(path: Path) -> list[Target]:
    """Reads lines such as `2011_09_26/2011_09_26_drive_0002_sync 0000000069 l`.

    Raises:
        UserError: naming the file and the line.
    """
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise UserError(f"split list {path}: {reason}") from None
    targets = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        words = line.split()
        if (
            len(words) != 3
            or words[0].count("/") != 1
            or not words[1].isdecimal()
            or words[2] not in _SIDES
        ):
            raise UserError(
                f"split list {path}, line {number}: expected 'DATE/DRIVE FRAME l|r', "
                f"got {line.strip()!r}"
            )
        targets.append(Target(words[0], int(words[1]), _SIDES[words[2]]))
    if not targets:
        raise UserError(f"split list {path}: no frames in it")
    if len(set(targets)) < len(targets):
        targets = list(dict.fromkeys(targets))
    return targets


def find_drives(names: Sequence[str], present: Sequence[str]) -> list[str]:
    """Full `date/drive` of drives given in full, as the folder's name, or as a number like 0005.

    Raises:
        UserError: for a drive that is not there, or a number that several drives have.
    """
    found = []
    for name in names:
        matches = [
            drive
            for drive in present
            if name in (drive, drive.split("/")[1]) or f"_drive_{name}_" in drive
        ]
        if len(matches) != 1:
            have = ", ".join((matches or list(present))[:8])
            problem = "several drives match" if matches else "no such drive; there are"
            raise UserError(f"drive {name!r}: {problem} {have}")
        found.append(matches[0])
    return found


def published_urls(name: str) -> Mapping[str, str]:
    """Addresses of published lists by split. Raises UserError for an unknown name."""
    if name not in PUBLISHED:
        raise UserError(f"split lists {name!r}: expected one of {', '.join(PUBLISHED)}")
    return {split: f"{SPLIT_LISTS_URL}/{path}" for split, path in PUBLISHED[name].items()}
