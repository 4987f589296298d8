"""Configs as checkpoints hold them, of this version and of earlier ones."""

from typing import Any

from ml_collections import ConfigDict

from radepth_jax.losses import LossOptions
from radepth_jax.losses.options import ON_REQUEST
from radepth_jax.models import presets
from radepth_jax.models.build import POSES
from radepth_jax.runs.config import default_config


def from_json(values: dict) -> ConfigDict:
    """The inverse of `to_json`, of earlier versions too.

    Settings that came later have their defaults.

    Raises:
        KeyError, TypeError, ValueError: they are not of any version up to this one.
    """
    depth = values["model"]["depth"]
    if depth.get("name") == "dual_hrnet":  # one flat dictionary, once
        encoder = {k: v for k, v in depth.items() if k in presets.HRNET18} | {"name": "hrnet"}
        decoder = {k: v for k, v in depth.items() if k in presets.HR_DECODER} | {"name": "hr"}
        depth = {"encoder": encoder, "decoder": decoder}
    start = depth["decoder"]["initial_disparity"] or 0.0  # None, once
    depth = depth | {"decoder": depth["decoder"] | {"initial_disparity": start}}
    pose = values["model"]["pose"]
    if pose["name"] in POSES:
        # Fields that came later: a pose network's defaults are what it was without them.
        pose = presets.settings(POSES, pose["name"]) | pose
    values = values | {"model": values["model"] | {"depth": depth, "pose": pose}}
    given = dict(values["evaluate"])
    if not given.pop("median_scaling", True):  # what `scaling` once was
        given["scaling"] = "none"
    values = values | {"evaluate": given, "loss": _loss_by_terms(values.get("loss", {}))}
    for section, defaults in default_config().to_dict().items():
        if not isinstance(defaults, dict):
            values.setdefault(section, defaults)
        elif section != "model":
            values[section] = defaults | values.get(section, {})
        if section in ("views", "loss"):  # dataclasses, which take no other field
            unknown = sorted(set(values[section]) - set(defaults))
            if unknown:
                raise ValueError(f"unknown setting config.{section}.{unknown[0]}")
    return ConfigDict(_tuples(values))


def _loss_by_terms(values: dict) -> dict:
    """`config.loss` as it is, from the time when every weight was a field of its own, too.

    From the time when the terms on request had no weights in the config, too.
    """
    values, loss = dict(values), LossOptions()
    weights, ramps = values.get("weights"), values.get("ramps", {})
    if weights is None:
        given = {name: values.pop(name) for name in ("consistency", "smoothness") if name in values}
        weights = dict(loss.weights) | given
        ramps = {"consistency": values.pop("consistency_ramp", loss.ramps["consistency"])}
    return values | {"weights": ON_REQUEST | weights, "ramps": dict(loss.ramps) | ramps}


def _tuples(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _tuples(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_tuples(v) for v in value)
    return value
