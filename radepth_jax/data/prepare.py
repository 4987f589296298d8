"""Preparing a data set by name: once, whole or not at all."""

import contextlib
import functools
import importlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import rich.console
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder, as_json
from radepth_jax.data.dataset import Dataset, open_dataset
from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import lock
from radepth_jax.progress import Progress, progress_bars

# By name, which is the class's in snake_case. A class, or a text "module:class" where the module is
# to be imported when it is asked for, so that PyAV and the renderer load only if needed.
BUILDERS: dict[str, str | type[FrameDatasetBuilder]] = {
    "kitti_raw": "radepth_jax.data.kitti_raw:KittiRaw",
    "kitti_improved": "radepth_jax.data.kitti_improved:KittiImproved",
    "kitti_selection": "radepth_jax.data.kitti_selection:KittiSelection",
    "make3d": "radepth_jax.data.make3d:Make3d",
    "nyu_v2": "radepth_jax.data.nyu_v2:NyuV2",
    "video": "radepth_jax.data.video:Video",
    "rgbd": "radepth_jax.data.rgbd:Rgbd",
    "street": "radepth_jax.data.street:Street",
    "kitti_odometry": "radepth_jax.data.kitti_odometry:KittiOdometry",
}


def prepare(
    name: str,
    *,
    source: str | Path | Sequence[str | Path] | None = None,
    data_dir: str | Path,
    beam_pipeline_options: str | None = None,
    **options: Any,
) -> Path:
    """Prepares a data set and shows progress. It does nothing if the data set is there already.

    An interrupted preparation leaves nothing that could be taken for a data set. The next call
    clears its remains away and starts over. Calls for the same data set wait for each other.

    Args:
        name: one of BUILDERS, optionally with a configuration: `video/mine`, `street/full`.
        source: what to prepare it from. `street` has no source, and `video` takes several clips.
        data_dir: the folder of all data sets.
        beam_pipeline_options: prepare with Apache Beam, with these options (see
            `beam.parse_options`). Only `kitti_raw` and `kitti_improved` take them.
        **options: those of the builder's configuration.

    Returns:
        The data set's folder.

    Raises:
        UserError: The name, the source or the options cannot be used, the disk is full, or a data
            set of this name was prepared from something else.
    """
    family, _, config = name.partition("/")
    if family not in BUILDERS:
        raise UserError(f"no data set {name!r}; there are {', '.join(BUILDERS)}")
    console = rich.console.Console(stderr=True)
    folder = Path(data_dir).expanduser().absolute()
    beam_options = None
    if beam_pipeline_options is not None:
        from radepth_jax.data.beam import parse_options

        beam_options = parse_options(beam_pipeline_options)
    with writing_to(folder), progress_bars(console) as progress:
        builder = make_builder(
            family, config, source=source, data_dir=folder, progress=progress, **options
        )
        target = Path(builder.data_dir)
        target.parent.mkdir(parents=True, exist_ok=True)
        with _lock(target.parent):
            if target.exists():
                _check_same(builder, Dataset(target, name))
                console.print(f"{name} is already prepared: {target}", soft_wrap=True, markup=False)
                return target
            for leftover in target.parent.glob("incomplete.*"):
                shutil.rmtree(leftover)
            builder.download_and_prepare(
                download_config=tfds.download.DownloadConfig(
                    try_download_gcs=False, beam_options=beam_options
                )
            )
    _say_what_came(console, Dataset(target, name))
    return target


def open_or_prepare(data: Any, workdir: str | Path, *, unknown_camera: bool = False) -> Dataset:
    """The data set of a training configuration.

    Args:
        data: `config.data`. It has `name` and `data_dir`, or a `source` to prepare it from.
        workdir: the run's folder. A data set with a `source` is prepared in its folder `data`.
        unknown_camera: whether the data set is prepared without `data.intrinsics` and `data.fov`.

    Raises:
        UserError: The same as of `open_dataset` and `prepare`.
    """
    if not data.source:
        return open_dataset(data.name, data.data_dir)
    if data.name.split("/")[0] != "video":
        raise UserError(
            f"config.data.source: only a video is prepared on the fly, not {data.name}; set "
            f"config.data.name=video, or run 'radepth prepare {data.name} --source {data.source}'"
        )
    folder = Path(workdir) / "data"
    prepare(
        data.name,
        source=data.source,
        data_dir=folder,
        intrinsics=data.intrinsics or None,
        fov=data.fov or None,
        unknown_camera=unknown_camera and not (data.intrinsics or data.fov),
        stride=data.stride,
    )
    return open_dataset(data.name, folder)


