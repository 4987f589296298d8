"""The network in the box: shipped in the package, for whoever names no checkpoint.

`experiments/box.py` trains it, on rendered streets alone. Its parameters are stored as float16, its
BatchNorm statistics as float32.
"""

import json
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict
from safetensors.numpy import load_file, save_file

from radepth_jax.runs.config import to_json
from radepth_jax.runs.migrations import from_json

NAME = "default"
FOLDER = Path(__file__).parent / "default_network"
_WEIGHTS, _ABOUT = "weights.safetensors", "about.json"


def load_default(folder: Path = FOLDER) -> tuple[dict[str, Any], ConfigDict, int]:
    """The network's variables (float32), its config, and the steps it was trained for."""
    flat = {k: v.astype(np.float32) for k, v in load_file(folder / _WEIGHTS).items()}
    about = json.loads((folder / _ABOUT).read_text())
    return unflatten_dict(flat, sep="/"), from_json(about["config"]), about["step"]


def store_default(
    variables: dict[str, Any], config: ConfigDict, step: int, folder: Path = FOLDER
) -> None:
    """Write what `load_default` reads.

    Args:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}}.
        config: of the run that they are of.
        step: training steps taken.
        folder: made if need be.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = flatten_dict(jax.device_get(variables), sep="/")
    save_file(
        {
            k: np.asarray(v, np.float32 if "batch_stats" in k else np.float16)
            for k, v in flat.items()
        },
        folder / _WEIGHTS,
    )
    (folder / _ABOUT).write_text(json.dumps({"step": step, "config": to_json(config)}) + "\n")
