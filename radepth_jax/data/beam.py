"""Preparing with Apache Beam: all cores of a machine, or a cluster, read and write a split.

TFDS's pipeline orders the records and writes the files. All workers must see the source and the
data set's folder under the same paths. It needs the extra `beam`.
"""

import contextlib
import functools
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import split_builder
from tensorflow_datasets.core.naming import ShardedFileTemplate
from tensorflow_datasets.core.writer import ExampleWriter

from radepth_jax.data.parallel_reading import ParallelReading
from radepth_jax.errors import UserError

FLAG = "--beam_pipeline_options"

# What `_read_and_store` returns for an item: its position in the split, its row (None if the item
# is left out), its note, and the lines for `problems.txt`.
Stored = tuple[int, dict[str, Any] | None, Any, list[str]]


def parse_options(text: str) -> Any:
    """Parse Apache Beam's options, which are written as TFDS's own command takes them.

    Args:
        text: such as `runner=DirectRunner,direct_num_workers=4`.

    Raises:
        UserError: Apache Beam is not installed, or does not have the runner or an option.
    """
    try:
        from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions
        from apache_beam.runners import create_runner
    except ImportError:
        raise UserError(f"{FLAG} needs Apache Beam: pip install 'radepth-jax[beam]'") from None
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            options = PipelineOptions([f"--{word}" for word in text.split(",") if word])
            known = options.get_all_options()
            unknown = options.get_all_options(retain_unknown_options=True).keys() - known.keys()
            create_runner(options.view_as(StandardOptions).runner or "DirectRunner")
    except SystemExit:
        # Beam parses with argparse. The last line of its message says what is wrong.
        raise UserError(
            f"{FLAG}: {said.getvalue().splitlines()[-1].split('error: ')[-1]}"
        ) from None
    except (ValueError, ImportError) as error:
        raise UserError(f"{FLAG}: {error}") from None
    if unknown:
        raise UserError(f"{FLAG}: Apache Beam has no option {', '.join(sorted(unknown))}")
    return options


def write_split(
    split: str,
    things: ParallelReading[Any],
    store: Callable[[Any], tuple[dict[str, Any] | None, Any]],
    problems: list[str],
    *,
    options: Any,
    features: tfds.features.FeaturesDict,
    template: ShardedFileTemplate,
) -> tuple[list[Any], tfds.core.SplitInfo]:
    """Read and write a split in order. What cannot be read or stored is noted in `problems`.

    Args:
        split: the name of the split.
        things: the items, and how each is read.
        store: maps an item to its row and a note about it, which JSON can hold. For an item that is
            left out it returns None and the reason.
        problems: lines are added to it.
        options: what `parse_options` returned.
        features: the features of a row.
        template: gives the files their names. TFDS makes files of 64 MB and more, and a worker
            holds one of them in memory.

    Returns:
        The notes of the items that were written, and how many rows each file has.

    Raises:
        UserError: The pipeline failed.
    """
    import apache_beam

    read = functools.partial(_read_and_store, things.read, store)
    keys = list(enumerate(things.keys))
    # Beam's writer fails on an empty split, so look for the first item that can be stored.
    for position, (_, row, _, lines) in enumerate(map(read, keys)):
        if row is not None:
            keys = keys[position:]
            break
        problems += lines
    else:
        return [], tfds.core.SplitInfo(
            name=split, shard_lengths=[], num_bytes=0, filename_template=template
        )
    notes_path = Path(template.filepath_prefix() + ".notes.json")
    pipeline = split_builder.SplitBuilder(
        split_dict={},
        features=features,
        dataset_size=0,
        beam_options=options,
        beam_runner=None,
        max_examples_per_split=None,
        example_writer=ExampleWriter(tfds.core.FileFormat.ARRAY_RECORD),
    )
    with _failing_plainly(), pipeline.maybe_beam_pipeline():
        stored = (
            pipeline.beam_pipeline
            | f"{split}: list" >> apache_beam.Create(keys)
            | f"{split}: spread" >> apache_beam.Reshuffle()
            | f"{split}: read" >> apache_beam.Map(read)
        )
        _ = (
            stored
            | f"{split}: note" >> apache_beam.Map(lambda s: (s[0], s[1] is not None, *s[2:]))
            | f"{split}: collect" >> apache_beam.combiners.ToList()
            | f"{split}: write notes" >> apache_beam.Map(_write_json, str(notes_path))
        )
        future = pipeline.submit_split_generation(
            split_name=split,
            generator=stored | f"{split}: rows" >> apache_beam.FlatMap(_row),
            filename_template=template,
            disable_shuffling=True,  # in the order of the keys
            nondeterministic_order=False,
        )
    notes = []
    for _, kept, note, lines in sorted(json.loads(notes_path.read_text())):
        problems += lines
        if kept:
            notes.append(note)
    notes_path.unlink()
    return notes, future.result()


def _read_and_store(
    read: Callable[[Any], tuple[Any, str]],
    store: Callable[[Any], tuple[dict[str, Any] | None, Any]],
    numbered: tuple[int, Any],
) -> Stored:
    number, key = numbered
    thing, problem = read(key)
    lines = [problem] if problem else []
    row = note = None
    if thing is not None:
        row, note = store(thing)
        if row is None:
            lines.append(note)
    return number, row, note, lines


def _row(stored: Stored) -> Iterator[tuple[int, dict[str, Any]]]:
    number, row, *_ = stored
    if row is not None:
        yield number, row


def _write_json(values: list[Any], path: str) -> None:
    Path(path).write_text(json.dumps(values))


@contextlib.contextmanager
def _failing_plainly() -> Iterator[None]:
    """Turn whatever a pipeline raises into a UserError of one line. The rest is its cause."""
    try:
        yield
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[-1].strip() if lines else type(error).__name__
        raise UserError(f"Apache Beam could not prepare it: {reason}") from error
