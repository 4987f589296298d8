"""A model as two files: `model.safetensors` and `config.json`.

The bundled model is stored like this. `radepth push` writes models in this form, too.
"""

import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict
from ml_collections import ConfigDict
from safetensors.numpy import load_file, save_file

from radepth_jax.data.text import read_json
from radepth_jax.errors import UserError, reason, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.models import Networks, variable_shapes
from radepth_jax.names import shown
from radepth_jax.runs.config import check_config, default_config, to_json
from radepth_jax.runs.migrations import from_json
from radepth_jax.runs.plugins import import_plugins
from radepth_jax.runs.state import camera_variables

WEIGHTS, CONFIG = "model.safetensors", "config.json"


class PackedModel(NamedTuple):
    """The contents of the two files.

    Attributes:
        variables: {"depth": {"params", "batch_stats"}, "pose": {...}}, float32.
        config: the run's config.
        step: how many training steps were taken.
        metric_scale: metres per unit of predicted depth, if one was measured.
    """

    variables: dict[str, Any]
    config: ConfigDict
    step: int
    metric_scale: float | None = None


def is_packed(folder: Path) -> bool:
    """Whether both files are there."""
    return (folder / WEIGHTS).is_file() and (folder / CONFIG).is_file()


def read_packed(folder: Path, *, allow_plugins: bool = False) -> PackedModel:
    """Read what `write_packed` wrote. `check_weights` tells whether the weights fit the config.

    Args:
        folder: the folder with the two files.
        allow_plugins: whether the modules that its config names as plugins may be imported.

    Raises:
        UserError: The files cannot be read, or hold something else, or need plugins that are not
            allowed.
    """
    about = read_json(folder / CONFIG, "the config of a model")
    with _naming(folder):
        flat = load_file(folder / WEIGHTS)
        if not all(jnp.issubdtype(value.dtype, jnp.floating) for value in flat.values()):
            raise ValueError("weights that are not floating-point numbers")
        config = from_json(about["config"])
        _check_types(config)
    import_plugins(config.plugins, allowed=allow_plugins, origin=shown(folder))
    with _naming(folder):
        check_config(config)
        step = about["step"]
        if not isinstance(step, int) or step < 0:
            raise ValueError(f"step is {step!r}, expected a whole number")
        unit = about.get("metres_per_unit")
        with np.errstate(over="ignore"):  # such values become infinite, which `check_weights` finds
            weights = {name: value.astype(np.float32) for name, value in flat.items()}
        return PackedModel(
            unflatten_dict(weights, sep="/"),
            config,
            step,
            None if unit is None else check_unit(unit),
        )


def check_weights(model: PackedModel, networks: Networks, folder: Path) -> None:
    """Raise a UserError unless a model's variables are those of its networks, and finite.

    Args:
        model: from `read_packed`.
        networks: the networks of the model's config.
        folder: the model's folder, for messages.
    """
    with _naming(folder):
        shapes = variable_shapes(networks, tuple(model.config.views.resolution))
        expected, given = (
            flatten_dict(variables, sep="/")
            for variables in (shapes | camera_variables(model.config), model.variables)
        )
        for name in sorted(expected.keys() | given.keys()):
            if name not in given:
                raise ValueError(f"{name} is missing")
            if name not in expected:
                raise ValueError(f"{name} is not part of its networks")
            values, shape = given[name], expected[name].shape
            if values.shape != shape:
                raise ValueError(f"{name} is {list(values.shape)}, its config says {list(shape)}")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} is NaN or infinite in places")
            if name.endswith("/var") and (values < 0).any():
                raise ValueError(f"{name}, a variance, is negative in places")


def check_unit(value: Any) -> float:
    """The metres per unit of predicted depth in a file. A ValueError unless they are positive."""
    known = isinstance(value, int | float) and not isinstance(value, bool)
    if not known or not 0 < value <= sys.float_info.max:
        raise ValueError(f"metres_per_unit is {value!r}, expected a positive number")
    return float(value)


def _check_types(config: ConfigDict) -> None:
    """Raises a TypeError unless settings have the defaults' types. Networks check their own."""
    values = config.to_dict()
    del values["model"]
    typed = default_config()
    typed.update(ConfigDict(values))
    for name, value in flatten_dict(to_json(typed), sep=".").items():
        if value is None:
            raise TypeError(f"config.{name} is null")


@contextlib.contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Turns whatever is raised inside into a UserError about the files in this folder."""
    try:
        yield
    except Exception as error:  # an arbitrary config may raise almost anything
        said = f"no {reason(error)}" if isinstance(error, LookupError) else reason(error)
        raise UserError(
            f"{shown(folder)}: {WEIGHTS} and {CONFIG} are not a model of radepth ({said}); "
            "expected what `radepth push` writes"
        ) from None


def write_packed(model: PackedModel, folder: Path, dtype: Any = np.float32) -> None:
    """Write the two files.

    Args:
        model: the model to write.
        folder: the folder to write to. It is made if it is not there.
        dtype: the parameters' type. BatchNorm's statistics are always float32.
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
