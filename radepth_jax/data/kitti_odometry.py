"""KITTI odometry: driven sequences with the pose of every frame, to evaluate a pose network."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.kitti_tree import numbered_files, stereo_pairs
from radepth_jax.data.kitti_velodyne import CAMERAS, Calibration, read_projections
from radepth_jax.data.text import read_numbers, read_poses
from radepth_jax.errors import UserError
from radepth_jax.names import examples, visible

DOWNLOADS = (
    "download 'odometry data set (color, 65 GB)', 'calibration files' and 'ground truth poses' "
    "from https://www.cvlibs.net/datasets/kitti/eval_odometry.php and extract them into one "
    "folder"
)
TEST_SEQUENCES = ("09", "10")  # published pose networks are evaluated on these (Zhou et al., 2017)


@dataclasses.dataclass(eq=False, kw_only=True)
class KittiOdometryConfig(tfds.core.BuilderConfig):
    """What to prepare.

    Attributes:
        source: the folder that holds `sequences` and `poses`.
        sequences: the sequences that make the test split.
    """

    source: str | Path | None = None
    sequences: tuple[str, ...] = TEST_SEQUENCES


class KittiOdometry(FrameDatasetBuilder):
    """KITTI odometry: the rectified colour cameras (2 left, and 3 right if it is there).

    Every frame is stored, and every frame of camera 2 is a test sample without depth. The published
    poses are those of camera 0. What is stored are each camera's own poses, `world_T_camera =
    world_T_camera0 @ camera0_T_camera`, with the offset between the rectified cameras from
    `calib.txt` (6 cm from camera 0 to 2). The world is camera 0 at the first frame. Frames that are
    missing, or that have no pose, are listed in `problems.txt`.
    """

    CONFIG_CLASS = KittiOdometryConfig
    DOWNLOADS = DOWNLOADS
    REQUIRED: ClassVar[dict[str, str]] = {"source": "the folder of 'sequences' and 'poses'"}
    HOMEPAGE = "https://www.cvlibs.net/datasets/kitti/eval_odometry.php"
    CITATION = """@inproceedings{Geiger2012CVPR,
  author = {Andreas Geiger and Philip Lenz and Raquel Urtasun},
  title = {Are we ready for Autonomous Driving? The KITTI Vision Benchmark Suite},
  booktitle = {Conference on Computer Vision and Pattern Recognition (CVPR)},
  year = {2012}
}"""

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """List the tree. Images are read when they are stored."""
        del dl_manager
        root, names = self.source_folder(), self.builder_config.sequences
        if not (root / "sequences").is_dir():
            raise UserError(
                f"{root}: no folder 'sequences' in it; expected sequences/09/image_2/000000.png, "
                f"sequences/09/calib.txt, poses/09.txt: {DOWNLOADS}"
            )
        if not names:
            raise UserError("kitti_odometry: --sequences is empty; expected such as 09,10")
        problems: list[str] = []
        sequences = [_read_sequence(root, name, problems) for name in dict.fromkeys(names)]
        return schema.Contents(
            frames=[frame for sequence in sequences for frame in _list_frames(sequence)],
            samples={
                "test": [
                    schema.Sample(r.name, 2, frame) for r in sequences for frame in r.images[2]
                ]
            },
            stereo=[
                pair
                for r in sequences
                if r.images[3]
                for pair in stereo_pairs(r.name, r.calibration)
            ],
            problems=problems,
        )


@dataclasses.dataclass(frozen=True)
class _Sequence:
    """The files of one sequence.

    Attributes:
        images: for each camera, a dict of frame number -> file, ascending.
        calibration: the calibration of cameras 0, 2 and 3.
        times: [N] seconds, one for each frame.
        world_T_camera0: [M, 4, 4], one for each frame.
    """

    name: str
    images: dict[int, dict[int, Path]]
    calibration: Calibration
    times: np.ndarray
    world_T_camera0: np.ndarray  # noqa: N815


def _read_sequence(root: Path, name: str, problems: list[str]) -> _Sequence:
    folder = root / "sequences" / name
    if not folder.is_dir():
        there = examples((path.name for path in visible(root / "sequences")), 30)
        raise UserError(f"kitti_odometry: no sequence {name!r} in {root}; there are {there}")
    images = {camera: numbered_files(folder / f"image_{camera}") for camera in CAMERAS}
    if not images[2]:
        raise UserError(f"{folder / 'image_2'}: no images; expected 000000.png, 000001.png, ...")
    if images[3] and images[2].keys() != images[3].keys():
        count = len(images[2].keys() ^ images[3].keys())
        problems.append(f"sequence {name}: {count} frames are there for one camera only")
    poses_path = root / "poses" / f"{name}.txt"
    poses = read_poses(poses_path, hint="KITTI publishes poses of the sequences 00 to 10")
    times = read_numbers(folder / "times.txt", 1, hint="it comes with the calibration files")
    for path, rows in ((poses_path, poses), (folder / "times.txt", times)):
        beyond = [frame for frame in images[2] if frame >= len(rows)]
        if beyond:
            problems.append(f"{path}: {len(rows)} lines, none for {len(beyond)} frames of image_2")
    return _Sequence(
        name=name,
        images=images,
        calibration=read_projections(folder / "calib.txt"),
        times=times[:, 0],
        world_T_camera0=poses,
    )


def _list_frames(sequence: _Sequence) -> list[schema.Frame]:
    frames = []
    for camera in CAMERAS:
        camera0_T_camera = sequence.calibration.camera_T_camera(0, camera)
        for frame, path in sequence.images[camera].items():
            pose = time = None
            if frame < len(sequence.world_T_camera0):
                pose = sequence.world_T_camera0[frame] @ camera0_T_camera
            if frame < len(sequence.times):
                time = float(sequence.times[frame])
            frames.append(
                schema.Frame(
                    image=path,
                    sequence=sequence.name,
                    camera=camera,
                    frame=frame,
                    intrinsics=sequence.calibration.intrinsics(camera),
                    world_T_camera=pose,
                    time=time,
                )
            )
    return frames
