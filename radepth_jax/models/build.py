"""Networks by name from a configuration, and their initial variables."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.models.attention_decoder import AttentionDecoder
from radepth_jax.models.correlation_pose import CorrelationPose
from radepth_jax.models.depth import DepthNetwork, check_resolution
from radepth_jax.models.hr_decoder import HRDecoder
from radepth_jax.models.hrnet import HRNet
from radepth_jax.models.init import draw_variables
from radepth_jax.models.nested_decoder import NestedDecoder
from radepth_jax.models.pose import ConvPose, ResNetPose
from radepth_jax.models.resnet import LAYERS, ResNet
from radepth_jax.models.skip_decoder import SkipDecoder

Variables = dict[str, dict[str, Any]]

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class Networks(NamedTuple):
    """The two networks that train together; their calls are set out in docs/architecture.md."""

    depth: nn.Module
    pose: nn.Module


def build(
    config: Mapping[str, Any], *, axis_name: str | None = None, rematerialise: bool = False
) -> Networks:
    """Build the networks that `config.model` describes.

    Args:
        config: as `presets.ra_depth()`: `dtype`; `depth` with an `encoder` and a `decoder`, and
            `pose`, each of these with a `name` and its own fields. Any encoder goes with any
            decoder, but that `attention` needs `hrnet`.
        axis_name: mapped axis over which BatchNorm is synchronised; `None`: not at all.
        rematerialise: compute activations once more for the derivative instead of keeping them:
            less memory, more time.

    Raises:
        UserError: an unknown name or field, or a value that does not fit.
    """
    _check_fields("model", config, ("dtype", "depth", "pose"))
    dtype = DTYPES[_choice("model.dtype", config["dtype"], DTYPES)]
    shared = {"axis_name": axis_name, "dtype": dtype, "rematerialise": rematerialise}
    pose = _choice("model.pose.name", config["pose"]["name"], _POSE)
    return Networks(
        depth=_depth_network(config["depth"], **shared), pose=_POSE[pose](config["pose"], **shared)
    )


def portable(depth: nn.Module) -> nn.Module:
    """The same network in operations that every program knows, for exports."""
    return depth.clone(
        encoder=depth.encoder.clone(portable=True), decoder=depth.decoder.clone(portable=True)
    )


def init_variables(networks: Networks, key: jax.Array, resolution: tuple[int, int]) -> Variables:
    """Draw initial variables: `{"depth": {"params", "batch_stats"}, "pose": {...}}`, float32.

    The networks are traced but not compiled; see `init`.

    Args:
        networks: from `build`.
        key: typed PRNG key.
        resolution: (width, height) of the images the networks are meant for; checked against
            the depth network's stride. The variables do not depend on it.

    Raises:
        UserError: the resolution does not fit the depth network.
    """
    return {name: init_network(networks, name, key, resolution) for name in Networks._fields}


def init_network(
    networks: Networks, name: str, key: jax.Array, resolution: tuple[int, int]
) -> dict[str, Any]:
    """One network's part of `init_variables` ("depth" or "pose"), with the same key."""
    own_key = jax.random.split(key)[Networks._fields.index(name)]
    return draw_variables(getattr(networks, name), own_key, _inputs(networks, resolution)[name])


def variable_shapes(networks: Networks, resolution: tuple[int, int]) -> Variables:
    """As `init_variables`, but only shapes and types (`jax.ShapeDtypeStruct`)."""
    key = jax.random.key(0)
    return {
        name: jax.eval_shape(getattr(networks, name).init, key, images)
        for name, images in _inputs(networks, resolution).items()
    }


