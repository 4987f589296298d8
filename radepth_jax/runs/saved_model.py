"""A trained model for evaluation, prediction and export: networks, variables and settings."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.data.text import read_json
from radepth_jax.errors import UserError, reason, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.models import Networks
from radepth_jax.runs import default_network, hub
from radepth_jax.runs.checkpoint import FOLDER, Checkpoints, load_checkpoint
from radepth_jax.runs.optimizer import make_optimizer
from radepth_jax.runs.packed_model import check_unit, check_weights, is_packed, read_packed
from radepth_jax.runs.state import create_state, learned_fov, variables_of

SCALE_FILE = "metric_scale.json"


@dataclass(frozen=True)
class Model:
    """What a checkpoint holds, without the optimiser.

    Attributes:
        name: the run's folder name, for tables.
        networks: from `models.build`, with the checkpoint's own config.
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}}, float32, and "camera" if
            training learned it.
        config: the run's config.
        step: how many training steps were taken.
        metric_scale: metres per unit of predicted depth, if one was measured and stored.
    """

    name: str
    networks: Networks
    variables: dict[str, Any]
    config: ConfigDict
    step: int = 0
    metric_scale: float | None = None

    @property
    def learned_fov(self) -> float | None:
        """The horizontal field of view in degrees, if training learned it."""
        return learned_fov({name: value["params"] for name, value in self.variables.items()})

    @property
    def depth_range(self) -> tuple[float, float]:
        """(min, max) depth that disparities in (0, 1) stand for."""
        return self.config.loss.min_depth, self.config.loss.max_depth


def load_model(workdir: str | Path, *, allow_plugins: bool = False) -> Model:
    """The newest checkpoint of a run's (or a converted model's) folder.

    Args:
        workdir: the folder, or one that `radepth push` wrote. "hf:OWNER/NAME" and
            "hf:OWNER/NAME@REVISION" are on the Hugging Face hub. "default" is the bundled model
            ("./default" is a folder).
        allow_plugins: whether the modules that a model of `radepth push` names as plugins may be
            imported. Those of a run's own folder are, as those of a config file are.

    Raises:
        UserError: There is no checkpoint, or it cannot be read, or its plugins are not there.
    """
    given = str(workdir)
    if given == default_network.NAME:
        return _unpack(default_network.NAME, default_network.FOLDER, allow_plugins)
    if given.startswith(hub.PREFIX):
        return _unpack(given, hub.download(given), allow_plugins)
    if is_packed(Path(workdir)):
        return _unpack(Path(workdir).resolve().name, Path(workdir), allow_plugins)
    state, config = load_checkpoint(workdir)
    step = int(state.step)
    path = Path(workdir) / FOLDER / str(step) / SCALE_FILE
    try:
        stored = read_json(path, "a metric scale") if path.exists() else None
        scale = None if stored is None else check_unit(stored["metres_per_unit"])
    except (ValueError, LookupError, TypeError, UserError) as error:
        raise UserError(
            f"{path}: cannot be read ({reason(error)}); delete it and measure again"
        ) from None
    return Model(
        name=Path(workdir).resolve().name,
        networks=models.build(config.model, models.Policy.native()),
        variables=variables_of(state),
        config=config,
        step=step,
        metric_scale=scale,
    )


def _unpack(name: str, folder: Path, allow_plugins: bool) -> Model:
    packed = read_packed(folder, allow_plugins=allow_plugins)
    networks = models.build(packed.config.model, models.Policy.native())
    # The bundled model is checked by a test, because tracing takes a second.
    if folder != default_network.FOLDER:
        check_weights(packed, networks, folder)
    return Model(name, networks, *packed)


def save_model(variables: dict[str, Any], config: ConfigDict, workdir: str | Path) -> None:
    """Write variables from elsewhere as a checkpoint at step 0, which every command accepts.

    Args:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}} that fit `config.model`.
        config: a config such as `default_config()`.
        workdir: a folder without checkpoints. It is made if it is not there.

    Raises:
        UserError: The folder already holds a checkpoint, or cannot be written.
    """
    with writing_to(Path(workdir)), Checkpoints(workdir) as checkpoints:
        if checkpoints.latest_step is not None:
            raise UserError(f"{workdir}: already holds a checkpoint; name another folder")
        state = create_state(variables, make_optimizer(config.optimizer, 1))
        checkpoints.save(state, config, 1)
        checkpoints.wait()


def store_metric_scale(workdir: str | Path, step: int, metres_per_unit: float) -> Path:
    """Keep a measured scale factor inside the checkpoint of `step`. Returns its file."""
    path = Path(workdir) / FOLDER / str(step) / SCALE_FILE
    with writing_to(path), atomic_write(path) as part:
        part.write_text(json.dumps({"metres_per_unit": metres_per_unit}) + "\n")
    return path
