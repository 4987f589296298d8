"""The TFDS builder that all data sets share: it writes `Contents` as `schema` says.

TFDS's own generator builder buffers up to 1 GB and then spills to files through TensorFlow. This
one writes the records as they come, so it needs neither the memory nor TensorFlow.
"""

import abc
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.core import example_serializer
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from radepth_jax.data import schema
from radepth_jax.errors import UserError

SHARD_BYTES = 256 * 2**20

Progress = Callable[[str, int, int | None], None]
"""Called with (split, records written so far, total or None)."""


def _no_progress(split: str, done: int, total: int | None) -> None:
    del split, done, total


def resolved(path: str | Path | None) -> str | None:
    """A source's absolute path, for `prepared_from`; None where there is none."""
    return None if path is None else str(Path(path).expanduser().resolve())


class FrameDatasetBuilder(FileReaderBuilder):
    """A data set of frames and samples; a subclass gives its `contents`.

    A frame whose header is not an image's, or of an unexpected size, and a sample whose target is
    not there, are left out and listed in the data set's `problems.txt`. The files get their final
    folder name when everything is written, so what is interrupted is never taken for a data set.

    Raises:
        UserError: from `download_and_prepare`, if no frame or no sample is left.
    """

    # Known checksums of downloads: none. TFDS would look for a file of them, with a package that it
    # does not require.
    url_infos: ClassVar[dict[str, Any]] = {}
    VERSION = tfds.core.Version("1.0.0")
    CONFIG_CLASS: type[tfds.core.BuilderConfig] | None = None
    """Takes the options, where the configurations are the user's rather than BUILDER_CONFIGS."""
    DESCRIPTION = ""
    PROTOCOL: ClassVar[dict[str, Any]] = {}
    """How the field evaluates on it: `crop`, `min_depth`, `max_depth`, as many as it fixes."""
    HOMEPAGE: str | None = None
    CITATION: str | None = None

    def __init__(self, *, progress: Progress = _no_progress, **kwargs: Any):
        self._progress = progress
        super().__init__(file_format="array_record", **kwargs)

    @abc.abstractmethod
    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """What to write. Raises UserError where the source cannot be used."""

    def prepared_from(self) -> dict[str, Any]:
        """The source and the options, as JSON values.

        They are kept in the metadata; they tell one data set from another of the same name.
        """
        return {}

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION or (type(self).__doc__ or "").split("\n")[0],
            features=schema.features(),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        # TFDS warns about any configuration that is not in BUILDER_CONFIGS; here they are the rule.
        if isinstance(builder_config, tfds.core.BuilderConfig):
            return builder_config
        return super()._create_builder_config(builder_config, version)

    def _log_download_bytes(self) -> None:
        """TFDS prints here; the caller shows progress instead."""

    def _log_download_done(self) -> None:
        """TFDS prints here; the caller says where the data set is."""

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        del download_config
        contents = self.contents(dl_manager)
        unknown = set(contents.samples) - set(schema.SAMPLE_SPLITS)
        if unknown:
            raise ValueError(f"splits are {schema.SAMPLE_SPLITS}, not {sorted(unknown)}")
        index, sizes, frames_info = self._write_frames(contents)
        if not len(index):
            raise UserError(f"{self.name}: no readable frame to store{_first(contents.problems)}")
        split_infos = [frames_info]
        targets: dict[str, list[int]] = {}
        with_depth: dict[str, int] = {}
        depth_sizes: list[tuple[int, tuple[int, int]]] = []
        for split, samples in contents.samples.items():
            positions, depths, split_info = self._write_samples(split, samples, index, contents)
            if positions:
                targets[split], with_depth[split] = positions, len(depths)
                depth_sizes += depths
                split_infos.append(split_info)
        if not targets:
            raise UserError(f"{self.name}: no sample is left{_first(contents.problems)}")
        as_images = all(size == sizes[position] for position, size in depth_sizes)
        metadata = schema.Metadata(
            canvas=_canvas(sizes),
            index=index,
            targets=targets,
            with_depth=with_depth,
            stereo={
                (pair.sequence, pair.camera): (pair.opposite, pair.opposite_T_camera)
                for pair in contents.stereo
            },
            prepared_from=self.prepared_from(),
            depth_canvas=_canvas(sizes if as_images else [size for _, size in depth_sizes]),
            protocol=self.PROTOCOL,
        )
        self.info.metadata.update(metadata.to_json())
        self.info.set_splits(tfds.core.splits.SplitDict(split_infos))
        problems = "".join(f"{line}\n" for line in contents.problems)
        (Path(self.data_dir) / schema.PROBLEMS_FILE).write_text(problems)

    def _write_frames(
        self, contents: schema.Contents
    ) -> tuple[schema.FrameIndex, list[tuple[int, int]], tfds.core.SplitInfo]:
        """Returns where each frame is, the size of each, and what was written."""
        index = schema.FrameIndex()
        sizes: list[tuple[int, int]] = []

        def rows() -> Iterable[dict[str, Any]]:
            for frame in contents.frames:
                name = schema.frame_name(frame.sequence, frame.camera, frame.frame)
                try:
                    h, w = schema.image_size(frame.image)
                    if frame.size not in (None, (h, w)):
                        raise ValueError(
                            f"{w}x{h}, but it is calibrated for {frame.size[1]}x{frame.size[0]}"
                        )
                except ValueError as error:
                    origin = f" ({frame.origin})" if frame.origin else ""
                    contents.problems.append(f"{name}{origin}: {error}; left out")
                    continue
                sizes.append((h, w))
                index.append(frame.sequence, frame.camera, frame.frame)
                self._progress(schema.FRAMES, len(index), contents.total_frames)
                yield schema.frame_row(frame)

        split_info = self._write_split(schema.FRAMES, rows())
        return index, sizes, split_info

    def _write_samples(
        self,
        split: str,
        samples: Iterable[schema.Sample],
        index: schema.FrameIndex,
        contents: schema.Contents,
    ) -> tuple[list[int], list[tuple[int, tuple[int, int]]], tfds.core.SplitInfo]:
        """Returns the targets' positions, those with depth and its size, and what was written."""
        positions: list[int] = []
        depth_sizes: list[tuple[int, tuple[int, int]]] = []

        def rows() -> Iterable[dict[str, Any]]:
            for sample in samples:
                position = index.find(sample.sequence, sample.camera, sample.frame)
                if position is None:
                    name = schema.frame_name(sample.sequence, sample.camera, sample.frame)
                    contents.problems.append(f"{split} sample {name}: no such frame; left out")
                    continue
                positions.append(position)
                if sample.depth:
                    depth_sizes.append((position, schema.depth_size(sample.depth)))
                self._progress(split, len(positions), None)
                yield schema.sample_row(sample)

        split_info = self._write_split(split, rows())
        return positions, depth_sizes, split_info

    def _write_split(self, split: str, rows: Iterable[Mapping[str, Any]]) -> tfds.core.SplitInfo:
        """Writes rows in order, starting a new file every SHARD_BYTES."""
        features = self.info.features
        serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
        parts: list[Path] = []
        lengths: list[int] = []
        part_bytes = total_bytes = 0
        writer = None
        try:
            for row in rows:
                record = serializer.serialize_example(features.encode_example(row))
                if writer is None or part_bytes + len(record) > SHARD_BYTES:
                    if writer is not None:
                        writer.close()
                    parts.append(Path(self.data_dir) / f"{split}.part{len(parts):05d}")
                    writer = ArrayRecordWriter(os.fspath(parts[-1]), "group_size:1")
                    lengths.append(0)
                    part_bytes = 0
                writer.write(record)
                lengths[-1] += 1
                part_bytes += len(record)
                total_bytes += len(record)
        finally:
            if writer is not None:
                writer.close()
        template = self._get_filename_template(split_name=split)
        for i, part in enumerate(parts):
            part.rename(template.sharded_filepath(shard_index=i, num_shards=len(parts)))
        return tfds.core.SplitInfo(
            name=split,
            shard_lengths=lengths,
            num_bytes=total_bytes,
            filename_template=template,
        )


def _canvas(sizes: Collection[tuple[int, int]]) -> tuple[int, int]:
    """The largest height and the largest width."""
    return max(h for h, _ in sizes), max(w for _, w in sizes)


def _first(problems: list[str]) -> str:
    """The first problem, to end a message with."""
    return f" ({len(problems)} problems, the first: {problems[0]})" if problems else ""
