"""Model configurations, as plain dictionaries for `config.model`."""

from typing import Any


def ra_depth() -> dict[str, Any]:
    """RA-Depth as published: 9,978,849 depth and 12,500,492 pose parameters."""
    return {
        "dtype": "float32",  # compute type: float32 | bfloat16; parameters stay float32
        "depth": {
            "name": "dual_hrnet",
            "width": 18,  # channels at 1/4; doubled at each coarser branch
            "branches": 4,  # 3 | 4: down to 1/16 | 1/32
            "modules": (1, 4, 3),  # exchange modules with 2, 3, 4 branches
            "blocks": 4,  # basic blocks of a branch in a module
            "stem_width": 64,
            "bottlenecks": 4,
            "head": (32, 16),  # channels of the decoder's last two blocks
            "initial_disparity": None,  # start of an untrained network, in (0, 1)
        },
        "pose": {"name": "resnet18"},
    }


def tiny() -> dict[str, Any]:
    """A small network for 192x64 images and CPUs, of the same structure."""
    return {
        "dtype": "float32",
        "depth": {
            "name": "dual_hrnet",
            "width": 16,
            "branches": 3,
            "modules": (1, 1),
            "blocks": 1,
            "stem_width": 16,
            "bottlenecks": 1,
            "head": (16, 8),
            "initial_disparity": None,
        },
        "pose": {"name": "convs", "widths": (16, 32, 64, 96, 96), "scale": 0.01},
    }
