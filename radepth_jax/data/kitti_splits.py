"""Which KITTI frames belong to which split, by published lists, list files or whole drives."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import tensorflow_datasets as tfds

from radepth_jax.data.text import read_lines
from radepth_jax.errors import UserError

SPLIT_LISTS_URL = "https://raw.githubusercontent.com/nianticlabs/monodepth2/master/splits"
# Published results use Eigen-Zhou's training frames and Eigen's test frames.
PUBLISHED = {
    "eigen_zhou": {
        "train": "eigen_zhou/train_files.txt",
        "validation": "eigen_zhou/val_files.txt",
        "test": "eigen/test_files.txt",
    },
    "eigen": {"test": "eigen/test_files.txt"},
    # The 652 of Eigen's test images that have annotated depth (Uhrig et al., 2017).
    "eigen_benchmark": {"test": "eigen_benchmark/test_files.txt"},
}
# The names of the lists in a folder.
LIST_FILES = {
    "train": "train_files.txt",
    "validation": "val_files.txt",
    "test": "test_files.txt",
}
_SIDES = {"l": 2, "r": 3}


@dataclasses.dataclass(frozen=True, order=True)
class Target:
    """A listed frame: its `date/drive`, its number and its camera."""

    drive: str
    frame: int
    camera: int


def read_list(path: Path) -> list[Target]:
    """Read lines such as `2011_09_26/2011_09_26_drive_0002_sync 0000000069 l`.

    Raises:
        UserError: The file cannot be read, or a line is not of this form. The message names both.
    """
    targets = []
    for line in read_lines(path, hint="expected a split list", comments="#"):
        words = line.text.split()
        if (
            len(words) != 3
            or words[0].count("/") != 1
            or not words[1].isdecimal()
            or words[2] not in _SIDES
        ):
            raise UserError(
                f"split list {line.where}: expected 'DATE/DRIVE FRAME l|r', got {line.text!r}"
            )
        targets.append(Target(words[0], int(words[1]), _SIDES[words[2]]))
    if not targets:
        raise UserError(f"split list {path}: no frames in it")
    if len(set(targets)) < len(targets):
        targets = list(dict.fromkeys(targets))
    return targets


def find_drives(names: Sequence[str], present: Sequence[str]) -> list[str]:
    """The full `date/drive` of drives.

    A drive is given in full, as its folder's name, or as a number such as 0005.

    Raises:
        UserError: A drive is not there, or several drives have the number.
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


def list_paths(name: str | None, dl_manager: tfds.download.DownloadManager) -> dict[str, Path]:
    """The list files by split. They come from a folder, or are downloaded by a published name.

    Raises:
        UserError: The name is not known, the folder has no lists, or the download failed.
    """
    if name is None:
        return {}
    folder = Path(name).expanduser()
    if folder.is_dir():
        paths = {split: folder / file for split, file in LIST_FILES.items()}
        paths = {split: path for split, path in paths.items() if path.exists()}
        if not paths:
            raise UserError(f"{folder}: none of {', '.join(LIST_FILES.values())} in it")
        return paths
    if name not in PUBLISHED:
        raise UserError(f"split lists {name!r}: expected one of {', '.join(PUBLISHED)}")
    urls = {split: f"{SPLIT_LISTS_URL}/{path}" for split, path in PUBLISHED[name].items()}
    try:
        return {split: Path(path) for split, path in dl_manager.download(urls).items()}
    except Exception as error:  # requests, urllib3 and TFDS have their own
        raise UserError(
            f"split lists {name}: cannot be downloaded from {SPLIT_LISTS_URL} "
            f"({type(error).__name__}); give a folder of list files as --split_lists, "
            "or name drives or list files of kitti_raw"
        ) from None
