"""Evaluate a depth network at a list of resolutions: everything on the device."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np

from radepth_jax.data import EvaluationSource
from radepth_jax.errors import UserError
from radepth_jax.evaluate.metrics import METRICS, Protocol, depth_metrics
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.models import Networks
from radepth_jax.predict.disparity import Resolution, predict_disparity

FIELDS = ("image", "size", "depth", "depth_size")  # of a sample, that a batch has


@dataclass(frozen=True)
class Row:
    """One line of an evaluation table.

    Attributes:
        model: what was evaluated.
        resolution: "WxH" of the network's input ("native" for a prior).
        metrics: the seven, averaged over images.
        images: how many images had ground truth.
        images_per_second: of the whole evaluation after compilation; NaN where not timed.
    """

    model: str
    resolution: str
    metrics: dict[str, float]
    images: int
    images_per_second: float = float("nan")


@partial(jax.jit, static_argnames=("networks", "resolution", "protocol", "depth_range"))
def evaluate_batch(
    variables: Any,
    batch: dict[str, jax.Array],
    *,
    networks: Networks,
    resolution: Resolution,
    protocol: Protocol,
    depth_range: tuple[float, float],
) -> tuple[dict[str, jax.Array], jax.Array]:
    """Metrics of a batch of images at one resolution.

    Args:
        variables: {"depth": {"params", "batch_stats"}, ...}.
        batch: `image` uint8 [B, H0, W0, 3], `size` int32 [B, 2], `depth` float32 [B, Hd, Wd],
            `depth_size` int32 [B, 2].
        networks: of `models.build`.
        resolution: (width, height).
        protocol: how to compare.
        depth_range: (min, max) that disparities are scaled to.

    Returns:
        Metrics by name [B], and disparities [B, Hd, Wd] at the ground truth's size.
    """
    disparity = predict_disparity(
        variables,
        batch["image"],
        batch["size"],
        networks=networks,
        resolution=resolution,
        canvas=batch["depth"].shape[1:],
        output_sizes=batch["depth_size"],
    )
    predicted = depth_from_disparity(disparity, min_depth=depth_range[0], max_depth=depth_range[1])
    compare = jax.vmap(partial(depth_metrics, protocol=protocol))
    return compare(predicted, batch["depth"], batch["depth_size"]), disparity


def batches(source: EvaluationSource, batch_size: int) -> Iterator[tuple[dict, int]]:
    """Batches of one shape, the last one filled up by repeating its last image.

    Yields:
        (batch, how many of it are real).
    """
    for start in range(0, len(source), batch_size):
        real = [source[i] for i in range(start, min(start + batch_size, len(source)))]
        padded = real + [real[-1]] * (batch_size - len(real))
        yield (
            {k: np.stack([s[k] for s in padded]) for k in FIELDS},
            len(real),
        )


def evaluate(
    variables: Any,
    networks: Networks,
    source: EvaluationSource,
    resolutions: Sequence[Resolution],
    *,
    protocol: Protocol,
    depth_range: tuple[float, float] = (0.1, 100.0),
    batch_size: int = 8,
    model: str = "model",
) -> list[Row]:
    """Evaluate at every resolution; per-image metrics, averaged over images.

    Args:
        variables: the networks' variables.
        networks: of `models.build`.
        source: images with ground truth; those without any valid pixel are left out.
        resolutions: list of (width, height).
        protocol: how to compare.
        depth_range: (min, max) that disparities are scaled to.
        batch_size: images a step; one compilation per resolution.
        model: name for the table.

    Returns:
        One Row per resolution.

    Raises:
        UserError: if no image has ground truth.
    """
    batch_size = min(batch_size, len(source))
    collected: dict[Resolution, list[dict[str, np.ndarray]]] = {r: [] for r in resolutions}
    seconds = dict.fromkeys(resolutions, 0.0)
    timed = dict.fromkeys(resolutions, 0)
    for number, (batch, real) in enumerate(batches(source, batch_size)):
        for resolution in resolutions:
            start = time.perf_counter()
            metrics, _ = evaluate_batch(
                variables,
                batch,
                networks=networks,
                resolution=resolution,
                protocol=protocol,
                depth_range=depth_range,
            )
            host = {k: np.asarray(v)[:real] for k, v in metrics.items()}
            if number:  # the first batch compiles
                seconds[resolution] += time.perf_counter() - start
                timed[resolution] += real
            collected[resolution].append(host)
    rows = []
    for resolution in resolutions:
        parts = collected[resolution]
        values = {k: np.concatenate([part[k] for part in parts]) for k in parts[0]}
        has_truth = values["pixels"] > 0
        if not has_truth.any():
            raise UserError(
                "no image of this split has ground-truth depth in range; name a split that has"
            )
        rows.append(
            Row(
                model=model,
                resolution=f"{resolution[0]}x{resolution[1]}",
                metrics={k: float(values[k][has_truth].mean()) for k in METRICS},
                images=int(has_truth.sum()),
                images_per_second=timed[resolution] / seconds[resolution]
                if timed[resolution]
                else float("nan"),
            )
        )
    return rows
