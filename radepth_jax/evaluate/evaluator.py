"""Evaluate a depth network at a list of resolutions. All computation is on the devices."""

import time
from collections.abc import Callable, Iterator, Sequence, Set
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax import platforms
from radepth_jax.data import EvaluationSource, device_prefetch
from radepth_jax.devices import place_batch, replicate
from radepth_jax.evaluate.ground import ground_scale
from radepth_jax.evaluate.metrics import depth_metrics
from radepth_jax.evaluate.row import Row, make_row
from radepth_jax.geometry.camera import depth_from_disparity, resize_intrinsics
from radepth_jax.inference.disparity import Resolution, predict_disparity
from radepth_jax.models import Networks
from radepth_jax.processes import gather
from radepth_jax.runs.protocol import Protocol
from radepth_jax.runs.saved_model import Model

# The entries of a sample that a batch has.
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
    """The metrics of a batch of images at one resolution. It is pure, for `jit` or `pmap`.

    Args:
        variables: {"depth": {"params", "batch_stats"}, ...}.
        batch: `image` uint8 [B, H0, W0, 3], `size` int32 [B, 2], `intrinsics` float32 [B, 3, 3],
            `depth` float32 [B, Hd, Wd], `depth_size` int32 [B, 2].
        factor: [] metres per unit of predicted depth, for the scalings "fixed" and "none".
        networks: what `models.build` returned.
        resolution: (width, height), or None for the images' own.
        protocol: how predictions are compared with the ground truth.
        depth_range: the (min, max) depth that disparities stand for.
        flip: whether to average with the prediction of the mirrored image.

    Returns:
        For each of `protocol.scalings`, the `depth_metrics` by name [B]; and the predicted depths
        [B, Hd, Wd] before scaling, at the size of the ground truth.
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

    The result is cached, so another checkpoint of the same network needs no compilation.
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
    """Batches of one shape. The last one is filled up by repeating its last image.

    Yields:
        (batch, the names of the images that are no repetitions).
    """
    for start in range(0, len(indices), batch_size):
        real = [source[i] for i in indices[start : start + batch_size]]
        padded = real + [real[-1]] * (batch_size - len(real))
        yield (
            {k: np.stack([s[k] for s in padded]) for k in FIELDS},
            [s["name"] for s in real],
        )


def evaluate(
    model: Model,
    source: EvaluationSource,
    resolutions: Sequence[Resolution | None],
    *,
    protocol: Protocol,
    factor: float = 1.0,
    flip: bool = False,
    batch_size: int = 8,
    show: Sequence[int] = (),
    show_worst: int = 0,
    devices: Sequence[jax.Device] | None = None,
) -> list[Row]:
    """Evaluate at every resolution. Metrics are computed for each image and then averaged.

    Each image is decoded once. One compilation serves a resolution, whatever the images' sizes and
    their number are. In a run of P processes all of them call this function. Each evaluates every
    P-th image, and all get the same rows, except that the depths of `show` are only those of a
    process's own images.

    Args:
        model: the networks and their variables, with the name for the table and the range of depth.
        source: images. Those without ground truth in range are left out.
        resolutions: a list of (width, height). None stands for the images' own.
        protocol: how predictions are compared with the ground truth.
        factor: metres per unit of predicted depth, for the scalings "fixed" and "none".
        flip: whether to average with the prediction of the mirrored image.
        batch_size: the images of a step over this process's devices. It is rounded up to a multiple
            of their number.
        show: the images whose predicted depth is kept in the rows.
        show_worst: how many other images' predicted depth is kept: those of the largest AbsRel,
            averaged over the resolutions.
        devices: local devices. By default all are used.

    Returns:
        For each resolution, a Row for each of `protocol.scalings`.

    Raises:
        UnusablePredictionError: as `make_row`: a prediction is NaN, say.
        UserError: No image has ground truth.
    """
    platforms.keep_freed_memory()
    devices = tuple(devices or jax.local_devices())
    resolutions = [None if r is None else (int(r[0]), int(r[1])) for r in resolutions]
    processes = jax.process_count()
    # Every process has equally many. Surplus images are dropped when the results are gathered.
    share = range(jax.process_index(), -(-len(source) // processes) * processes, processes)
    indices = [i % len(source) for i in share]
    batch_size = -(-min(batch_size, len(indices)) // len(devices)) * len(devices)
    variables = replicate(model.variables, list(devices))
    steps = [
        compiled_step(model.networks, r, protocol, model.depth_range, flip, devices)
        for r in resolutions
    ]
    results = [_Result(protocol) for _ in resolutions]

    def place(item: tuple[dict[str, np.ndarray], list[str]]) -> tuple[Any, list[str]]:
        return place_batch(item[0], list(devices)), item[1]

    names: list[str] = []
    worst: dict[int, float] = {}  # the `show_worst` so far, and their AbsRel
    with device_prefetch(batches(source, indices, batch_size), place) as placed:
        for batch, real in placed:
            here = indices[len(names) : len(names) + len(real)]
            depths = []
            for step, result in zip(steps, results, strict=True):
                start = time.perf_counter()
                metrics, depth = step(variables, batch, factor)
                result.add(metrics, len(real))
                if names:  # the first batch compiles
                    result.seconds += time.perf_counter() - start
                    result.timed += len(real)
                depths.append(depth)
            errors = np.mean([result.latest_abs_rel() for result in results], axis=0)
            worst |= {
                i: float(error)
                for i, error in zip(here, errors, strict=True)
                if np.isfinite(error) and i not in show
            }
            worst = dict(sorted(worst.items(), key=lambda item: -item[1])[:show_worst])
            kept = {*show, *worst}
            shown = {i: position for position, i in enumerate(here) if i in kept}
            for result, depth in zip(results, depths, strict=True):
                result.keep(depth, batch["depth_size"], shown)
                result.drop_all_but(kept)
            names += real
            width = batch["image"].shape[3]
    if processes > 1:
        names = _gather(np.array(names, "U256"), len(source)).tolist()
    return [
        make_row(
            model.name,
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
    """The values of all images, from the shares of all processes."""
    if jax.process_count() == 1:
        return mine
    everyone = gather(mine.view(np.uint8).reshape(len(mine), -1))  # [processes, share, bytes]
    in_order = np.ascontiguousarray(everyone.swapaxes(0, 1)).reshape(-1, everyone.shape[2])
    return in_order.view(mine.dtype)[:total, 0]


class _Result:
    """The results that were collected on the host at one resolution."""

    def __init__(self, protocol: Protocol):
        self.parts: dict[str, list[dict[str, np.ndarray]]] = {s: [] for s in protocol.scalings}
        self.depths: dict[int, np.ndarray] = {}
        self.seconds, self.timed = 0.0, 0

    def add(self, metrics: dict[str, dict[str, jax.Array]], real: int) -> None:
        """Add a step's metrics [devices, B] of its first `real` images."""
        for scaling, values in metrics.items():
            flat = {k: np.asarray(v).reshape(-1)[:real] for k, v in values.items()}
            self.parts[scaling].append(flat)

    def keep(self, depth: jax.Array, sizes: jax.Array, shown: dict[int, int]) -> None:
        """Keep depths [devices, B, H, W] of the images in `shown`, at their positions there."""
        for image, position in shown.items():
            at = divmod(position, depth.shape[1])
            h, w = np.asarray(sizes[at])
            self.depths[image] = np.asarray(depth[at])[:h, :w]

    def drop_all_but(self, images: Set[int]) -> None:
        """Forget the depths of other images."""
        self.depths = {i: depth for i, depth in self.depths.items() if i in images}

    def latest_abs_rel(self) -> np.ndarray:
        """AbsRel of the images added last, by the first scaling; NaN without ground truth."""
        latest = next(iter(self.parts.values()))[-1]
        return np.where(latest["pixels"] > 0, latest["abs_rel"], np.nan)

    def per_image(self, scaling: str) -> dict[str, np.ndarray]:
        """Everything that was collected, by name [N]."""
        parts = self.parts[scaling]
        return {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
