"""Networks by name from a configuration, and their initial variables."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.models.depth import DualHRNet, check_resolution
from radepth_jax.models.hr_decoder import HRDecoder
from radepth_jax.models.hrnet import HRNet
from radepth_jax.models.init import draw_variables
from radepth_jax.models.pose import ConvPose, ResNetPose

Variables = dict[str, dict[str, Any]]

DTYPES = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


class Networks(NamedTuple):
    """The two networks that train together; their calls are set out in docs/architecture.md."""

    depth: nn.Module
    pose: nn.Module


def build(config: Mapping[str, Any], *, axis_name: str | None = None) -> Networks:
    """Build the networks that `config.model` describes.

    Args:
        config: as `presets.ra_depth()`: `dtype`, and `depth` and `pose`, each with a `name` and
            that network's fields.
        axis_name: mapped axis over which BatchNorm is synchronised; `None`: not at all.

    Raises:
        UserError: an unknown name or field, or a value that does not fit.
    """
    _check_fields("model", config, ("dtype", "depth", "pose"))
    dtype = DTYPES[_choice("model.dtype", config["dtype"], DTYPES)]
    shared = {"axis_name": axis_name, "dtype": dtype}
    depth = _choice("model.depth.name", config["depth"]["name"], _DEPTH)
    pose = _choice("model.pose.name", config["pose"]["name"], _POSE)
    return Networks(
        depth=_DEPTH[depth](config["depth"], **shared), pose=_POSE[pose](config["pose"], **shared)
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


def _dual_hrnet(config: Mapping[str, Any], *, axis_name: str | None, dtype: Any) -> DualHRNet:
    _check_fields("model.depth", config, presets.ra_depth()["depth"])
    branches = config["branches"]
    if branches not in (3, 4):
        raise UserError(f"model.depth.branches is {branches!r}: expected 3 or 4")
    modules = tuple(config["modules"])
    if len(modules) != branches - 1 or min(modules) < 1:
        raise UserError(
            f"model.depth.modules is {modules}: expected {branches - 1} numbers of 1 or more, "
            f"for the stages of 2 to {branches} branches"
        )
    for field in ("width", "blocks", "stem_width", "bottlenecks"):
        if config[field] < 1:
            raise UserError(f"model.depth.{field} is {config[field]}: expected 1 or more")
    initial = config["initial_disparity"]
    if initial is not None and not 0.0 < initial < 1.0:
        raise UserError(
            f"model.depth.initial_disparity is {initial}: expected a number between 0 and 1, "
            "or None for the default initialisation"
        )
    head = tuple(config["head"])
    if len(head) != 2 or min(head) < 1:
        raise UserError(f"model.depth.head is {head}: expected two numbers of channels")
    encoder = HRNet(
        width=config["width"],
        branches=branches,
        modules=modules,
        blocks=config["blocks"],
        stem_width=config["stem_width"],
        bottlenecks=config["bottlenecks"],
        axis_name=axis_name,
        dtype=dtype,
    )
    return DualHRNet(encoder, HRDecoder(head=head, initial_disparity=initial, dtype=dtype))


def _resnet_pose(config: Mapping[str, Any], *, axis_name: str | None, dtype: Any) -> ResNetPose:
    _check_fields("model.pose", config, presets.ra_depth()["pose"])
    return ResNetPose(axis_name=axis_name, dtype=dtype)


def _conv_pose(config: Mapping[str, Any], *, axis_name: str | None, dtype: Any) -> ConvPose:
    _check_fields("model.pose", config, presets.tiny()["pose"])
    widths = tuple(config["widths"])
    if not widths or min(widths) < 1:
        raise UserError(f"model.pose.widths is {widths}: expected channels, such as (16, 32, 64)")
    if not config["scale"] > 0:
        raise UserError(f"model.pose.scale is {config['scale']}: expected a positive number")
    return ConvPose(widths=widths, scale=config["scale"], axis_name=axis_name, dtype=dtype)


_DEPTH = {"dual_hrnet": _dual_hrnet}
_POSE = {"resnet18": _resnet_pose, "convs": _conv_pose}


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
