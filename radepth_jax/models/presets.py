"""Model configurations, as plain dictionaries for `config.model`."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from radepth_jax.models.build import DECODERS, ENCODERS, POSES
from radepth_jax.models.settings import defaults


def settings(table: Mapping[str, type], name: str, **changes: Any) -> dict[str, Any]:
    """All fields of an entry of `build.ENCODERS`, `DECODERS` or `POSES`, with these changes.

    The module in the table says what each field means.
    """
    return {"name": name} | defaults(table[name]) | changes


HRNET18 = settings(ENCODERS, "hrnet")
RESNET18 = settings(ENCODERS, "resnet")

HR_DECODER = settings(DECODERS, "hr")
SKIP_DECODER = settings(DECODERS, "skip")
NESTED_DECODER = settings(DECODERS, "nested")
ATTENTION_DECODER = settings(DECODERS, "attention")

RESNET_POSE = settings(POSES, "resnet18")
CONV_POSE = settings(POSES, "convs")
# A small pose network, for poses that alignment corrects.
SMALL_CONV_POSE = CONV_POSE | {"widths": (16, 32, 64, 96)}
CORRELATION_POSE = settings(POSES, "correlation")

# Small encoders and decoders, of the same structure, for 192x64 images and CPUs.
_TINY_HRNET = HRNET18 | {
    "width": 16,
    "branches": 3,
    "modules": (1, 1),
    "blocks": 1,
    "stem_width": 16,
    "bottlenecks": 1,
}
_TINY_RESNET = RESNET18 | {"width": 16, "stages": 3}
_TINY = {
    "hr": HR_DECODER | {"head": (16, 8)},
    "nested": NESTED_DECODER | {"head": (8, 8)},
}


def ra_depth() -> dict[str, Any]:
    """RA-Depth as published: 9,978,849 depth and 12,500,492 pose parameters."""
    return _model(HRNET18, HR_DECODER, RESNET_POSE)


def monodepth2(layers: int = 18) -> dict[str, Any]:
    """Monodepth2 with a ResNet-18 or -50."""
    return _model(RESNET18 | {"layers": layers}, SKIP_DECODER, RESNET_POSE)


def hr_depth() -> dict[str, Any]:
    """HR-Depth with a ResNet-18."""
    return _model(RESNET18, NESTED_DECODER, RESNET_POSE)


def diffnet() -> dict[str, Any]:
    """DIFFNet."""
    return _model(HRNET18, ATTENTION_DECODER, RESNET_POSE)


def hrnet_skip() -> dict[str, Any]:
    """HRNet-18 with Monodepth2's decoder: the baseline of RA-Depth's ablation."""
    return _model(HRNET18, SKIP_DECODER, RESNET_POSE)


# The keys are the names that configs and commands use.
MODELS = {
    "ra_depth": ra_depth,
    "monodepth2": monodepth2,
    "monodepth2_resnet50": lambda: monodepth2(50),
    "hr_depth": hr_depth,
    "diffnet": diffnet,
    "hrnet_skip": hrnet_skip,
}


def tiny(name: str = "ra_depth") -> dict[str, Any]:
    """A small model of the same structure as `MODELS[name]`, for 192x64 images and CPUs."""
    depth = MODELS[name]()["depth"]
    encoder = _TINY_HRNET if depth["encoder"]["name"] == "hrnet" else _TINY_RESNET
    decoder = depth["decoder"]
    if "channels" in decoder:
        decoder = decoder | {"channels": (8, 16, 32, 64)}
    return _model(encoder, _TINY.get(decoder["name"], decoder), CORRELATION_POSE)


def bundled() -> dict[str, Any]:
    """The bundled model: a little wider than `tiny`. It has 0.93 M parameters with the pose's."""
    model = tiny()
    model["depth"]["encoder"] |= {"width": 20, "modules": (1, 2), "stem_width": 24}
    return model


def _model(
    encoder: dict[str, Any], decoder: dict[str, Any], pose: dict[str, Any]
) -> dict[str, Any]:
    model = {
        "dtype": "float32",  # compute type: float32 or bfloat16; parameters stay float32
        "depth": {"encoder": encoder, "decoder": decoder},
        "pose": pose,
    }
    return deepcopy(model)
