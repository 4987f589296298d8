"""Evaluate a depth network at a list of resolutions. All computation is on the devices."""

import time
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np

from radepth_jax import platforms
from radepth_jax.data import EvaluationSource
from radepth_jax.devices import place_batch, replicate
from radepth_jax.evaluation.compare import compare
from radepth_jax.evaluation.loop import evaluate_method
from radepth_jax.evaluation.method import Compared, Method, Step, label
from radepth_jax.evaluation.row import Row
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.inference.disparity import Resolution, predict_disparity
from radepth_jax.models import Networks
from radepth_jax.runs.protocol import Protocol
from radepth_jax.runs.saved_model import Model


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
        What `compare` returns for `protocol.scalings`, and the predicted depths [B, Hd, Wd] before
        scaling, at the size of the ground truth.
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
    metrics = compare(predicted, batch, factor, protocol=protocol, scalings=protocol.scalings)
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


def network_method(
    model: Model,
    resolutions: Sequence[Resolution | None],
    *,
    protocol: Protocol,
    factor: float = 1.0,
    flip: bool = False,
    batch_size: int = 8,
    devices: Sequence[jax.Device] | None = None,
) -> Method:
    """A network at each resolution: `evaluate_batch` under `pmap`.

    One compilation serves a resolution, whatever the images' sizes and their number are.

    Args:
        model: the networks and their variables, with the name for the table and the range of depth.
        resolutions: a list of (width, height). None stands for the images' own.
        protocol: how predictions are compared with the ground truth.
        factor: metres per unit of predicted depth, for the scalings "fixed" and "none".
        flip: whether to average with the prediction of the mirrored image.
        batch_size: the images of a step over this process's devices. It is rounded up to a multiple
            of their number.
        devices: local devices. By default all are used.
    """
    chosen = list(devices or jax.local_devices())
    resolutions = [None if r is None else (int(r[0]), int(r[1])) for r in resolutions]

    def steps() -> list[Step]:
        platforms.keep_freed_memory()
        variables = replicate(model.variables, chosen)
        found = []
        for resolution in resolutions:
            step = compiled_step(
                model.networks, resolution, protocol, model.depth_range, flip, tuple(chosen)
            )
            run = partial(_run, step, variables, factor)
            found.append(Step(label(resolution), run, own_size=resolution is None))
        return found

    return Method(
        model.name,
        protocol.scalings,
        steps,
        batch_size=batch_size,
        devices=len(chosen),
        place=lambda batch: place_batch(batch, chosen),
    )


def _run(
    step: Callable[..., Any],
    variables: Any,
    factor: float,
    images: Sequence[int],
    batch: dict[str, jax.Array],
) -> Compared:
    """Run a `compiled_step` and wait for its metrics. The depths stay on the devices."""
    del images
    start = time.perf_counter()
    metrics, depth = step(variables, batch, factor)
    on_host = jax.tree.map(lambda values: np.asarray(values).reshape(-1), metrics)

    def depth_at(position: int) -> np.ndarray:
        return np.asarray(depth[divmod(position, depth.shape[1])])

    return Compared(on_host, depth_at, time.perf_counter() - start)


def evaluate(
    model: Model,
    source: EvaluationSource,
    resolutions: Sequence[Resolution | None],
    *,
    show: Sequence[int] = (),
    show_worst: int = 0,
    **options: Any,
) -> list[Row]:
    """Evaluate a network at every resolution: `evaluate_method` of a `network_method`.

    Args:
        model: the networks and their variables, with the name for the table and the range of depth.
        source: images. Those without ground truth in range are left out.
        resolutions: a list of (width, height). None stands for the images' own.
        show: the images whose predicted depth is kept in the rows.
        show_worst: how many other images' predicted depth is kept, as of `evaluate_method`.
        **options: the other arguments of `network_method`, of which `protocol` is needed.

    Returns:
        For each resolution, a Row for each of `protocol.scalings`.

    Raises:
        UnusablePredictionError: A prediction cannot be judged, as `make_row` says.
        UserError: No image has ground truth.
    """
    method = network_method(model, resolutions, **options)
    return evaluate_method(method, source, show, show_worst=show_worst)
