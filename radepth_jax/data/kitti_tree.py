"""An extracted KITTI raw tree: its drives, images and scans."""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path

from radepth_jax.data import schema
from radepth_jax.data.kitti_splits import Target
from radepth_jax.data.kitti_velodyne import Calibration
from radepth_jax.data.parallel_reading import ParallelReading
from radepth_jax.errors import UserError
from radepth_jax.names import hidden, visible

DOWNLOADS = (
    "download the drives' 'synced+rectified data' and each date's 'calibration' from "
    "https://www.cvlibs.net/datasets/kitti/raw_data.php and extract them into one folder"
)
_IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")  # if a frame has two files, the later kind counts
_SCANS, _SCAN_SUFFIXES = "velodyne_points", (".bin.gz", ".bin")

Images = dict[tuple[str, int], dict[int, Path]]
"""Maps (`date/drive`, camera) to a dict of frame number -> image, ascending."""


class KittiTree:
    """The files of an extracted tree. A folder is listed when it is first asked for."""

    def __init__(self, root: Path):
        self.root = root
        self.drives = sorted(
            f"{path.parent.name}/{path.name}"
            for path in root.glob("????_??_??/*_drive_*_sync")
            if path.is_dir() and not hidden(path.name)
        )
        self._files: dict[tuple[str, str], dict[int, Path]] = {}
        if not self.drives:
            raise UserError(
                f"{root}: no KITTI drives in it; expected folders such as "
                f"2011_09_26/2011_09_26_drive_0001_sync; {DOWNLOADS}"
            )

    def _list(self, drive: str, folder: str, suffixes: tuple[str, ...]) -> dict[int, Path]:
        if (drive, folder) not in self._files:
            found = sorted(
                (int(number), suffixes.index(f".{ending.lower()}"), file)
                for file in self._visible(drive, folder)
                for number, _, ending in [file.name.partition(".")]
                if f".{ending.lower()}" in suffixes and number.isdecimal()
            )
            self._files[drive, folder] = {number: file for number, _, file in found}
        return self._files[drive, folder]

    def _visible(self, drive: str, folder: str) -> list[Path]:
        path = self.root / drive / folder / "data"
        return visible(path) if path.is_dir() else []

    def frames(self, drive: str, camera: int) -> dict[int, Path]:
        """A dict of frame number -> image, ascending."""
        return self._list(drive, f"image_{camera:02d}", _IMAGE_SUFFIXES)

    def scans(self, drive: str) -> dict[int, Path]:
        """A dict of frame number -> Velodyne scan, ascending."""
        return self._list(drive, _SCANS, _SCAN_SUFFIXES)

    def no_scans(self, drive: str) -> list[str]:
        """The names of files in the scans' folder that are not read."""
        scans = set(self.scans(drive).values())
        return [file.name for file in self._visible(drive, _SCANS) if file not in scans]


def open_tree(source: str | Path | None, name: str) -> KittiTree:
    """List the drives. If there are none, a UserError says what to download.

    Args:
        source: the folder that holds the date folders.
        name: the data set's name, for messages.
    """
    if source is None:
        raise UserError(
            f"{name}: --source is missing: the folder that holds 2011_09_26 and so on; {DOWNLOADS}"
        )
    root = Path(source).expanduser()
    if not root.is_dir():
        raise UserError(f"{root}: no such folder; {DOWNLOADS}")
    return KittiTree(root)


def sequence_of(drive: str) -> str:
    """The name of the sequence that a `date/drive` becomes."""
    return drive.split("/")[1]


def only_targets(images: Images, targets: Iterable[Target]) -> Images:
    """The images that are targets."""
    wanted = set(targets)
    return {
        (drive, camera): {
            frame: path for frame, path in paths.items() if Target(drive, frame, camera) in wanted
        }
        for (drive, camera), paths in images.items()
    }


def read_frames(
    images: Images,
    calibrations: Mapping[str, Calibration],
    problems: list[str],
) -> ParallelReading[schema.Frame]:
    """Frames with the intrinsics of their date. Files that cannot be opened are `problems`."""
    keys = [
        (Target(drive, frame, camera), path)
        for (drive, camera), paths in images.items()
        for frame, path in paths.items()
    ]
    return ParallelReading(keys, functools.partial(_read_frame, calibrations), problems)


def _read_frame(
    calibrations: Mapping[str, Calibration], key: tuple[Target, Path]
) -> tuple[schema.Frame | None, str]:
    target, path = key
    calibration = calibrations[target.drive.split("/")[0]]
    try:
        image = path.read_bytes()
    except OSError as error:
        return None, f"{path}: {error.strerror}; left out"
    frame = schema.Frame(
        image=image,
        sequence=sequence_of(target.drive),
        camera=target.camera,
        frame=target.frame,
        intrinsics=calibration.intrinsics(target.camera),
        size=calibration.size[target.camera],
        origin=str(path),
    )
    return frame, ""