def _inputs(networks: Networks, resolution: tuple[int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and type of each network's input, for images of (width, height)."""
    check_resolution(resolution, networks.depth.stride)
    width, height = resolution
    return {
        name: jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32)
        for name, channels in (("depth", 3), ("pose", 6))
    }


def _depth_network(config: Mapping[str, Any], **shared: Any) -> DepthNetwork:
    _check_fields("model.depth", config, ("encoder", "decoder"))
    encoder, decoder = config["encoder"], config["decoder"]
    decoder_name = _choice("model.depth.decoder.name", decoder["name"], _DECODERS)
    encoder_name = _choice("model.depth.encoder.name", encoder["name"], _ENCODERS)
    if decoder_name == "attention" and encoder_name != "hrnet":
        raise UserError(
            f"model.depth.decoder.name is 'attention' and model.depth.encoder.name "
            f"{encoder_name!r}: that decoder needs 'hrnet'"
        )
    built = _ENCODERS[encoder_name](encoder, every_stage=decoder_name == "attention", **shared)
    features = int(math.log2(built.stride))
    return DepthNetwork(
        built,
        _DECODERS[decoder_name](decoder, features, shared["dtype"]),
        shared["rematerialise"],
    )


def _hrnet(config: Mapping[str, Any], *, every_stage: bool, **shared: Any) -> HRNet:
    _check_fields("model.depth.encoder", config, presets.HRNET18)
    branches = config["branches"]
    if branches not in (3, 4):
        raise UserError(f"model.depth.encoder.branches is {branches!r}: expected 3 or 4")
    modules = tuple(config["modules"])
    if len(modules) != branches - 1 or min(modules) < 1:
        raise UserError(
            f"model.depth.encoder.modules is {modules}: expected {branches - 1} numbers of 1 or "
            f"more, for the stages of 2 to {branches} branches"
        )
    for field in ("width", "blocks", "stem_width", "bottlenecks"):
        if config[field] < 1:
            raise UserError(f"model.depth.encoder.{field} is {config[field]}: expected 1 or more")
    return HRNet(
        width=config["width"],
        branches=branches,
        modules=modules,
        blocks=config["blocks"],
        stem_width=config["stem_width"],
        bottlenecks=config["bottlenecks"],
        every_stage=every_stage,
        **shared,
    )


def _resnet(config: Mapping[str, Any], *, every_stage: bool, **shared: Any) -> ResNet:
    del every_stage
    _check_fields("model.depth.encoder", config, presets.RESNET18)
    if config["layers"] not in LAYERS:
        raise UserError(
            f"model.depth.encoder.layers is {config['layers']!r}: expected one of "
            f"{', '.join(map(str, LAYERS))}"
        )
    if config["stages"] not in (3, 4):
        raise UserError(f"model.depth.encoder.stages is {config['stages']!r}: expected 3 or 4")
    if config["width"] < 1:
        raise UserError(f"model.depth.encoder.width is {config['width']}: expected 1 or more")
    return ResNet(layers=config["layers"], width=config["width"], stages=config["stages"], **shared)


def _hr_decoder(config: Mapping[str, Any], features: int, dtype: Any) -> HRDecoder:
    del features
    _check_fields("model.depth.decoder", config, presets.HR_DECODER)
    return HRDecoder(
        _widths(config, "head", 2), initial_disparity=_initial_disparity(config), dtype=dtype
    )


def _skip_decoder(config: Mapping[str, Any], features: int, dtype: Any) -> SkipDecoder:
    _check_fields("model.depth.decoder", config, presets.SKIP_DECODER)
    return SkipDecoder(
        _widths(config, "channels", features),
        initial_disparity=_initial_disparity(config),
        dtype=dtype,
    )


def _nested_decoder(config: Mapping[str, Any], features: int, dtype: Any) -> NestedDecoder:
    del features
    _check_fields("model.depth.decoder", config, presets.NESTED_DECODER)
    return NestedDecoder(
        _widths(config, "head", 2), initial_disparity=_initial_disparity(config), dtype=dtype
    )


def _attention_decoder(config: Mapping[str, Any], features: int, dtype: Any) -> AttentionDecoder:
    _check_fields("model.depth.decoder", config, presets.ATTENTION_DECODER)
    channels = _widths(config, "channels", features)
    return AttentionDecoder(channels, initial_disparity=_initial_disparity(config), dtype=dtype)


def _widths(config: Mapping[str, Any], field: str, number: int) -> tuple[int, ...]:
    widths = tuple(config[field])
    if len(widths) != number or min(widths) < 1:
        raise UserError(
            f"model.depth.decoder.{field} is {widths}: expected {number} numbers of channels"
        )
    return widths


def _initial_disparity(config: Mapping[str, Any]) -> float | None:
    initial = config["initial_disparity"]
    if not 0.0 <= initial < 1.0:
        raise UserError(
            f"model.depth.decoder.initial_disparity is {initial}: expected a number between 0 and "
            "1, or 0 for the default initialisation"
        )
    return initial or None


def _resnet_pose(config: Mapping[str, Any], **shared: Any) -> ResNetPose:
    _check_fields("model.pose", config, presets.RESNET_POSE)
    if config["stages"] not in (3, 4):
        raise UserError(f"model.pose.stages is {config['stages']!r}: expected 3 or 4")
    return ResNetPose(stages=config["stages"], **shared)


def _conv_pose(config: Mapping[str, Any], *, rematerialise: bool, **shared: Any) -> ConvPose:
    del rematerialise  # it is small
    _check_fields("model.pose", config, presets.CONV_POSE)
    widths = tuple(config["widths"])
    if not widths or min(widths) < 1:
        raise UserError(f"model.pose.widths is {widths}: expected channels, such as (16, 32, 64)")
    if not config["scale"] > 0:
        raise UserError(f"model.pose.scale is {config['scale']}: expected a positive number")
    return ConvPose(widths=widths, scale=config["scale"], **shared)


def _correlation_pose(
    config: Mapping[str, Any], *, rematerialise: bool, **shared: Any
) -> CorrelationPose:
    del rematerialise  # it is small
    _check_fields("model.pose", config, presets.CORRELATION_POSE)
    lengths = {"features": 2, "reach": 2, "widths": len(config["widths"])}
    for field, length in lengths.items():
        values = tuple(config[field])
        if len(values) != length or not values or min(values) < 1:
            raise UserError(
                f"model.pose.{field} is {values}: expected {length or 'some'} numbers of 1 or more"
            )
    if not config["scale"] > 0:
        raise UserError(f"model.pose.scale is {config['scale']}: expected a positive number")
    fields = {field: tuple(config[field]) for field in lengths}
    return CorrelationPose(**fields, scale=config["scale"], **shared)


_ENCODERS: dict[str, Callable[..., Any]] = {"hrnet": _hrnet, "resnet": _resnet}
_DECODERS: dict[str, Callable[..., Any]] = {
    "hr": _hr_decoder,
    "skip": _skip_decoder,
    "nested": _nested_decoder,
    "attention": _attention_decoder,
}
_POSE: dict[str, Callable[..., Any]] = {
    "resnet18": _resnet_pose,
    "convs": _conv_pose,
    "correlation": _correlation_pose,
}


def _choice(field: str, value: str, choices: Mapping[str, Any]) -> str:
    if value not in choices:
        raise UserError(f"{field} is {value!r}: expected one of {', '.join(choices)}")
    return value


def _check_fields(where: str, config: Mapping[str, Any], expected: Any) -> None:
    """Raise a `UserError` unless `config` has exactly the `expected` fields."""
    given, expected = list(config), list(expected)
    unknown = [field for field in given if field not in expected]
    missing = [field for field in expected if field not in given]
    if unknown or missing:
        problem = f"unknown {', '.join(unknown)}" if unknown else f"missing {', '.join(missing)}"
        raise UserError(f"{where}: {problem}; its fields are {', '.join(expected)}")
