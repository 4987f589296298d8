"""The config of a run, made from the options and checked by them.

The files in `configs/` start from `default_config()`, the full RA-Depth recipe on KITTI, and change
what differs. `radepth config` prints what each field means.
"""

import dataclasses

from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.losses import check_names
from radepth_jax.models import presets
from radepth_jax.models.depth import check_resolution
from radepth_jax.runs.optimizer import make_optimizer
from radepth_jax.runs.options import Options, options_of, validation_resolutions
from radepth_jax.runs.plugins import import_plugins
from radepth_jax.settings import check_choice
from radepth_jax.views import check_augmentations


def default_config(model: str = "ra_depth") -> ConfigDict:
    """The published recipe (He et al., ECCV 2022): 640x192, batch 12, 20 epochs, Adam 1e-4.

    `config.model` holds the fields of the modules in the tables of models/build.py, and all else
    those of `runs.options.Options`.

    Args:
        model: of `presets.MODELS`. All but RA-Depth train on the middle view alone, with neither
            AS-Aug nor consistency.

    Raises:
        UserError: an unknown model.
    """
    check_choice("model", model, presets.MODELS)
    config = ConfigDict(dataclasses.asdict(Options()))
    config.model = ConfigDict(presets.MODELS[model]())
    if model != "ra_depth":
        config.views.names = ("middle",)
        config.loss.weights.consistency = 0.0
    return config


def check_config(config: ConfigDict) -> None:
    """Import the config's plugins, and raise UserError for a setting that cannot be used.

    Args:
        config: as `default_config`.
    """
    import_plugins(config.plugins)
    options = options_of(config)
    check_names(options.loss)
    check_augmentations(options.views)
    networks = models.build(config.model)
    of_views, in_training = options.views.resolution, options.train.resolutions
    for resolution in (of_views, *in_training, *validation_resolutions(config)):
        check_resolution(resolution, networks.depth.stride)
    models.check_own_networks(networks, of_views)
    align = options.pose.align
    for resolution in (of_views, *in_training):
        if any(side % factor for factor in align for side in resolution):
            raise UserError(
                f"config.pose.align: {align}: expected numbers that divide both sides of every "
                f"training resolution; {resolution} is one"
            )
    if align and "s" in options.data.frame_offsets:
        raise UserError(
            f"config.pose.align: {align}: not with the opposite camera, whose known distance gives "
            "the scale; set it to ()"
        )
    make_optimizer(config.optimizer, 1)


def check_variant(variant: str, known: tuple[str, ...]) -> None:
    """Raise UserError unless a config file's variant is one that it knows."""
    check_choice("variant", variant, known)


def check_batch_size(config: ConfigDict, devices: int) -> None:
    """Raise UserError, naming the nearest sizes that would do, if a batch cannot be split evenly.

    Args:
        config: as `default_config`.
        devices: of all processes.
    """
    size, unit = config.data.batch_size, devices * config.train.accumulate
    if size > 0 and size % unit == 0:
        return
    below = max(size // unit, 0) * unit
    nearest = f"{below} or {below + unit}" if below else f"{unit}"
    parts = f", in {config.train.accumulate} parts each" if config.train.accumulate > 1 else ""
    raise UserError(
        f"config.data.batch_size: {size} cannot be split evenly over {devices} devices{parts}; "
        f"set it to {nearest}"
    )


def parse_resolution(field: str, text: str) -> tuple[int, int]:
    """`"640x192"` -> (640, 192); UserError if it is not of that form."""
    width, _, height = text.strip().partition("x")
    if not (width.isdigit() and height.isdigit()):
        raise UserError(f"{field}: expected WIDTHxHEIGHT such as 640x192, got {text!r}")
    return int(width), int(height)


def to_json(config: ConfigDict) -> dict:
    """The config as a plain dict, which JSON can hold (it turns tuples into lists)."""
    return ConfigDict(config).to_dict()
