"""Read the configs that checkpoints of this version and of earlier ones hold."""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from radepth_jax.losses import LossOptions
from radepth_jax.losses.options import ON_REQUEST
from radepth_jax.models import presets
from radepth_jax.models.build import POSES
from radepth_jax.runs.config import default_config
from radepth_jax.views import ViewOptions


def from_json(values: dict) -> ConfigDict:
    """The config that `to_json` wrote, in this version or in an earlier one.

    Settings that the earlier version did not have get their defaults.

    Raises:
        KeyError, TypeError, ValueError: `values` is no config of any version.
    """
    depth = values["model"]["depth"]
    if depth.get("name") == "dual_hrnet":  # Earlier, encoder and decoder were one dictionary.
        encoder = {k: v for k, v in depth.items() if k in presets.HRNET18} | {"name": "hrnet"}
        decoder = {k: v for k, v in depth.items() if k in presets.HR_DECODER} | {"name": "hr"}
        depth = {"encoder": encoder, "decoder": decoder}
    start = depth["decoder"]["initial_disparity"] or 0.0  # Earlier, it could be None.
    depth = depth | {"decoder": depth["decoder"] | {"initial_disparity": start}}
    pose = values["model"]["pose"]
    if pose["name"] in POSES:
        # The defaults of newer fields are what a pose network was without them.
        pose = presets.settings(POSES, pose["name"]) | pose
    values = values | {"model": values["model"] | {"depth": depth, "pose": pose}}
    views = _views_by_entries(values.get("views", {}))
    given = dict(values["evaluate"])
    if not given.pop("median_scaling", True):  # the earlier form of `scaling`
        given["scaling"] = "none"
    loss = _loss_by_terms(values.get("loss", {}))
    values = values | {"evaluate": given, "loss": loss, "views": views}
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


def _views_by_entries(values: dict) -> dict:
    """`config.views` as it is, from the time when each scale and number was a field of it, too."""
    values, views = dict(values), dataclasses.asdict(ViewOptions())
    for name in ("high", "low"):
        if f"{name}_scale" in values:
            views["entries"][name]["scale"] = values.pop(f"{name}_scale")
    jitter = views["augmentations"]["colour_jitter"]
    for option in jitter:
        old = "jitter" if option == "probability" else option
        if old in values:
            jitter[option] = values.pop(old)
    return views | values


def _loss_by_terms(values: dict) -> dict:
    """`config.loss` in today's form.

    Earlier, every weight was a field of its own, and the terms on request had no weights.
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
