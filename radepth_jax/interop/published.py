"""Convert folders of the published systems' PyTorch weights to checkpoints, and back."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
import safetensors.numpy
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.interop.torch_files import read_folder, write_folder
from radepth_jax.interop.torch_keys import (
    fit,
    is_unused,
    torch_from_variables,
    variables_from_torch,
    without_prefixes,
)
from radepth_jax.models import presets
from radepth_jax.runs.checkpoint import FOLDER
from radepth_jax.runs.config import check_config, default_config
from radepth_jax.runs.saved_model import load_model, save_model

# In this file a converted checkpoint keeps the PyTorch files' values that no network uses.
EXTRAS_FILE = "torch_extras.safetensors"
_LOOKS_LIKE = 0.9  # this share of keys and shapes has to agree


def checkpoint_from_torch(
    folder: str | Path, workdir: str | Path, *, model: str = "ra_depth"
) -> tuple[ConfigDict, bool]:
    """Write a checkpoint from PyTorch files.

    The config is that of the published recipe. Its resolution, and whether it has a stereo source,
    come from the depth encoder's file.

    Args:
        folder: the folder, as `read_folder` takes it. If it has no file for either part of the pose
            network, that network starts afresh.
        workdir: the folder of the new checkpoint. It must not hold one yet.
        model: one of `presets.MODELS`.

    Returns:
        The config, and whether the pose network came from the folder.

    Raises:
        UserError: A file cannot be read, the weights do not fit, or the workdir cannot be written.
            If the weights look like those of another model, the message names it.
    """
    config = default_config(model)
    # All weights are in the files, so nothing is fetched.
    config.pretrained.depth_encoder = config.pretrained.pose_encoder = ""

    stored = read_folder(folder)
    parts = without_prefixes(stored, config.model)
    has_pose = "pose_encoder" in parts or "pose" in parts
    needed = ("encoder", "depth") + (("pose_encoder", "pose") if has_pose else ())
    absent = [part for part in needed if part not in parts]
    if absent:
        raise UserError(
            f"{folder}: has no {' and no '.join(f'{part}.pth' for part in absent)} "
            "(or .safetensors), which belongs to the other files there"
        )
    encoder = parts["encoder"]
    if "height" in encoder and "width" in encoder:
        config.views.resolution = (_integer(folder, encoder, "width"),
                                   _integer(folder, encoder, "height"))  # fmt: skip
    if encoder.get("use_stereo"):
        config.data.frame_offsets = (0, -1, 1, "s")
    check_config(config)

    given = parts
    if not has_pose:
        networks = models.build(config.model)
        fresh = models.init_variables(
            networks, jax.random.key(config.seed), config.views.resolution
        )
        drawn = torch_from_variables(fresh, config.model)
        parts = parts | {part: drawn[part] for part in ("pose_encoder", "pose")}
    try:
        variables = variables_from_torch(parts, config.model)
    except UserError as error:
        raise UserError(f"{folder}: {error}{_likelier(stored, model)}") from None
    save_model(variables, config, workdir)
    _save_extras(given, config, workdir)
    return config, has_pose


def checkpoint_to_torch(
    workdir: str | Path, folder: str | Path, *, format: str, allow_plugins: bool = False
) -> list[Path]:
    """Write the newest checkpoint as PyTorch files that the published code loads.

    A converted checkpoint gives its files back with every value that they had.

    Args:
        workdir: the workdir of a training run, or of a converted model.
        folder: gets `encoder`, `depth`, `pose_encoder` and `pose`. `encoder` also has `height`,
            `width` and `use_stereo`.
        format: "torch" or "safetensors".
        allow_plugins: see `load_model`.

    Returns:
        The files.

    Raises:
        UserError: There is no checkpoint, the networks have no PyTorch form, or the folder cannot
            be written or has such files already.
    """
    model = load_model(workdir, allow_plugins=allow_plugins)
    parts: dict[str, dict[str, Any]] = dict(
        torch_from_variables(model.variables, model.config.model)
    )
    path = Path(workdir) / FOLDER / str(model.step) / EXTRAS_FILE
    if path.is_file():
        for name, value in safetensors.numpy.load_file(path).items():
            part, _, key = name.partition("/")
            parts[part][key] = value
    width, height = model.config.views.resolution
    parts["encoder"] |= {
        "height": height,
        "width": width,
        "use_stereo": "s" in model.config.data.frame_offsets,
    }
    return write_folder(parts, folder, format)


def _likelier(parts: dict[str, dict[str, Any]], model: str) -> str:
    """Which other model the weights look like, if they do."""
    fits = {name: fit(parts, make()) for name, make in presets.MODELS.items()}
    best = max(fits, key=lambda name: fits[name])
    if best == model and fits[best] > _LOOKS_LIKE:
        return ""
    if fits[best] < _LOOKS_LIKE:
        return f"; they look like none of the models here, which are {', '.join(presets.MODELS)}"
    return f"; they look like --model {best}"


def _save_extras(parts: dict[str, dict[str, Any]], config: ConfigDict, workdir: str | Path) -> None:
    """Keep the values that converting back would lose: batch counters, and unused weights."""
    extras = {
        f"{part}/{key}": value
        for part, values in parts.items()
        for key, value in values.items()
        if isinstance(value, np.ndarray) and is_unused(part, key, config.model)
    }
    if extras:
        path = Path(workdir) / FOLDER / "0" / EXTRAS_FILE
        with writing_to(path), atomic_write(path) as part:
            safetensors.numpy.save_file(extras, part)


def _integer(folder: str | Path, encoder: dict[str, Any], key: str) -> int:
    value = encoder[key]
    if np.ndim(value) or not np.issubdtype(np.asarray(value).dtype, np.integer):
        raise UserError(f"{folder}: the encoder's {key} is {value!r}; expected a whole number")
    return int(value)
