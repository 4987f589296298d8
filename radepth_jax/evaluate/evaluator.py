"""Evaluate a depth network at a list of resolutions: everything on the devices."""

import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax import platforms
from radepth_jax.data import EvaluationSource, device_prefetch
from radepth_jax.devices import place_batch, replicate
from radepth_jax.evaluate.ground import ground_scale
from radepth_jax.evaluate.metrics import Protocol, depth_metrics
from radepth_jax.evaluate.row import Row, make_row
from radepth_jax.geometry.camera import depth_from_disparity, resize_intrinsics
from radepth_jax.models import Networks
from radepth_jax.predict.disparity import Resolution, predict_disparity
from radepth_jax.processes import gather

# What a batch has of each sample.
FIELDS = ("image", "size", "intrinsics", "depth", "depth_size")


def evaluate_batch(
    variables: Any,
    batch: dict[str, jax.Array],
    factor: jax.Array | float = 1.0,
    *,
    networks: Networks,
    resolution: Resolution | None,
    protocol: Protocol,
    depth_range: tuple[float, float],
    flip: bool = False,
) -> tuple[dict[str, dict[str, jax.Array]], jax.Array]:
    """Metrics of a batch of images at one resolution; pure, for `jit` or `pmap`.

    Args:
        variables: {"depth": {"params", "batch_stats"}, ...}.
        batch: `image` uint8 [B, H0, W0, 3], `size` int32 [B, 2], `intrinsics` float32 [B, 3, 3],
            `depth` float32 [B, Hd, Wd], `depth_size` int32 [B, 2].
        factor: [] metres per unit of predicted depth, for the scalings "fixed" and "none".
        networks: of `models.build`.
        resolution: (width, height), or None for the images' own.
        protocol: how to compare.
        depth_range: (min, max) that disparities are scaled to.
        flip: average with the mirrored image's prediction.

    Returns:
        For each of `protocol.scalings`, `depth_metrics` by name [B]; and predicted depths
        [B, Hd, Wd] before scaling, at the ground truth's size.
    """
    canvas = (batch["depth"].shape[1], batch["depth"].shape[2])
    disparity = predict_disparity(
        variables,
        batch["image"],
        batch["size"],
        networks=networks,
        resolution=resolution,
        flip=flip,
        canvas=canvas,
        output_sizes=batch["depth_size"],
    )
    predicted = depth_from_disparity(disparity, min_depth=depth_range[0], max_depth=depth_range[1])

    def compare(
        predicted: jax.Array, sample: dict[str, jax.Array], scaling: str
    ) -> dict[str, jax.Array]:
        own_factor: jax.Array | None = jnp.asarray(factor, jnp.float32)
        if scaling == "median":
            own_factor = None
        elif scaling == "ground":
            K = resize_intrinsics(sample["intrinsics"], sample["size"], sample["depth_size"])
            own_factor = ground_scale(
                predicted, K, sample["depth_size"], camera_height=protocol.camera_height
            )
        return depth_metrics(predicted, sample["depth"], sample["depth_size"], protocol, own_factor)

    metrics = {
        scaling: jax.vmap(partial(compare, scaling=scaling))(predicted, batch)
        for scaling in protocol.scalings
    }
    return metrics, predicted


@lru_cache(maxsize=64)
def compiled_step(
    networks: Networks,
    resolution: Resolution | None,
    protocol: Protocol,
    depth_range: tuple[float, float],
    flip: bool,
    devices: tuple[jax.Device, ...],
) -> Callable[..., Any]:
    """`evaluate_batch(variables, batch [devices, B, ...], factor)` under `pmap`.

    Cached, so that another checkpoint of the same network compiles nothing.
    """
    step = partial(
        evaluate_batch,
        networks=networks,
        resolution=resolution,
        protocol=protocol,
        depth_range=depth_range,
        flip=flip,
    )
    return jax.pmap(step, in_axes=(None, 0, None), devices=devices)


def batches(
    source: EvaluationSource, indices: Sequence[int], batch_size: int
) -> Iterator[tuple[dict[str, np.ndarray], list[str]]]:
    """Batches of one shape, the last one filled up by repeating its last image.

    Yields:
        (batch, names of those that are real).
    """
    for start in range(0, len(indices), batch_size):
        real = [source[i] for i in indices[start : start + batch_size]]
        padded = real + [real[-1]] * (batch_size - len(real))
        yield (
            {k: np.stack([s[k] for s in padded]) for k in FIELDS},
            [s["name"] for s in real],
        )


