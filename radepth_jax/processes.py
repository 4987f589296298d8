"""Runs of several processes: how they find each other, and data that all of them hold."""

from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from radepth_jax.devices import AXIS
from radepth_jax.errors import UserError


def initialize(
    coordinator: str | None,
    count: int | None,
    index: int | None,
    *,
    peer_timeout: int = 100,
    start_timeout: int = 300,
) -> None:
    """Connect to the other processes. Call this before anything else of JAX.

    JAX aborts a process (SIGABRT) whose peers do not come, or are gone later.

    Args:
        coordinator: HOST:PORT at which process 0 can be reached. If this, `count` and `index` are
            None, the scheduler is asked: SLURM, Open MPI, Cloud TPU or Kubernetes.
        count: the number of processes.
        index: the number of this process, from 0.
        peer_timeout: seconds without a sign of life after which a process counts as dead.
        start_timeout: seconds to wait for the other processes at the start.

    Raises:
        UserError: The scheduler does not say who the others are, or processes have different
            numbers of devices.
    """
    try:
        jax.distributed.initialize(
            coordinator,
            count,
            index,
            initialization_timeout=start_timeout,
            heartbeat_timeout_seconds=peer_timeout,
            shutdown_timeout_seconds=peer_timeout,
        )
    except (ValueError, RuntimeError) as error:
        raise UserError(
            f"--distributed: the other processes cannot be found ({error}); under a scheduler that "
            "JAX does not know, give --coordinator HOST:PORT --processes N --process I"
        ) from error
    if jax.device_count() != jax.local_device_count() * jax.process_count():
        raise UserError(
            f"this process has {jax.local_device_count()} of the {jax.device_count()} devices of "
            f"{jax.process_count()} processes; give every process as many"
        )
    # Connections are made when they are first used, and on CPUs within 30 s of each other. So they
    # are made now, when all processes are at the same point. Later, one may have compiled a minute
    # longer than another.
    ones = np.ones(jax.local_device_count(), np.float32)
    jax.block_until_ready(jax.pmap(lambda x: jax.lax.psum(x, AXIS), AXIS)(ones))
    gather(ones)
    multihost_utils.sync_global_devices("joined")


def check_same(what: str, remedy: str, *values: int) -> None:
    """Raise UserError in every process unless all of them give the same values.

    Args:
        what: what the values are, for the message.
        remedy: what to do if they differ.
        *values: whole numbers of 32 bits, equally many in every process.
    """
    everyone = gather(np.asarray(values, np.int32))
    others = np.flatnonzero((everyone != everyone[:1]).any(axis=1))
    if others.size:
        named = ", ".join(map(str, others[:3])) + ", ..." * (others.size > 3)
        raise UserError(
            f"the processes of this run differ in {what} ({named} from 0, of {len(everyone)}); "
            f"{remedy}"
        )


def gather(values: np.ndarray) -> np.ndarray:
    """The arrays of all processes, stacked as [processes, ...]. All have one shape."""
    if jax.process_count() == 1:
        return values[None]
    return np.asarray(multihost_utils.process_allgather(values))


def to_global(tree: Any) -> Any:
    """Arrays that every process holds whole, as global arrays over all devices, for Orbax."""
    if jax.process_count() == 1:
        return tree
    return multihost_utils.host_local_array_to_global_array(tree, _mesh(), PartitionSpec())


def to_local(tree: Any) -> Any:
    """The inverse of `to_global`: each process gets its own copy."""
    if jax.process_count() == 1:
        return tree
    return multihost_utils.global_array_to_host_local_array(tree, _mesh(), PartitionSpec())


def replicated_sharding() -> jax.sharding.Sharding:
    """A sharding that is whole in every process: on one local device, or as `to_local` takes it."""
    if jax.process_count() == 1:
        return jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    return NamedSharding(_mesh(), PartitionSpec())


def _mesh() -> Mesh:
    return Mesh(np.asarray(jax.devices()), (AXIS,))
