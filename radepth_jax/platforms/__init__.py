"""What depends on the backend that computes. The choice is made in Python.

Besides this package, `devices.loader_workers` asks for the backend. `losses.ssim` and
`losses.scene` have forms that are right on every backend but were written for XLA's CPU backend.
"""

import importlib.metadata
import importlib.util
import os
from typing import Any

import jax
from jax.experimental.layout import Format, Layout
from jax.sharding import SingleDeviceSharding

from radepth_jax.platforms import cpu
from radepth_jax.platforms.cpu import malloc
from radepth_jax.platforms.cpu.malloc import page_faults
from radepth_jax.platforms.operations import PLAIN, Operations

# cuDNN's order of a kernel [h, w, in, out]: output channels first, and the input channels of each
# pixel last.
CUDNN_KERNEL = Layout(major_to_minor=(3, 0, 1, 2))
REPEATABLE = "--xla_gpu_deterministic_ops=true"

__all__ = [
    "CUDNN_KERNEL",
    "PLAIN",
    "Operations",
    "ask_for_repeatable_kernels",
    "for_backend",
    "has_repeatable_kernels",
    "keep_freed_memory",
    "page_faults",
    "place_weights",
    "reserve_heap_fragments",
]


def for_backend(backend: str) -> Operations:
    """The operations that are fast on a backend, which is named as by `jax.default_backend()`."""
    return cpu.OPERATIONS if backend == "cpu" else PLAIN


def place_weights(tree: Any, device: jax.Device, backend: str | None = None) -> Any:
    """Put a network's weights on a device, in the order in memory that its library computes with.

    In JAX's own order a GPU's program copies each convolution's kernel at each call.

    Args:
        tree: a tree of arrays. Arrays with four axes are kernels [h, w, in, out].
        device: the device to put them on.
        backend: the backend's name. The default is that of `jax.default_backend()`.
    """
    sharding = SingleDeviceSharding(device)
    ordered = Format(CUDNN_KERNEL, sharding)
    for_gpu = (backend or jax.default_backend()) == "gpu"
    return jax.tree.map(
        lambda x: jax.device_put(x, ordered if for_gpu and x.ndim == 4 else sharding), tree
    )


def ask_for_repeatable_kernels() -> None:
    """Let XLA choose only kernels that give the same bits each time. CPUs and TPUs always do.

    XLA reads this setting once, when the first device is asked for.
    """
    given = os.environ.get("XLA_FLAGS", "")
    if REPEATABLE not in given:
        os.environ["XLA_FLAGS"] = f"{given} {REPEATABLE}".strip()


def has_repeatable_kernels() -> bool:
    """Whether this process's programs repeat bit for bit, as far as XLA was asked."""
    return jax.default_backend() != "gpu" or REPEATABLE in os.environ.get("XLA_FLAGS", "")


def keep_freed_memory() -> None:
    """Call `malloc.keep_freed_memory` if this process computes on a CPU. Otherwise do nothing.

    The single arena of that setting would slow down the threads of a host that feeds a GPU. Call
    this before JAX starts its threads. Afterwards the setting has less effect, or none.
    """
    if _has_a_cpu_alone() or jax.default_backend() == "cpu":
        malloc.keep_freed_memory()


def reserve_heap_fragments(few: int = malloc.FEW_PIECES) -> int:
    """Where this process computes on a CPU, `malloc.reserve_heap_fragments`; elsewhere nothing."""
    return malloc.reserve_heap_fragments(few) if jax.default_backend() == "cpu" else few


def _has_a_cpu_alone() -> bool:
    """Whether JAX uses a CPU alone. This can be told before JAX starts a backend."""
    return jax.config.values.get("jax_platforms") == "cpu" or not (
        importlib.metadata.entry_points(group="jax_plugins")
        or importlib.util.find_spec("jax_plugins")
        or importlib.util.find_spec("libtpu")
    )
