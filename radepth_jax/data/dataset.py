"""Prepared data sets: open one, and read its records and images.

A data set can be pickled for loader workers, which open the files anew.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.array_records import array_records
from radepth_jax.data.pictures import decode_image
from radepth_jax.errors import UserError, reason


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
            UserError: A file is missing, or has another schema; or the package that reads the
                records is not there.
        """
        array_records()
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

    def __reduce__(self) -> tuple[Any, ...]:
        return Dataset, (self.directory, self.name)

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
            return decode_image(record["image"]), record["intrinsics"]
        except ValueError as error:
            raise UserError(f"{self.where(position)}: corrupt image ({error})") from None

    def where(self, position: int) -> str:
        """What a frame is called in messages, and where it is stored."""
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
        UserError: The data set is not there. The message has the command that prepares it. Or the
            package that reads the records is not there.
    """
    array_records()
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
