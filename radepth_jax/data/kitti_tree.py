"""An extracted KITTI raw tree: its drives, images and scans."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from radepth_jax.data import schema
from radepth_jax.data.kitti_splits import Target
from radepth_jax.data.kitti_velodyne import CAMERAS, Calibration, read_calibration
from radepth_jax.errors import UserError
from radepth_jax.names import hidden, visible

DOWNLOADS = (
    "download the drives' 'synced+rectified data' and each date's 'calibration' from "
    "https://www.cvlibs.net/datasets/kitti/raw_data.php and extract them into one folder"
)
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
_SCANS, _SCAN_SUFFIXES = "velodyne_points", (".bin.gz", ".bin")


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
            path = self.root / drive / folder / "data"
            self._files[drive, folder] = numbered_files(path, suffixes)
        return self._files[drive, folder]

    def frames(self, drive: str, camera: int) -> dict[int, Path]:
        """A dict of frame number -> image, ascending."""
        return self._list(drive, f"image_{camera:02d}", IMAGE_SUFFIXES)

    def scans(self, drive: str) -> dict[int, Path]:
        """A dict of frame number -> Velodyne scan, ascending."""
        return self._list(drive, _SCANS, _SCAN_SUFFIXES)

    def no_scans(self, drive: str) -> list[str]:
        """The names of files in the scans' folder that are not read."""
        folder, scans = self.root / drive / _SCANS / "data", set(self.scans(drive).values())
        inside = visible(folder) if folder.is_dir() else []
        return [file.name for file in inside if file not in scans]

    def calibrations(self, drives: Iterable[str]) -> dict[str, Calibration]:
        """The calibration of each drive, which is that of its date."""
        dates = {drive: drive.split("/")[0] for drive in drives}
        read = {date: read_calibration(self.root / date) for date in sorted(set(dates.values()))}
        return {drive: read[date] for drive, date in dates.items()}


def numbered_files(folder: Path, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> dict[int, Path]:
    """A dict of number -> file, ascending, of the files that are called by a number.

    Args:
        folder: need not be there.
        suffixes: the endings that count. If a number has several files, the last ending is taken.
    """
    found = sorted(
        (int(number), suffixes.index(f".{ending.lower()}"), file)
        for file in (visible(folder) if folder.is_dir() else ())
        for number, _, ending in [file.name.partition(".")]
        if f".{ending.lower()}" in suffixes and number.isdecimal()
    )
    return {number: file for number, _, file in found}


def sequence_of(drive: str) -> str:
    """The name of the sequence that a `date/drive` becomes."""
    return drive.split("/")[1]


def list_frames(
    images: Mapping[Target, Path], calibrations: Mapping[str, Calibration]
) -> list[schema.Frame]:
    """The images as frames, with the intrinsics of their drive. They are read when stored."""
    return [
        schema.Frame(
            image=path,
            sequence=sequence_of(target.drive),
            camera=target.camera,
            frame=target.frame,
            intrinsics=calibrations[target.drive].intrinsics(target.camera),
            size=calibrations[target.drive].size[target.camera],
        )
        for target, path in images.items()
    ]


def stereo_pairs(sequence: str, calibration: Calibration) -> list[schema.StereoPair]:
    """Both directions of the pair of colour cameras."""
    return [
        schema.StereoPair(sequence, camera, other, calibration.camera_T_camera(other, camera))
        for camera, other in (CAMERAS, CAMERAS[::-1])
    ]
