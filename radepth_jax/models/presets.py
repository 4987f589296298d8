"""Model configurations, as plain dictionaries for `config.model`."""

from copy import deepcopy
from typing import Any

HRNET18 = {
    "name": "hrnet",
    "width": 18,  # channels at 1/4; doubled at each coarser branch
    "branches": 4,  # 3 | 4: down to 1/16 | 1/32
    "modules": (1, 4, 3),  # exchange modules with 2, 3, 4 branches
    "blocks": 4,  # basic blocks of a branch in a module
    "stem_width": 64,
    "bottlenecks": 4,
}
RESNET18 = {
    "name": "resnet",
    "layers": 18,  # 18 | 50
    "width": 64,  # channels at 1/2; doubled by each stage
    "stages": 4,  # 3 | 4: down to 1/16 | 1/32
}

# Every decoder's `initial_disparity` is where an untrained network starts, in (0, 1); 0 leaves that
# to PyTorch's default initialisation, near 0.5.
HR_DECODER = {
    "name": "hr",
    "head": (32, 16),  # channels of the last two blocks
    "initial_disparity": 0.0,
}
SKIP_DECODER = {
    "name": "skip",
    "channels": (16, 32, 64, 128, 256),  # at full size, 1/2, ...: one for each size of features
    "initial_disparity": 0.0,
}
NESTED_DECODER = {"name": "nested", "head": (16, 16), "initial_disparity": 0.0}
ATTENTION_DECODER = {
    "name": "attention",
    "channels": (16, 32, 64, 128, 256),
    "initial_disparity": 0.0,
}

RESNET_POSE = {"name": "resnet18", "stages": 4}  # 3 | 4: down to 1/16 | 1/32
CONV_POSE = {"name": "convs", "widths": (16, 32, 64, 96, 96), "scale": 0.01}
CORRELATION_POSE = {
    "name": "correlation",
    "features": (16, 32),  # of each frame
    "reach": (3, 4),  # rows and columns of the window, in each direction, at 1/4 size
    "widths": (64, 64, 96, 96),
    "scale": 0.01,
}

# Small encoders and decoders, of the same structure, for 192x64 images and CPUs.
_TINY_HRNET = {
    "name": "hrnet",
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


# By the name that configs and commands use.
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


def box() -> dict[str, Any]:
    """The network in the box: as `tiny`, a little wider; 0.93 M parameters with the pose's."""
    model = tiny()
    model["depth"]["encoder"] |= {"width": 20, "modules": (1, 2), "stem_width": 24}
    return model


def _model(
    encoder: dict[str, Any], decoder: dict[str, Any], pose: dict[str, Any]
) -> dict[str, Any]:
    model = {
        "dtype": "float32",  # compute type: float32 | bfloat16; parameters stay float32
        "depth": {"encoder": encoder, "decoder": decoder},
        "pose": pose,
    }
    return deepcopy(model)
