"""A recording for the Rerun viewer: camera, picture, depth and cloud over the frames of a film."""

import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np

from radepth_jax.data.pictures import pad_to_canvas
from radepth_jax.errors import UserError
from radepth_jax.files import atomic_write
from radepth_jax.geometry import se3
from radepth_jax.inference.motion import (
    align_motions,
    alignment_of,
    check_pose_network,
    predict_motions,
)
from radepth_jax.pictures import to_uint8
from radepth_jax.predict.outputs import INSTALL, points_of
from radepth_jax.runs.saved_model import Model

CLOUD_POINTS = 20_000  # in a frame's cloud
CLOUD_EVERY = 10  # the cloud of every tenth frame stays
_FARTHEST = 0.9  # share of a cloud's points that is kept, the nearest: the sky is no surface


class CameraPath:
    """Where the camera is at each frame: `world_T_camera`, where the world is the first camera.

    The pose network predicts it, with the alignment that it was trained with. Translations are in
    the network's own unit of depth.

    Args:
        model: from `load_model`.
        intrinsics: [3, 3] in the frames' pixels.
    """

    def __init__(self, model: Model, intrinsics: np.ndarray) -> None:
        self.model = model
        self._alignment = alignment_of(model, intrinsics)
        self._last: np.ndarray | None = None
        self._world_T_camera = np.eye(4)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """`world_T_camera` [4, 4] of the next frame, uint8 [h, w, 3]. All frames have one size."""
        if self._last is not None:
            later_T_earlier = self._motion(np.stack([self._last, image]))
            self._world_T_camera = self._world_T_camera @ np.linalg.inv(later_T_earlier)
        self._last = image
        return self._world_T_camera

    def _motion(self, frames: np.ndarray) -> np.ndarray:
        size = frames.shape[1:3]
        canvas = (-(-size[0] // 64) * 64, -(-size[1] // 64) * 64)
        frames = np.stack([pad_to_canvas(frame, canvas) for frame in frames])
        sizes = np.array([size, size], np.int32)
        shared: Any = {
            "networks": self.model.networks,
            "resolution": tuple(self.model.config.views.resolution),
        }
        variables = self.model.variables
        motions = predict_motions(variables, frames, sizes, **shared)
        if self._alignment is None:
            return np.asarray(jax.vmap(se3.transform_from_pose)(*motions)[0], np.float64)
        intrinsics, factors, depths = self._alignment
        aligned = align_motions(
            variables, frames, sizes, motions, intrinsics, factors=factors, depths=depths, **shared
        )
        return np.asarray(aligned[0], np.float64)


@contextlib.contextmanager
def rerun_recording(
    path: Path, intrinsics: np.ndarray, *, in_metres: bool, joined: bool = False
) -> Iterator["RerunRecording"]:
    """Yields a writer of an .rrd file. The file is written whole or not at all.

    Args:
        path: the file's path.
        intrinsics: [3, 3] in the frames' pixels.
        in_metres: whether depth is in metres. Otherwise its unit is not known.
        joined: whether the clouds of every tenth frame stay, so that they make a map. That is right
            if the camera's path and the depth have one scale.

    Raises:
        UserError: Rerun is not installed.
    """
    try:
        import rerun
    except ImportError:
        raise UserError(f"--save rrd needs Rerun: {INSTALL}") from None
    with atomic_write(path) as part, _piped_to(part) as pipe:
        stream = rerun.RecordingStream("radepth")
        stream.save(pipe)
        stream.log("world", rerun.ViewCoordinates.RDF, static=True)  # x right, y down
        try:
            yield RerunRecording(rerun, stream, intrinsics, in_metres, joined)
        finally:
            stream.flush()
            stream.disconnect()


@contextlib.contextmanager
def _piped_to(path: Path) -> Iterator[str]:
    """Yields the name of a pipe whose contents go to a file.

    Rerun's own thread dies when the disk is full, and flushing then waits for it for ever. The pipe
    accepts everything, and an error of writing the file is raised here.

    Windows has no names of pipes, so it gets the file's own name.

    Raises:
        OSError: The file cannot be written.
    """
    if sys.platform == "win32":
        yield str(path)
        return
    read, write = os.pipe()

    def copy() -> None:
        with os.fdopen(read, "rb") as pipe:
            try:
                shutil.copyfileobj(pipe, file)
                file.flush()
            finally:
                while pipe.read(2**16):
                    pass

    with path.open("wb") as file, ThreadPoolExecutor(1) as thread:
        copying = thread.submit(copy)
        try:
            yield f"/dev/fd/{write}"
        finally:
            os.close(write)
        copying.result()


@contextlib.contextmanager
def showing(
    path: Path,
    model: Model,
    intrinsics: np.ndarray,
    *,
    metres_per_unit: float | None,
    note: Callable[[str], None],
) -> Iterator[Callable[[np.ndarray, np.ndarray, float], None]]:
    """Yields a function that takes each frame of a film: its picture, depth and time in seconds.

    Args:
        path: the .rrd file's path.
        model: its pose network says where the camera is.
        intrinsics: [3, 3] in the frames' pixels.
        metres_per_unit: metres in a unit of the network's depth. None means unknown.
        note: called with a line if the pose network was never trained. The camera then stands
            still.
    """
    where: Callable[[np.ndarray], np.ndarray] = CameraPath(model, intrinsics)
    moves = True
    try:
        check_pose_network(model, "the camera stands still in the recording")
    except UserError as error:
        note(str(error))
        where, moves = lambda image: np.eye(4), False
    in_metres = metres_per_unit is not None
    with rerun_recording(path, intrinsics, in_metres=in_metres, joined=moves) as written:

        def show(image: np.ndarray, depth: np.ndarray, seconds: float) -> None:
            world_T_camera = where(image).copy()
            world_T_camera[:3, 3] *= metres_per_unit or 1.0
            written.add(image, depth, world_T_camera, seconds)

        yield show


def write_rrd(
    path: Path, depth: np.ndarray, image: np.ndarray, intrinsics: np.ndarray, *, in_metres: bool
) -> None:
    """Writes a recording of one picture; see `rerun_recording` and `RerunRecording.add`."""
    with rerun_recording(path, intrinsics, in_metres=in_metres) as written:
        written.add(image, depth, np.eye(4), 0.0)


class RerunRecording:
    """A recording that is being written; see `rerun_recording`."""

    def __init__(
        self, rerun: Any, stream: Any, intrinsics: np.ndarray, in_metres: bool, joined: bool
    ) -> None:
        self._rr, self._stream, self._intrinsics = rerun, stream, intrinsics
        self._meter = 1.0 if in_metres else None
        self._joined = joined
        self._frames = 0

    def add(
        self, image: np.ndarray, depth: np.ndarray, world_T_camera: np.ndarray, seconds: float
    ) -> None:
        """Append the next frame.

        Args:
            image: [H, W, 3], uint8 or floats in [0, 1].
            depth: [H, W].
            world_T_camera: [4, 4], in the unit of the depth.
            seconds: when it is shown.
        """
        rr, stream = self._rr, self._stream
        image = image if image.dtype == np.uint8 else to_uint8(image)
        height, width = depth.shape
        stream.set_time("frame", sequence=self._frames)
        stream.set_time("time", duration=seconds)
        stream.log(
            "world/camera",
            rr.Transform3D(translation=world_T_camera[:3, 3], mat3x3=world_T_camera[:3, :3]),
        )
        pinhole = rr.Pinhole(image_from_camera=self._intrinsics, resolution=[width, height])
        stream.log("world/camera/picture", pinhole)
        stream.log("world/camera/picture/rgb", rr.Image(image).compress(jpeg_quality=90))
        stream.log("world/camera/picture/depth", rr.DepthImage(depth, meter=self._meter))

        points, colours = thinned(points_of(depth, self._intrinsics), image)
        in_world = points @ world_T_camera[:3, :3].T + world_T_camera[:3, 3]
        cloud = rr.Points3D(in_world.astype(np.float32), colors=colours)
        stream.log("world/cloud", cloud)
        if self._joined and self._frames % CLOUD_EVERY == 0:
            stream.log(f"world/map/{self._frames:06d}", cloud)
        self._frames += 1


def thinned(points: np.ndarray, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """About `CLOUD_POINTS` points [N, 3] and their colours, without the farthest tenth.

    Args:
        points: [H, W, 3].
        image: uint8 [H, W, 3].
    """
    every = max(1, int(np.ceil(np.sqrt(points.shape[0] * points.shape[1] / CLOUD_POINTS))))
    points, image = points[::every, ::every].reshape(-1, 3), image[::every, ::every].reshape(-1, 3)
    near = points[:, 2] <= np.quantile(points[:, 2], _FARTHEST)
    return points[near], image[near]