def evaluate(
    variables: Any,
    networks: Networks,
    source: EvaluationSource,
    resolutions: Sequence[Resolution | None],
    *,
    protocol: Protocol,
    depth_range: tuple[float, float] = (0.1, 100.0),
    factor: float = 1.0,
    flip: bool = False,
    batch_size: int = 8,
    model: str = "model",
    show: Sequence[int] = (),
    devices: Sequence[jax.Device] | None = None,
) -> list[Row]:
    """Evaluate at every resolution; per-image metrics, averaged over images.

    Each image is decoded once. One compilation serves a resolution, whatever the images' sizes and
    their number. In a run of several processes all of them call this, each evaluates every P-th
    image, and all get the same rows (but the depths of `show`, which are of a process's own).

    Args:
        variables: the networks' variables.
        networks: of `models.build`.
        source: images with ground truth; those without any valid pixel are left out.
        resolutions: list of (width, height); None stands for the images' own.
        protocol: how to compare.
        depth_range: (min, max) that disparities are scaled to.
        factor: metres per unit of predicted depth, for the scalings "fixed" and "none".
        flip: average with the mirrored image's prediction.
        batch_size: images a step over this process's devices, rounded up to a multiple of their
            number.
        model: name for the table.
        show: images whose predicted depth is kept in the rows.
        devices: local devices; all by default.

    Returns:
        For each resolution, a Row for each of `protocol.scalings`.

    Raises:
        UserError: if no image has ground truth.
    """
    platforms.keep_freed_memory()
    devices = tuple(devices or jax.local_devices())
    resolutions = [None if r is None else (int(r[0]), int(r[1])) for r in resolutions]
    processes = jax.process_count()
    # Every process has as many; what is too many is dropped when they are gathered.
    share = range(jax.process_index(), -(-len(source) // processes) * processes, processes)
    indices = [i % len(source) for i in share]
    batch_size = -(-min(batch_size, len(indices)) // len(devices)) * len(devices)
    variables = replicate(variables, list(devices))
    steps = [
        compiled_step(networks, r, protocol, tuple(depth_range), flip, devices) for r in resolutions
    ]
    results = [_Result(protocol) for _ in resolutions]

    def place(item: tuple[dict[str, np.ndarray], list[str]]) -> tuple[Any, list[str]]:
        return place_batch(item[0], list(devices)), item[1]

    names: list[str] = []
    with device_prefetch(batches(source, indices, batch_size), place) as placed:
        for batch, real in placed:
            here = indices[len(names) : len(names) + len(real)]
            shown = {i: position for position, i in enumerate(here) if i in show}
            for step, result in zip(steps, results, strict=True):
                start = time.perf_counter()
                metrics, depth = step(variables, batch, factor)
                result.add(metrics, len(real))
                if names:  # the first batch compiles
                    result.seconds += time.perf_counter() - start
                    result.timed += len(real)
                result.keep(depth, batch["depth_size"], shown)
            names += real
            width = batch["image"].shape[3]
    if processes > 1:
        names = _gather(np.array(names, "U256"), len(source)).tolist()
    return [
        make_row(
            model,
            "native" if resolution is None else "{}x{}".format(*resolution),
            scaling,
            names,
            {k: _gather(v, len(source)) for k, v in result.per_image(scaling).items()},
            images_per_second=result.timed / result.seconds if result.timed else float("nan"),
            width=width if resolution is None else resolution[0],
            depths=result.depths,
        )
        for resolution, result in zip(resolutions, results, strict=True)
        for scaling in protocol.scalings
    ]


def _gather(mine: np.ndarray, total: int) -> np.ndarray:
    """The values of all images, from those of every process's share."""
    if jax.process_count() == 1:
        return mine
    everyone = gather(mine.view(np.uint8).reshape(len(mine), -1))  # [processes, share, bytes]
    in_order = np.ascontiguousarray(everyone.swapaxes(0, 1)).reshape(-1, everyone.shape[2])
    return in_order.view(mine.dtype)[:total, 0]


class _Result:
    """What has been collected on the host at one resolution."""

    def __init__(self, protocol: Protocol):
        self.parts: dict[str, list[dict[str, np.ndarray]]] = {s: [] for s in protocol.scalings}
        self.depths: dict[int, np.ndarray] = {}
        self.seconds, self.timed = 0.0, 0

    def add(self, metrics: dict[str, dict[str, jax.Array]], real: int) -> None:
        """Take a step's metrics [devices, B] of its first `real` images."""
        for scaling, values in metrics.items():
            flat = {k: np.asarray(v).reshape(-1)[:real] for k, v in values.items()}
            self.parts[scaling].append(flat)

    def keep(self, depth: jax.Array, sizes: jax.Array, shown: dict[int, int]) -> None:
        """Take the depths [devices, B, H, W] of `shown`: image -> position in the batch."""
        for image, position in shown.items():
            at = divmod(position, depth.shape[1])
            h, w = np.asarray(sizes[at])
            self.depths[image] = np.asarray(depth[at])[:h, :w]

    def per_image(self, scaling: str) -> dict[str, np.ndarray]:
        """Everything collected, by name [N]."""
        parts = self.parts[scaling]
        return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