def load_builder(family: str) -> type[FrameDatasetBuilder]:
    """The builder class of one of BUILDERS.

    Raises:
        UserError: the class has another name, under which its data set would not be found.
    """
    builder: Any = BUILDERS[family]
    if isinstance(builder, str):
        module, class_name = builder.split(":")
        builder = getattr(importlib.import_module(module), class_name)
    if builder.name != family:
        raise UserError(
            f"BUILDERS[{family!r}] is the class {builder.__name__}, whose data sets lie in folders "
            f"named {builder.name}; name the entry {builder.name!r}, or the class accordingly"
        )
    return builder


def make_builder(
    family: str,
    config: str,
    *,
    source: str | Path | Sequence[str | Path] | None,
    data_dir: Path,
    progress: Progress,
    **options: Any,
) -> FrameDatasetBuilder:
    """The builder of `family/config`. An empty `config` means the default one.

    Raises:
        UserError: There is no such configuration, or the builder lacks some of the options.
    """
    builder_class = load_builder(family)
    if builder_class.CONFIG_CLASS is None:
        names = [known.name for known in builder_class.BUILDER_CONFIGS]
        if config and config not in names:
            choices = ", ".join(f"{family}/{known}" for known in names)
            raise UserError(f"no data set {family}/{config}; there are {choices}")
        if source is not None or options:
            given = ", ".join(["source"] * (source is not None) + list(options))
            raise UserError(f"{family} takes no {given}")
        return builder_class(data_dir=data_dir, config=config or names[0], progress=progress)
    if not re.fullmatch(r"[\w.-]*", config) or config.startswith("."):
        raise UserError(
            f"data set {family}/{config}: a configuration's name is letters, digits, '_', '-', '.'"
        )
    unknown = sorted(options.keys() - set(builder_class.options()))
    if unknown:
        raise UserError(f"{family} takes no {', '.join(unknown)}")
    chosen = builder_class.CONFIG_CLASS(name=config or "default", source=source, **options)
    return builder_class(data_dir=data_dir, config=chosen, progress=progress)


def _check_same(builder: FrameDatasetBuilder, dataset: Dataset) -> None:
    # An option that did not exist yet when a data set was prepared had its default.
    defaults = {name: as_json(field.default) for name, field in builder.options().items()}
    wanted, found = builder.prepared_from(), defaults | dataset.metadata.prepared_from
    for key in sorted(wanted.keys() | found.keys()):
        if wanted.get(key) != found.get(key):
            raise UserError(
                f"data set {dataset.name} was prepared with {key} {found.get(key)!r}, not "
                f"{wanted.get(key)!r}; give the new one its own name, such as "
                f"{builder.name}/other, or delete {dataset.directory}"
            )


def _say_what_came(console: rich.console.Console, dataset: Dataset) -> None:
    say = functools.partial(console.print, soft_wrap=True, markup=False)
    splits = ", ".join(f"{split} {count}" for split, count in dataset.splits.items())
    height, width = dataset.canvas
    frames = len(dataset.metadata.index)
    say(f"{dataset.name}: {frames} frames up to {width}x{height}; samples: {splits}")
    report = dataset.directory / schema.PROBLEMS_FILE
    problems = report.read_text(encoding="utf-8").splitlines()
    for line in problems[:5]:
        say(f"  {line}")
    if problems:
        say(f"  {len(problems)} problems in all, listed in {report}")
    say(f"prepared {dataset.directory}")


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Locks the folder against other preparations. The system releases it if this process dies."""
    with (folder / ".lock").open("w") as file:
        lock(file)
        yield
