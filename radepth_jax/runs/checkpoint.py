"""Checkpoints of the state, the config and the step. Orbax writes them whole or not at all."""

import logging
import shutil
import threading
import zlib
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from ml_collections import ConfigDict

from radepth_jax.errors import UserError, cannot_write
from radepth_jax.processes import replicated_sharding, to_global, to_local
from radepth_jax.runs.config import to_json
from radepth_jax.runs.migrations import from_json
from radepth_jax.runs.plugins import PluginError, import_plugins
from radepth_jax.runs.saving_noise import leave_out_saving_noise
from radepth_jax.runs.state import TrainState, state_shapes

FOLDER = "checkpoints"
_HALF_WRITTEN = "*.orbax-checkpoint-tmp*"
UNREADABLE = "unreadable_checkpoints"

_log = logging.getLogger(__name__)


class Checkpoints:
    """The checkpoints of one working directory, as a context manager.

    Files that a killed process left half-written are never taken for a checkpoint. The next writer
    clears them away. If the disk is full, a checkpoint leaves nothing behind.

    Args:
        workdir: the run's folder. Checkpoints are in `workdir/checkpoints`.
        keep: how many of the latest checkpoints to keep. With None they are only read.
    """

    def __init__(self, workdir: str | Path, *, keep: int | None = 3):
        self._writes = keep is not None
        leave_out_saving_noise()
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep, create=self._writes, cleanup_tmp_directories=self._writes
        )
        self._manager = ocp.CheckpointManager(
            (Path(workdir) / FOLDER).absolute(), options=options, item_names=("state", "config")
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        del kind, trace
        problem = error and cannot_write(error, self._manager.directory)
        try:
            self._manager.close()
        except Exception as failure:
            problem = cannot_write(failure, self._manager.directory)
            if problem is None:
                raise
        if problem:
            _join_saving_threads()
            self._remove_half_written()
            if error is None:
                raise UserError(problem)

    def _remove_half_written(self) -> None:
        if self._writes and jax.process_index() == 0:
            for path in Path(self._manager.directory).glob(_HALF_WRITTEN):
                shutil.rmtree(path, ignore_errors=True)

    @property
    def latest_step(self) -> int | None:
        """The step of the newest whole checkpoint."""
        return self._manager.latest_step()

    def save(self, state: TrainState, config: ConfigDict, total_steps: int) -> None:
        """Write in the background. Returns as soon as the arrays are copied."""
        step = int(state.step)
        if step == self.latest_step:
            return
        record = {
            "config": to_json(config),
            "total_steps": total_steps,
            "checksum": _checksum(state),
        }
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(to_global(state)),
                config=ocp.args.JsonSave(record),
            ),
        )

    def wait(self) -> None:
        """Block until the last save is on disk."""
        self._manager.wait_until_finished()

    def restore(self) -> tuple[TrainState, ConfigDict, int]:
        """Read (state, config, total_steps) of the newest checkpoint that can be read.

        The networks are rebuilt from the checkpoint's own config. Newer checkpoints that cannot be
        read cause a warning. They are moved to `workdir/unreadable_checkpoints`, so that the run
        can write those steps again.

        Raises:
            UserError: There is no checkpoint, none can be read, or a plugin of its config cannot
                be imported. In that case none is moved.
        """
        folder = Path(self._manager.directory)
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps:
            raise UserError(f"{folder}: no checkpoint here; give a training run's --workdir")
        reasons: list[str] = []
        for step in steps:
            try:
                found = self._read(step)
            except PluginError:  # the checkpoint itself is in order
                raise
            # A damaged file may make Orbax raise anything, even a bare Exception.
            except Exception as error:
                reasons.append(next(iter(str(error).strip().splitlines()), repr(error)))
                continue
            for bad, reason in zip(steps, reasons, strict=False):
                _log.warning(
                    "%s/%d: not a readable checkpoint (%s); using step %d instead",
                    *(folder, bad, reason, step),
                )
            if self._writes and reasons:
                self._set_aside(steps[: len(reasons)])
            return found
        raise UserError(
            f"{folder}/{steps[0]}: cannot be read as a checkpoint of this version ({reasons[0]}), "
            f"nor can an older one; give another --workdir, or remove {folder} to start over"
        )

    def _read(self, step: int) -> tuple[TrainState, ConfigDict, int]:
        saved = self._manager.restore(step, args=ocp.args.Composite(config=ocp.args.JsonRestore()))
        record = saved["config"]
        config, total_steps = from_json(record["config"]), int(record["total_steps"])
        import_plugins(config.plugins)
        sharding = replicated_sharding()
        target = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding),
            state_shapes(config, total_steps),
        )
        restored = self._manager.restore(
            step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target))
        )
        state = to_local(restored["state"])
        # Orbax reads a flipped bit as another number. Older checkpoints have no checksum.
        if "checksum" in record and record["checksum"] != _checksum(state):
            raise ValueError("its values are not those that were saved")
        return state, config, total_steps

    def _set_aside(self, steps: list[int]) -> None:
        folder = Path(self._manager.directory)
        if jax.process_index() == 0:
            for step in steps:
                aside = folder.parent / UNREADABLE / str(step)
                aside.parent.mkdir(exist_ok=True)
                shutil.rmtree(aside, ignore_errors=True)  # from an earlier time
                (folder / str(step)).rename(aside)
        multihost_utils.sync_global_devices("unreadable checkpoints set aside")
        self._manager.reload()


def _join_saving_threads() -> None:
    """After a failed save, let Orbax's other threads end now. Later they would print noise."""
    for thread in threading.enumerate():
        if type(thread).__module__.startswith("orbax."):
            threading.Thread.join(thread, timeout=10)  # their own `join` would raise their errors


def _checksum(state: TrainState) -> int:
    """CRC-32 of the values of all arrays, in order."""
    total = 0
    for value in jax.tree.leaves(state):
        total = zlib.crc32(np.asarray(value).tobytes(), total)
    return total


def load_checkpoint(workdir: str | Path) -> tuple[TrainState, ConfigDict]:
    """State and config of a run's newest readable checkpoint. A UserError if there is none."""
    if not (Path(workdir) / FOLDER).is_dir():
        raise UserError(
            f"{workdir}: no checkpoint here; give the --workdir of a training run (it holds "
            f"a folder {FOLDER!r})"
        )
    with Checkpoints(workdir, keep=None) as checkpoints:
        state, config, _ = checkpoints.restore()
    return state, config
