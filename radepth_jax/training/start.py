"""Where a run starts: its newest checkpoint, other weights, or nothing."""

from collections.abc import Callable

from flax.traverse_util import flatten_dict
from ml_collections import ConfigDict

from radepth_jax.data import TrainingSource
from radepth_jax.errors import UserError
from radepth_jax.interop.pretrained import load_imagenet, published_source
from radepth_jax.runs.checkpoint import Checkpoints
from radepth_jax.runs.config import to_json
from radepth_jax.runs.optimizer import make_optimizer
from radepth_jax.runs.options import IMAGENET
from radepth_jax.runs.saved_model import load_model
from radepth_jax.runs.state import (
    TrainState,
    camera_variables,
    create_state,
    init_state,
    variables_of,
)
from radepth_jax.training.calibration import calibration_images

# Changes of these settings are not reported.
_OF_THE_HOST = ("data.data_dir", "data.workers")


def first_state(
    config: ConfigDict,
    total_steps: int,
    checkpoints: Checkpoints,
    source: TrainingSource,
    say: Callable[[str], None],
) -> TrainState:
    """The state that a run goes on from, or begins with.

    Args:
        config: the run's config.
        total_steps: the last step's number.
        checkpoints: the run's checkpoints. If there are any, the run goes on from the newest one.
        source: the training samples, whose images may calibrate loaded weights.
        say: prints a line for the user.

    Raises:
        UserError: A checkpoint is of another model, or weights cannot be used.
    """
    if checkpoints.latest_step is not None:
        state, saved, _ = checkpoints.restore()
        _check_same_model(saved, config, "in this --workdir", "use another --workdir")
        if bool(saved.pose.learned_fov) != bool(config.pose.learned_fov):
            raise UserError(
                f"config.pose.learned_fov is {config.pose.learned_fov:g}, but was "
                f"{saved.pose.learned_fov:g} when the run in this --workdir began; set it to that, "
                "or use another --workdir"
            )
        say(f"continuing from step {int(state.step)} of {total_steps}{_changes(saved, config)}")
        return state
    optimizer = make_optimizer(config.optimizer, total_steps)
    pretrained = config.pretrained
    if pretrained.checkpoint:
        model = load_model(pretrained.checkpoint)
        _check_same_model(model.config, config, "config.pretrained.checkpoint", "name another one")
        return create_state(_with_camera(model.variables, config), optimizer)
    state = init_state(config, total_steps)
    sources = _imagenet_sources(config, say)
    if any(sources.values()):
        variables = load_imagenet(
            variables_of(state),
            config.model,
            **sources,
            images=lambda: calibration_images(source, tuple(config.views.resolution)),
        )
        state = create_state(_with_camera(variables, config), optimizer)
    return state


def _imagenet_sources(config: ConfigDict, say: Callable[[str], None]) -> dict[str, str]:
    """The sources for `load_imagenet`, by the names of its arguments."""
    names = {"depth": config.model.depth.encoder.name, "pose": config.model.pose.name}
    sources = {}
    for network, name in names.items():
        field = f"{network}_encoder"
        source = config.pretrained[field]
        if source == IMAGENET:
            source = published_source(config.model, network)
            if source is None:
                say(
                    f"config.pretrained.{field} is {IMAGENET!r}, but {name!r} has no published "
                    "weights: it starts from random ones"
                )
        sources[field] = source or ""
    return sources


def _with_camera(variables: dict, config: ConfigDict) -> dict:
    """A model's variables, with those of the camera if this run learns it, and without if not."""
    camera = camera_variables(config)
    return {k: v for k, v in (camera | variables).items() if k != "camera" or camera}


def _changes(saved: ConfigDict, given: ConfigDict) -> str:
    """The settings that differ from those that the run began with, to end a line with."""
    before, now = (flatten_dict(to_json(c), sep=".") for c in (saved, given))
    changed = [
        f"{field} {now[field]} (was {before[field]})"
        for field in now
        if field in before and now[field] != before[field] and field not in _OF_THE_HOST
    ]
    return f", with other settings than before: {', '.join(changed)}" if changed else ""


def _check_same_model(saved: ConfigDict, given: ConfigDict, where: str, remedy: str) -> None:
    """Raises a UserError that names the first field in which two configs' models differ."""
    theirs, ours = (flatten_dict(to_json(c)["model"], sep=".") for c in (saved, given))
    for field in sorted(set(theirs) | set(ours)):
        if theirs.get(field) != ours.get(field):
            raise UserError(
                f"config.model.{field} is {ours.get(field)}, but the checkpoint {where} is of "
                f"another model, with {theirs.get(field)}; {remedy}, or set the field to that"
            )
