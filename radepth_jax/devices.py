"""Placing arrays on this process's devices, for programs under `jax.pmap`."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"


def replicate(tree: Any, devices: list | None = None) -> Any:
    """A tree of arrays, whole on every device, laid out as `pmap` with `out_axes=None` returns it.

    Args:
        tree: a tree of arrays.
        devices: local devices, by default all of them.
    """
    mesh = Mesh(np.asarray(devices or jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def by_device(batch: dict[str, np.ndarray], devices: int, parts: int = 1) -> dict[str, np.ndarray]:
    """A process's batch [B, ...] as [devices, B / devices, ...].

    Args:
        batch: arrays [B, ...].
        devices: how many devices there are.
        parts: the batch is that many consecutive parts, and each part is split over the devices. A
            device's samples are its share of the first part, then of the second, and so on.
    """

    def arrange(x: np.ndarray) -> np.ndarray:
        x = x.reshape(parts, devices, -1, *x.shape[1:]).swapaxes(0, 1)
        return x.reshape(devices, -1, *x.shape[3:])

    return {k: arrange(v) for k, v in batch.items()}


def place_batch(
    batch: dict[str, np.ndarray], devices: list | None = None, parts: int = 1
) -> dict[str, jax.Array]:
    """A process's batch [B, ...] on its local devices, for `pmap`, in the layout of `by_device`."""
    devices = devices or jax.local_devices()
    sharding = NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec(AXIS))
    return {
        k: jax.device_put(v, sharding) for k, v in by_device(batch, len(devices), parts).items()
    }


def loader_workers(samples: int) -> int:
    """How many worker processes should decode a process's batch of `samples` on this machine.

    There is one worker for each core that this process may use but does not use itself, and at most
    one for each sample. If the step itself computes on these cores, there is none.
    """
    if jax.default_backend() == "cpu":
        return 0
    return min(samples, len(os.sched_getaffinity(0)) - 1)
