"""Checkpoints: the state, the config and the step, written by Orbax; whole or absent."""

from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from radepth_jax.errors import UserError
from radepth_jax.train.config import from_json, to_json
from radepth_jax.train.state import TrainState, state_shapes

FOLDER = "checkpoints"


class Checkpoints:
    """The checkpoints of one working directory; use as a context manager.

    Args:
        workdir: the run's folder; checkpoints live in `workdir/checkpoints`.
        keep: how many of the latest to keep.
    """

    def __init__(self, workdir: str | Path, *, keep: int = 3):
        self._manager = ocp.CheckpointManager(
            (Path(workdir) / FOLDER).absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
            item_names=("state", "config"),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *_: Any) -> None:
        self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """The step of the newest whole checkpoint."""
        return self._manager.latest_step()

    def save(self, state: TrainState, config: ConfigDict, total_steps: int) -> None:
        """Write in the background; returns once the arrays are copied."""
        step = int(state.step)
        if step == self.latest_step:
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state),
                config=ocp.args.JsonSave({"config": to_json(config), "total_steps": total_steps}),
            ),
        )

    def wait(self) -> None:
        """Block until the last save is on disk."""
        self._manager.wait_until_finished()

    def restore(self, step: int | None = None) -> tuple[TrainState, ConfigDict, int]:
        """Read (state, config, total_steps), by default of the newest checkpoint.

        The networks are rebuilt from the checkpoint's own config.

        Raises:
            UserError: where there is no checkpoint, or it cannot be read.
        """
        folder = self._manager.directory
        step = self.latest_step if step is None else step
        if step is None:
            raise UserError(f"{folder}: no checkpoint here; give a training run's --workdir")
        try:
            saved = self._manager.restore(
                step, args=ocp.args.Composite(config=ocp.args.JsonRestore())
            )["config"]
            config, total_steps = from_json(saved["config"]), int(saved["total_steps"])
            target = state_shapes(config, total_steps)
            device = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
            target = jax.tree.map(
                lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=device), target
            )
            state = self._manager.restore(
                step, args=ocp.args.Composite(state=ocp.args.StandardRestore(target))
            )["state"]
        except (ValueError, KeyError, TypeError, OSError) as error:
            first = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
            raise UserError(
                f"{folder}/{step}: cannot be read as a checkpoint of this version ({first}); "
                f"remove that folder to fall back to an earlier one"
            ) from error
        return state, config, total_steps


def load_checkpoint(workdir: str | Path) -> tuple[TrainState, ConfigDict]:
    """State and config of the newest checkpoint in a run's folder (UserError if there is none)."""
    if not (Path(workdir) / FOLDER).is_dir():
        raise UserError(
            f"{workdir}: no checkpoint here; give the --workdir of a training run (it holds "
            f"a folder {FOLDER!r})"
        )
    with Checkpoints(workdir) as checkpoints:
        state, config, _ = checkpoints.restore()
    return state, config
