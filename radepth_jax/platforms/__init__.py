"""What depends on the backend that computes. It is chosen here, in Python, and nowhere else."""

import importlib.metadata
import importlib.util

import jax

from radepth_jax.platforms import cpu
from radepth_jax.platforms.cpu import malloc
from radepth_jax.platforms.operations import PLAIN, Operations

__all__ = [
    "PLAIN",
    "Operations",
    "for_backend",
    "keep_freed_memory",
    "reserve_heap_fragments",
]


def for_backend(backend: str) -> Operations:
    """The operations that are fast on a backend of `jax.default_backend()`."""
    return cpu.OPERATIONS if backend == "cpu" else PLAIN


def keep_freed_memory() -> None:
    """Where this process computes on a CPU, `malloc.keep_freed_memory`; elsewhere nothing.

    The single arena of that setting would slow down the threads of a host that feeds a GPU. It has
    its full effect before JAX starts its threads.
    """
    if _has_a_cpu_alone() or jax.default_backend() == "cpu":
        malloc.keep_freed_memory()


def reserve_heap_fragments() -> None:
    """Where this process computes on a CPU, `malloc.reserve_heap_fragments`; elsewhere nothing."""
    if jax.default_backend() == "cpu":
        malloc.reserve_heap_fragments()


def _has_a_cpu_alone() -> bool:
    """Whether JAX has no other backend, which shows before it starts any."""
    return not (
        importlib.metadata.entry_points(group="jax_plugins")
        or importlib.util.find_spec("jax_plugins")
        or importlib.util.find_spec("libtpu")
    )
