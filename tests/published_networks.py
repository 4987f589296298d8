"""The published RA-Depth networks on deterministic weights: state dicts, inputs, their outputs.

`tests/reference/models_radepth.npz` holds what the published PyTorch networks gave on these
weights and inputs, and the keys and shapes of their state dicts (0 fills up a shape's four places).
"""

import zlib
from pathlib import Path

import numpy as np

REFERENCE = Path(__file__).parent / "reference" / "models_radepth.npz"

# Compiles several times faster, and runs slower, than the default; for networks run once or twice.
FAST_COMPILE = {"xla_cpu_use_fusion_emitters": False, "xla_backend_optimization_level": 0}


def reference() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as arrays:
        return dict(arrays)


def state_dict_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """Part -> key -> shape."""
    arrays = reference()
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, padded in zip(
        arrays["state_dict_keys"], arrays["state_dict_shapes"].tolist(), strict=True
    ):
        part, key = str(name).split("/")
        shapes.setdefault(part, {})[key] = tuple(n for n in padded if n)
    return shapes


def state_dicts() -> dict[str, dict[str, np.ndarray]]:
    """Part -> key -> value, the weights that the reference outputs were computed with."""
    return {
        part: {key: _value(part, key, shape) for key, shape in shapes.items()}
        for part, shapes in state_dict_shapes().items()
    }


def _value(part: str, key: str, shape: tuple[int, ...]) -> np.ndarray:
    if key.endswith("num_batches_tracked"):
        return np.zeros((), np.int64)
    rng = np.random.default_rng(zlib.crc32(f"radepth/{part}/{key}".encode()))
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
