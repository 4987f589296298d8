"""A model as two files: `model.safetensors` and `config.json`.

The network in the box is stored like this, and so is what `radepth push` gives away.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.runs.config import check_config, to_json
from radepth_jax.runs.migrations import from_json

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class PackedModel(NamedTuple):
    """What the two files say.

    Attributes:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}}, float32.
        config: of the run.
        step: training steps taken.
        metric_scale: metres per unit of predicted depth, if one was measured.
    """

    variables: dict[str, Any]
    config: ConfigDict
    step: int
    metric_scale: float | None = None


def is_packed(folder: Path) -> bool:
    """Whether both files are there."""
    return (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file()


def read_packed(folder: Path) -> PackedModel:
    """Read what `write_packed` wrote.

    Raises:
        UserError: the files cannot be read, or hold something else.
    """
    try:
        flat = load_file(folder / WEIGHTS)
        about = json.loads((folder / CONFIG).read_text())
        config = from_json(about["config"])
        check_config(config)
        return PackedModel(
            unflatten_dict({k: v.astype(np.float32) for k, v in flat.items()}, sep="/"),
            config,
            int(about["step"]),
            about.get("metres_per_unit"),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError) as error:
        raise UserError(
            f"{folder}: {WEIGHTS} and {CONFIG} are not a model of radepth ({error}); expected what "
            "`radepth push` writes"
        ) from None


def write_packed(model: PackedModel, folder: Path, dtype: Any = np.float32) -> None:
    """Write the two files.

    Args:
        model: what they are to say.
        folder: made if need be.
        dtype: of the parameters; BatchNorm's statistics are float32 always.
    """
    about = {
        "step": model.step,
        "config": to_json(model.config),
        "metres_per_unit": model.metric_scale,
    }
    flat = flatten_dict(jax.device_get(model.variables), sep="/")
    arrays = {
        k: np.asarray(v, np.float32 if "batch_stats" in k else dtype) for k, v in flat.items()
    }
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / WEIGHTS) as part:
            save_file(arrays, part)
        with atomic_write(folder / CONFIG) as part:
            part.write_text(json.dumps(about) + "\n")
