"""`predict.json`: what `radepth predict` did, and what the same command may skip next time."""

import json
import os
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np

import radepth_jax
from radepth_jax.data.text import read_json
from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.predict.inputs import Found, Input
from radepth_jax.predict.outputs import PNG_LEVELS
from radepth_jax.predict.predictor import Predictor
from radepth_jax.predict.request import Request, Summary
from radepth_jax.predict.run import outputs_of

NAME = "predict.json"


class Record:
    """The record of one output folder.

    Args:
        checkpoint: the checkpoint, as it was given.
        predictor: the predictor of that checkpoint.
        request: what to write, and where.
        found: what to predict.

    Attributes:
        before: the names of inputs that an interrupted run of the same command has finished.
        rest: the other inputs, which are to be predicted.
    """

    def __init__(
        self, checkpoint: str, predictor: Predictor, request: Request, found: Found
    ) -> None:
        self._path = request.output / NAME
        self._found = found
        size, scale = predictor.resolution, predictor.metres_per_unit
        self._facts = {
            "checkpoint": checkpoint,
            "step": predictor.model.step,
            "resolution": "native" if size is None else f"{size[0]}x{size[1]}",
            "flip": predictor.flip,
            "unit": "up to scale" if scale is None else "metres",
            "metres_per_unit": scale,
            "png_levels_per_unit": PNG_LEVELS,
            "version": radepth_jax.__version__,
            "weights": _checksum(predictor.model.variables),
            "save": list(request.save),
            "colors": request.colors,
            "frames": request.frames,
            "intrinsics": request.intrinsics,
            "camera_file": _checksum_of_file(request.intrinsics),
            "fov": request.fov,
            "steady": request.steady,
        }
        self._stamps = {file.name: _stamp(file.path) for file in found.inputs}
        earlier = self._earlier()
        self.before = [
            file.name
            for file in found.inputs
            if earlier.get(file.name) == [str(file.path), *self._stamps[file.name]]
            and all(path.is_file() for path in outputs_of(file, request))
        ]
        skipped = set(self.before)
        self.rest: list[Input] = [file for file in found.inputs if file.name not in skipped]

    def _earlier(self) -> dict[str, Any]:
        """What an interrupted run with these settings finished: maps names to paths and stamps."""
        if not self._path.is_file():
            return {}
        try:
            value = read_json(self._path, "a record of `radepth predict`")
        except UserError:
            return {}
        if not isinstance(value, dict) or value.get("complete") is not False:
            return {}
        same = all(value.get(name) == fact for name, fact in self._facts.items())
        finished = value.get("finished")
        return finished if same and isinstance(finished, dict) else {}

    def write(self, summary: Summary, *, complete: bool) -> int:
        """Write the file.

        Args:
            summary: what was done.
            complete: whether all inputs were tried. If not, the same command goes on with the rest.

        Returns:
            How many inputs are finished, including those of the interrupted run.

        Raises:
            UserError: The file cannot be written.
        """
        paths = {file.name: str(file.path) for file in self._found.inputs}
        finished = [*self.before, *summary.finished]
        facts = self._facts | {
            "complete": complete,
            "inputs": paths,
            "finished": {name: [paths[name], *self._stamps[name]] for name in finished},
            "failures": summary.failures,
            "passed_over": [str(path) for path in self._found.passed_over],
        }
        with writing_to(self._path.parent), atomic_write(self._path) as part:
            part.write_text(json.dumps(facts, indent=2) + "\n")
        return len(finished)


def _stamp(path: Path) -> list[int]:
    """A file's size and time, which change when the file does. Empty if it cannot be read."""
    try:
        status = os.stat(path)
    except OSError:
        return []
    return [status.st_size, status.st_mtime_ns]


def _checksum(variables: Any) -> int:
    """CRC-32 of the values of all arrays, in order."""
    total = 0
    for value in jax.tree.leaves(variables):
        total = zlib.crc32(np.ascontiguousarray(value).tobytes(), total)
    return total


def _checksum_of_file(intrinsics: str | None) -> int | None:
    """CRC-32 of the camera's file, if one is given."""
    try:
        return zlib.crc32(Path(os.path.expanduser(intrinsics or "")).read_bytes())
    except (OSError, ValueError):
        return None
