"""The TFDS builder that all data sets share. It writes `Contents` in the form that `schema` fixes.

TFDS's own generator builder buffers up to 1 GB and then spills to files through TensorFlow. This
one writes the records as they come, so it needs neither the memory nor TensorFlow.
"""

import abc
import dataclasses
import functools
import os
import typing
from collections.abc import Callable, Collection, Iterable, Sized
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer
from tensorflow_datasets.core.dataset_builder import FileReaderBuilder

from radepth_jax.data import schema
from radepth_jax.data.array_records import array_records
from radepth_jax.data.parallel_map import parallel_map
from radepth_jax.data.rows import Stored, store_frame, store_sample
from radepth_jax.errors import UserError
from radepth_jax.names import shown
from radepth_jax.progress import Progress, no_progress

SHARD_BYTES = 256 * 2**20


class FrameDatasetBuilder(FileReaderBuilder):
    """A data set of frames and samples. A subclass gives its `contents`.

    A frame is left out if its header is not that of an image, or if its size is not the expected
    one. A sample is left out if its target is not there. Both are listed in the data set's
    `problems.txt`. The files get their final folder name when everything is written, so a run that
    was interrupted never leaves something that looks like a data set.

    Raises:
        UserError: `download_and_prepare` raises it if no frame or no sample is left.
    """

    # No checksums of downloads are known. Without this line TFDS would look for a file of them,
    # with a package that it does not require.
    url_infos: ClassVar[dict[str, Any]] = {}
    VERSION = tfds.core.Version("1.0.0")
    CONFIG_CLASS: type[tfds.core.BuilderConfig] | None = None
    """The class of the options, for data sets whose configurations are made by the user."""
    PROTOCOL: ClassVar[dict[str, Any]] = {}
    """How the field evaluates on the data set: those of `crop`, `min_depth` and `max_depth` that it
    fixes."""
    HOMEPAGE: str | None = None
    CITATION: str | None = None
    DOWNLOADS: ClassVar[str] = ""
    """Where to get the files, in one line, for the help text and for errors."""
    REQUIRED: ClassVar[dict[str, str]] = {"source": ""}
    """The options of CONFIG_CLASS that have to be given, each with what it names."""
    BEAM: ClassVar[bool] = False
    """Whether it can be prepared with Apache Beam."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Keep classes out of TFDS's own table, which takes no name twice: files run again."""
        super().__init_subclass__(skip_registration=True, **kwargs)

    @classmethod
    def options(cls) -> dict[str, dataclasses.Field]:
        """The configuration's own fields, without TFDS's. Without a CONFIG_CLASS there are none."""
        if cls.CONFIG_CLASS is None:
            return {}
        of_tfds = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
        fields = dataclasses.fields(cls.CONFIG_CLASS)
        return {field.name: field for field in fields if field.name not in of_tfds}

    def __init__(self, *, progress: Progress = no_progress, **kwargs: Any):
        """`progress` is told of each record, with the split's name.

        Raises:
            UserError: The package that writes the records is not there.
        """
        array_records()
        self._progress = progress
        super().__init__(file_format="array_record", **kwargs)

    @abc.abstractmethod
    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """What to write. Raises a UserError if the source cannot be used."""

    def prepared_from(self) -> dict[str, Any]:
        """The source and the options, as JSON values. Paths are absolute.

        They are kept in the metadata, and tell one data set from another of the same name.
        """
        return {
            name: as_json(getattr(self.builder_config, name), Path in typing.get_args(field.type))
            for name, field in self.options().items()
        }

    def source_folder(self, option: str = "source") -> Path:
        """The folder that one of REQUIRED names. It is a UserError if it is not there."""
        given = getattr(self.builder_config, option)
        hint = f"; {self.DOWNLOADS}" if self.DOWNLOADS else ""
        if given is None:
            raise UserError(f"{self.name}: --{option} is missing, {self.REQUIRED[option]}{hint}")
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder{hint}")
        return folder

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=(type(self).__doc__ or "").split("\n")[0],
            features=schema.features(),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(),
        )

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        # TFDS warns about every configuration that is not in BUILDER_CONFIGS. Most here are not.
        if isinstance(builder_config, tfds.core.BuilderConfig):
            return builder_config
        return super()._create_builder_config(builder_config, version)

    def _log_download_bytes(self) -> None:
        """TFDS would print here. The caller shows progress instead."""

    def _log_download_done(self) -> None:
        """TFDS would print here. The caller says where the data set is."""

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        contents = self.contents(dl_manager)
        write = functools.partial(
            self._write_split, problems=contents.problems, beam_options=download_config.beam_options
        )
        frames, frames_info = write(
            schema.FRAMES, contents.frames, store_frame, total=contents.total_frames
        )
        if not frames:
            raise UserError(f"{self.name}: no readable frame to store{_first(contents.problems)}")
        index = schema.FrameIndex.of(name for name, _ in frames)
        sizes = [size for _, size in frames]
        split_infos = [frames_info]
        targets: dict[str, list[int]] = {}
        with_depth: dict[str, int] = {}
        depth_sizes: list[tuple[int, tuple[int, int]]] = []
        for split, samples in contents.samples.items():
            store = functools.partial(store_sample, split, index, sizes)
            stored, split_info = write(split, samples, store)
            if stored:
                targets[split] = [position for position, _ in stored]
                depths = [(position, size) for position, size in stored if size]
                with_depth[split] = len(depths)
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
        problems = "".join(f"{shown(line)}\n" for line in contents.problems)
        (Path(self.data_dir) / schema.PROBLEMS_FILE).write_text(problems, encoding="utf-8")

    def _write_split(
        self,
        split: str,
        things: Iterable[Any],
        store: Callable[[Any], Stored],
        *,
        problems: list[str],
        beam_options: Any,
        total: int | None = None,
    ) -> tuple[list[Any], tfds.core.SplitInfo]:
        """Store items in order, and start a new file every SHARD_BYTES.

        Returns the notes of the items that were written. `problems` gets what `store` found.
        """
        template = self._get_filename_template(split_name=split)
        if beam_options is not None:
            from radepth_jax.data import beam

            if not self.BEAM:
                raise UserError(
                    f"{self.name} is not prepared with Apache Beam; kitti_raw and kitti_improved "
                    "are"
                )
            return beam.write_split(
                split,
                things,
                store,
                problems,
                options=beam_options,
                features=self.info.features,
                template=template,
            )
        total = len(things) if isinstance(things, Sized) else total
        features = self.info.features
        serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
        notes: list[Any] = []
        parts: list[Path] = []
        lengths: list[int] = []
        part_bytes = total_bytes = 0
        writer = None
        try:
            for row, note, problem in parallel_map(store, things):
                if problem:
                    problems.append(problem)
                if row is None:
                    continue
                notes.append(note)
                self._progress(split, len(notes), total)
                record = serializer.serialize_example(features.encode_example(row))
                if writer is None or part_bytes + len(record) > SHARD_BYTES:
                    if writer is not None:
                        writer.close()
                    parts.append(Path(self.data_dir) / f"{split}.part{len(parts):05d}")
                    writer = array_records().ArrayRecordWriter(os.fspath(parts[-1]), "group_size:1")
                    lengths.append(0)
                    part_bytes = 0
                writer.write(record)
                lengths[-1] += 1
                part_bytes += len(record)
                total_bytes += len(record)
        finally:
            if writer is not None:
                writer.close()
        for i, part in enumerate(parts):
            part.rename(template.sharded_filepath(shard_index=i, num_shards=len(parts)))
        return notes, tfds.core.SplitInfo(
            name=split, shard_lengths=lengths, num_bytes=total_bytes, filename_template=template
        )


def as_json(value: Any, is_path: bool = False) -> Any:
    """An option's value as a JSON value. Paths become absolute."""
    if isinstance(value, list | tuple):
        return [as_json(one, is_path) for one in value]
    return str(Path(value).expanduser().resolve()) if is_path and value is not None else value


def _canvas(sizes: Collection[tuple[int, int]]) -> tuple[int, int]:
    """The largest height and the largest width, as (h, w)."""
    return max(h for h, _ in sizes), max(w for _, w in sizes)


def _first(problems: list[str]) -> str:
    """The first problem, to end a message with."""
    return f" ({len(problems)} problems, the first: {problems[0]})" if problems else ""
