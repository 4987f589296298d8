"""Prepared data sets: open one, and read training samples or evaluation images from it.

Everything here has random access. It can be pickled for loader workers, which open the files anew.
"""

import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.errors import UserError, reason

FrameOffset = int | Literal["s"]

_log = logging.getLogger(__name__)


class Dataset:
    """A prepared data set.

    Attributes:
        directory: the folder of the data set, `<data_dir>/<name>/<config>/<version>`.
        name: `<name>/<config>`, for messages.
        metadata: the canvases, the index of frames, the targets, the stereo transforms and the
            protocol.
    """

    def __init__(self, directory: Path, name: str):
        """Read the metadata.

        Raises:
            UserError: A file is missing, or has another schema.
        """
        self.directory = Path(directory)
        self.name = name
        self._sources: dict[str, Any] = {}
        again = f"delete {self.directory} and run 'radepth prepare {name}' again"
        try:
            self._builder = tfds.builder_from_directory(self.directory)
            self.metadata = schema.Metadata.from_json(self._builder.info.metadata)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"data set {name}: unreadable metadata ({reason(error)}); {again}"
            ) from None
        for split_info in self._builder.info.splits.values():
            for path in split_info.filepaths:
                if not path.exists():
                    raise UserError(f"data set {name}: {path} is missing; {again}")

    def __getstate__(self) -> dict[str, Any]:
        return {"directory": self.directory, "name": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    def canvas(self) -> tuple[int, int]:
        """The (H0, W0) that every image is padded to."""
        return self.metadata.canvas

    @property
    def splits(self) -> dict[str, int]:
        """How many samples each split has."""
        return {split: len(targets) for split, targets in self.metadata.targets.items()}

    def has_depth(self, split: str) -> bool:
        """Whether any sample of a split has a depth map."""
        return self.metadata.with_depth.get(split, 0) > 0

    def targets(self, split: str) -> list[int]:
        """The positions of a split's target frames.

        Raises:
            UserError: The split has none.
        """
        if split not in schema.SAMPLE_SPLITS:
            raise UserError(f"no split {split!r}; the splits are {', '.join(schema.SAMPLE_SPLITS)}")
        targets = self.metadata.targets.get(split, [])
        if not targets:
            has = ", ".join(f"{name} ({n})" for name, n in self.splits.items())
            raise UserError(f"data set {self.name}: the split {split!r} is empty; it has {has}")
        return targets

    def size(self, split: str) -> int:
        """Bytes of all records of a split, or of `frames`."""
        return int(self._builder.info.splits[split].num_bytes)

    def record(self, split: str, position: int) -> dict[str, Any]:
        """One record as it is stored. Raises a UserError if its file is damaged."""
        if split not in self._sources:
            self._sources[split] = self._builder.as_data_source(split=split)
        try:
            return self._sources[split][position]
        except Exception as error:  # ArrayRecord and protobuf have no common exception
            raise UserError(
                f"data set {self.name}: record {position} of {split!r} in {self.directory} cannot "
                f"be read ({reason(error)}); prepare it again"
            ) from None

    def image(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """A frame, uint8 [h, w, 3], and its intrinsics, float32 [3, 3].

        Raises:
            UserError: The frame does not decode. The message names it.
        """
        record = self.record(schema.FRAMES, position)
        try:
            return schema.decode_image(record["image"]), record["intrinsics"]
        except ValueError as error:
            raise UserError(f"{self._where(position)}: corrupt image ({error})") from None

    def _where(self, position: int) -> str:
        name = schema.frame_name(*self.metadata.index.locate(position))
        return f"{name} (record {position} of 'frames' in {self.directory})"


def open_dataset(name: str, data_dir: str | Path) -> Dataset:
    """Open a prepared data set.

    Args:
        name: a builder's name, such as `kitti_raw`, or a builder and one of its configurations,
            such as `street/demo` or `video/mine`. The configuration is needed if several of them
            are prepared.
        data_dir: the folder in which data sets were prepared.

    Raises:
        UserError: The data set is not there. The message has the command that prepares it.
    """
    folder = Path(data_dir) / name
    versions = _versions(folder)
    if not versions and "/" not in name:
        configs = sorted(
            path.name for path in (folder.iterdir() if folder.is_dir() else ()) if _versions(path)
        )
        if len(configs) > 1 and "default" not in configs:
            choices = ", ".join(f"{name}/{config}" for config in configs)
            raise UserError(f"data set {name}: several are prepared; name one of {choices}")
        if configs:
            config = "default" if "default" in configs else configs[0]
            return open_dataset(f"{name}/{config}", data_dir)
    if not versions:
        source = "" if name.split("/")[0] == "street" else " --source PATH"
        raise UserError(
            f"data set {name} is not prepared in {data_dir}; "
            f"run 'radepth prepare {name}{source} --data_dir {data_dir}'"
        )
    return Dataset(versions[-1], name)


def _versions(folder: Path) -> list[Path]:
    """The finished version folders in a data set's folder, oldest first."""
    if not folder.is_dir():
        return []
    versions = [
        path
        for path in folder.iterdir()
        if re.fullmatch(r"\d+\.\d+\.\d+", path.name) and (path / "dataset_info.json").is_file()
    ]
    return sorted(versions, key=lambda path: tuple(map(int, path.name.split("."))))


def pad_to_canvas(image: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """Pad [h, w, ...] to [H0, W0, ...]: the last row and the last column are repeated."""
    (h, w), (height, width) = image.shape[:2], canvas
    if (h, w) == (height, width):
        return image
    pad = [(0, height - h), (0, width - w)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, pad, mode="edge")


class TrainingSource:
    """Training samples: `source[i]` is the loader contract's dict for one sample.

    - `frames`, uint8 [F, H0, W0, 3], has one image for each offset, padded at its edges.
    - `size`, int32 [2], is the true (h, w).
    - `intrinsics`, float32 [3, 3], are in native pixels.
    - `skipped`, int32 [], is how many unreadable samples were passed over to get this one.
    - `stereo_T_target`, float32 [4, 4], is there if `"s"` is among the offsets. `"s"` stands for
      the opposite camera at the target's time.

    A sample that lacks the frame of one of the offsets, such as the end of a recording, is not part
    of the source.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        frame_offsets: Sequence[FrameOffset],
        *,
        skip_corrupt: bool = False,
        max_corrupt: int = 100,
        cache_bytes: float = 0,
        true_poses: bool = False,
        known_camera: bool = True,
    ):
        """Find the frames of each sample. No image is read.

        Args:
            dataset: an open data set.
            split: `train`, `validation` or `test`.
            frame_offsets: such as `(0, -1, 1, "s")`. The first one is 0, the target.
            skip_corrupt: whether a sample with an unreadable frame is logged and replaced by the
                next readable one. Otherwise it is an error.
            max_corrupt: how many samples may be replaced before it is an error after all. Each
                worker process counts the samples that it met, each of them once.
            cache_bytes: the memory for decoded frames. They are then decoded once, and not once an
                epoch. If the frames of the split do not all fit, no frame is kept.
            true_poses: whether each sample gets the known motion of its cameras.
            known_camera: whether intrinsics that are not finite are an error.

        Raises:
            UserError: The offsets are bad, the split is empty, or no sample has all the frames.
        """
        offsets = tuple(frame_offsets)
        bad = [o for o in offsets if o != "s" and (isinstance(o, bool) or not isinstance(o, int))]
        if bad or not offsets or offsets[0] != 0 or len(set(offsets)) != len(offsets):
            raise UserError(
                f"frame_offsets: expected distinct whole numbers or 's', the first of them 0, "
                f"got {offsets}"
            )
        self.dataset = dataset
        self.split = split
        self.frame_offsets = offsets
        self.skip_corrupt = skip_corrupt
        self.max_corrupt = max_corrupt
        self.true_poses = true_poses
        self.known_camera = known_camera
        self._corrupt: set[int] = set()
        targets = dataset.targets(split)
        found = [self._positions(target) for target in targets]
        kept = [positions for positions in found if positions is not None]
        if not kept:
            raise UserError(
                f"data set {dataset.name}: none of the {len(targets)} samples of {split!r} has "
                f"all the frames {offsets}; use fewer frame_offsets"
            )
        if len(kept) < len(targets):
            _log.info(
                "data set %s: %d of %d samples of %r lack a frame of %s and are not used",
                *(dataset.name, len(targets) - len(kept), len(targets), split, offsets),
            )
        self._samples = np.asarray(kept, np.int64)  # [N, F] positions in `frames`
        decoded = len(np.unique(self._samples)) * 3 * math.prod(dataset.canvas)
        self._cached = decoded <= cache_bytes
        self._images: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by position

    def _positions(self, target: int) -> list[int] | None:
        index, stereo = self.dataset.metadata.index, self.dataset.metadata.stereo
        sequence, camera, frame = index.locate(target)
        positions = []
        for offset in self.frame_offsets:
            if offset == "s":
                if (sequence, camera) not in stereo:
                    return None
                position = index.find(sequence, stereo[sequence, camera][0], frame)
            else:
                position = index.find(sequence, camera, frame + offset)
            if position is None:
                return None
            positions.append(position)
        return positions

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        i = int(i)
        if not 0 <= i < len(self):
            raise IndexError(i)
        error = None
        for skipped in range(len(self) if self.skip_corrupt else 1):
            j = (i + skipped) % len(self)
            try:
                return self._read(j) | {"skipped": np.asarray(skipped, np.int32)}
            except UserError as unreadable:
                error = unreadable
                if self.skip_corrupt and j not in self._corrupt:
                    self._corrupt.add(j)
                    _log.warning("skipped a training sample: %s", unreadable)
                    if len(self._corrupt) > self.max_corrupt:
                        raise UserError(
                            f"more than {self.max_corrupt} of the {len(self)} samples of "
                            f"{self.split!r} cannot be read; the last: {unreadable}; prepare the "
                            "data set again, or raise config.data.max_corrupt"
                        ) from None
        assert error is not None
        if self.skip_corrupt:
            raise UserError(f"no sample of {self.split!r} can be read; the last: {error}")
        raise UserError(f"{error}; set config.data.skip_corrupt=True to pass over such samples")

    def _image(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """The same as `Dataset.image`, from memory if the frame is kept there."""
        found = self._images.get(position)
        if found is None:
            found = self.dataset.image(position)
            if self._cached:
                self._images[position] = found
        return found

    def _read(self, i: int) -> dict[str, np.ndarray]:
        positions = self._samples[i].tolist()
        frames = np.empty((len(positions), *self.dataset.canvas, 3), np.uint8)
        target, intrinsics = self._image(positions[0])
        if self.known_camera and not np.isfinite(intrinsics).all():
            raise UserError(
                f"{self.dataset._where(positions[0])}: its intrinsics are not known or not finite; "
                "give the camera to `radepth prepare`, or set config.pose.learned_fov=60 to learn "
                "its focal length from there"
            )
        frames[0] = pad_to_canvas(target, self.dataset.canvas)
        for slot, position in enumerate(positions[1:], 1):
            image, _ = self._image(position)
            if image.shape != target.shape:
                raise UserError(
                    f"{self.dataset._where(position)}: {image.shape[1]}x{image.shape[0]}, but its "
                    f"target is {target.shape[1]}x{target.shape[0]}"
                )
            frames[slot] = pad_to_canvas(image, self.dataset.canvas)
        sample: dict[str, np.ndarray] = {
            "frames": frames,
            "size": np.asarray(target.shape[:2], np.int32),
            "intrinsics": intrinsics,
        }
        if "s" in self.frame_offsets:
            sequence, camera, _ = self.dataset.metadata.index.locate(positions[0])
            _, transform = self.dataset.metadata.stereo[sequence, camera]
            sample["stereo_T_target"] = transform.astype(np.float32)
        if self.true_poses:
            sample["source_T_target"] = self._motion(positions)
        return sample

    def _motion(self, positions: list[int]) -> np.ndarray:
        """The transforms [F - 1, 4, 4] from the first frame's camera to the others'."""
        records = [self.dataset.record(schema.FRAMES, position) for position in positions]
        target, *sources = (record["world_T_camera"] for record in records)
        source_T_target = np.stack([np.linalg.inv(source) @ target for source in sources])
        if not np.isfinite(source_T_target).all():
            raise UserError(
                f"{self.dataset._where(positions[0])}: the cameras' poses are not known, and "
                "config.pose.true_scale needs them; set it to 0"
            )
        return source_T_target.astype(np.float32)


class EvaluationSource:
    """Images with depth: `source[i]` is a dict of one image.

    - `image`, uint8 [H0, W0, 3], is padded at its edges.
    - `size`, int32 [2], is the true (h, w) of the image.
    - `intrinsics`, float32 [3, 3], are in native pixels.
    - `depth`, float32 [Hd, Wd], is in metres, on the canvas of depth maps. 0 means no value, and
      without ground truth all of it is 0.
    - `depth_size`, int32 [2], is the true (h, w) of the depth map.
    - `name`, str, names the image.
    """

    def __init__(self, dataset: Dataset, split: str):
        """Open a split. Raises a UserError if it is empty."""
        self.dataset = dataset
        self.split = split
        self._targets = dataset.targets(split)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Read an image. Corrupt images or depth are a UserError, which names the frame."""
        i = int(i)
        if not 0 <= i < len(self):
            raise IndexError(i)
        position = self._targets[i]
        image, intrinsics = self.dataset.image(position)
        canvas = self.dataset.metadata.depth_canvas
        depth = np.zeros(canvas, np.float32)
        depth_size = np.minimum(image.shape[:2], canvas)
        encoded = self.dataset.record(self.split, i)["depth"]
        if encoded:
            try:
                values = schema.decode_depth(encoded)
                if (np.asarray(values.shape) > canvas).any():
                    raise ValueError(f"size {values.shape}, larger than the canvas {canvas}")
            except ValueError as error:
                where = self.dataset._where(position)
                raise UserError(f"{where}: corrupt depth ({error})") from None
            depth[: values.shape[0], : values.shape[1]] = values
            depth_size = np.asarray(values.shape)
        return {
            "image": pad_to_canvas(image, self.dataset.canvas),
            "size": np.asarray(image.shape[:2], np.int32),
            "intrinsics": intrinsics,
            "depth": depth,
            "depth_size": depth_size.astype(np.int32),
            "name": self.name(i),
        }

    def name(self, i: int) -> str:
        """What an image is called: `SEQUENCE/CAMERA/FRAME`."""
        sequence, camera, frame = self.dataset.metadata.index.locate(self._targets[i])
        return f"{sequence}/{camera}/{frame:010d}"
