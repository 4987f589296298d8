"""Preparing with Apache Beam: all cores of a machine, or a cluster, read and write a split.

TFDS's pipeline orders the records and writes the files. All workers must see the source and the
data set's folder under the same paths. It needs the extra `beam`.
"""

import contextlib
import io
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import split_builder
from tensorflow_datasets.core.naming import ShardedFileTemplate
from tensorflow_datasets.core.writer import ExampleWriter

from radepth_jax.data.rows import Stored
from radepth_jax.errors import UserError

FLAG = "--beam_pipeline_options"


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
    things: Iterable[Any],
    store: Callable[[Any], Stored],
    problems: list[str],
    *,
    options: Any,
    features: tfds.features.FeaturesDict,
    template: ShardedFileTemplate,
) -> tuple[list[Any], tfds.core.SplitInfo]:
    """Store and write a split in order.

    Args:
        split: the name of the split.
        things: the items. They are pickled.
        store: makes an item's row. It is pickled.
        problems: gets the lines about items that could not be used.
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

    keys = list(enumerate(things))
    # Beam's writer fails on an empty split, so look for the first item that can be stored.
    for position, (_, thing) in enumerate(keys):
        row, _, problem = store(thing)
        if row is not None:
            keys = keys[position:]
            break
        problems.append(problem)
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
            | f"{split}: store"
            >> apache_beam.MapTuple(lambda number, thing: (number, store(thing)))
        )
        _ = (
            stored
            | f"{split}: note"
            >> apache_beam.MapTuple(lambda number, s: (number, s.row is not None, *s[1:]))
            | f"{split}: collect" >> apache_beam.combiners.ToList()
            | f"{split}: write notes" >> apache_beam.Map(_write_json, str(notes_path))
        )
        future = pipeline.submit_split_generation(
            split_name=split,
            generator=stored | f"{split}: rows" >> apache_beam.FlatMapTuple(_row),
            filename_template=template,
            disable_shuffling=True,  # in the order of the keys
            nondeterministic_order=False,
        )
    notes = []
    for _, kept, note, problem in sorted(json.loads(notes_path.read_text())):
        if problem:
            problems.append(problem)
        if kept:
            notes.append(note)
    notes_path.unlink()
    return notes, future.result()


def _row(number: int, stored: Stored) -> Iterator[tuple[int, dict[str, Any]]]:
    if stored.row is not None:
        yield number, stored.row


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
