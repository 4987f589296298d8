"""Placing arrays on this process's devices, for programs under `jax.pmap`."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

AXIS = "devices"


def replicate(tree: Any, devices: list | None = None) -> Any:
    """A tree of arrays, whole on every device, laid out as `pmap` with `out_axes=None` returns it.

    Args:
        tree: of arrays.
        devices: local devices; all by default.
    """
    mesh = Mesh(np.asarray(devices or jax.local_devices()), (AXIS,))
    return jax.device_put(tree, NamedSharding(mesh, PartitionSpec()))


def place_batch(batch: dict[str, np.ndarray], devices: list | None = None) -> dict[str, jax.Array]:
    """A process's batch [B, ...] on its devices, as [devices, B / devices, ...] for `pmap`."""
    devices = devices or jax.local_devices()
    sharding = NamedSharding(Mesh(np.asarray(devices), (AXIS,)), PartitionSpec(AXIS))
    return {
        k: jax.device_put(v.reshape(len(devices), -1, *v.shape[1:]), sharding)
        for k, v in batch.items()
    }
