"""The published networks on deterministic weights: state dicts, inputs, their outputs.

`tests/reference/models_SYSTEM.npz` holds what the published PyTorch networks gave on these weights
and inputs, and the keys and shapes of their state dicts (0 fills up a shape's four places).
"""

import importlib.metadata
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "reference"

# Of presets.MODELS -> as the reference calls it.
SYSTEMS = {
    "ra_depth": "radepth",
    "monodepth2": "monodepth2",
    "hr_depth": "hrdepth",
    "diffnet": "diffnet",
}

# Compiles several times faster, and runs slower, than the default; for networks run once or twice.
# jaxlib 0.12 ends a program that asks for its first half.
_VERSION = importlib.metadata.version("jaxlib").split(".")
HAS_PLAIN_LOOPS = tuple(map(int, _VERSION[:2])) < (0, 12)
FAST_COMPILE = {"xla_backend_optimization_level": 0}
if HAS_PLAIN_LOOPS:
    FAST_COMPILE["xla_cpu_use_fusion_emitters"] = False


def reference(system: str = "ra_depth") -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"models_{SYSTEMS[system]}.npz") as arrays:
        return dict(arrays)


def state_dict_shapes(system: str = "ra_depth") -> dict[str, dict[str, tuple[int, ...]]]:
    """Part -> key -> shape."""
    arrays = reference(system)
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, padded in zip(
        arrays["state_dict_keys"], arrays["state_dict_shapes"].tolist(), strict=True
    ):
        part, key = str(name).split("/")
        shapes.setdefault(part, {})[key] = tuple(n for n in padded if n)
    return shapes


def state_dicts(system: str = "ra_depth") -> dict[str, dict[str, np.ndarray]]:
    """Part -> key -> value, the weights that the reference outputs were computed with.

    HR-Depth's and DIFFNet's have no pose network.
    """
    return {
        part: {key: _value(SYSTEMS[system], part, key, shape) for key, shape in shapes.items()}
        for part, shapes in state_dict_shapes(system).items()
    }


def _value(system: str, part: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    rng = np.random.default_rng(zlib.crc32(f"{system}/{part}/{key}".encode()))
    n = rng.standard_normal(shape, dtype=np.float32)
    if key.endswith("running_var"):
        value = 1 + 0.2 * np.abs(n)
    elif key.endswith("running_mean"):
        value = 0.1 * n
    elif len(shape) in (2, 4):
        value = n * np.sqrt(1 / np.prod(shape[1:]))
    elif key.endswith("weight"):
        value = 0.4 * (1 + 0.1 * n)
    else:
        value = 0.1 * n
    return value.astype(np.float32)


def images() -> np.ndarray:
    """[2, 64, 192, 3]."""
    return _random(b"input/image", 3)


def pairs() -> np.ndarray:
    """[2, 64, 192, 6]."""
    return _random(b"input/pair", 6)


def _random(name: bytes, channels: int) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32(name))
    return rng.random((2, 64, 192, channels), dtype=np.float32)
