"""Time an evaluation over resolutions, batched on the devices, and image by image in Python.

    python experiments/sweep.py --output runs/sweep.json

The loop does what evaluation scripts usually do: Pillow resizes, the compiled network predicts one
image at a time, and NumPy resizes back and computes the metrics. Both ways start after compilation
and read the same images. Their results must agree.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from radepth_jax import models
from radepth_jax.data import EvaluationSource, open_dataset, prepare
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.runs.config import default_config, parse_resolution
from radepth_jax.runs.protocol import Protocol
from radepth_jax.runs.saved_model import Model
from radepth_jax.startup import start_program

DEPTH_RANGE = (0.1, 100.0)


class First:
    """The first images of a source."""

    def __init__(self, source: EvaluationSource, count: int):
        self.source, self.count = source, min(count, len(source))

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, i: int) -> dict:
        return self.source[i]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="tiny", choices=("tiny", "ra_depth"))
    parser.add_argument("--dataset", default="street/demo")
    parser.add_argument("--data_dir", default="runs/benchmark/data")
    parser.add_argument("--split", default="train")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--resolutions", default="128x48,160x48,192x64,256x80,304x96")
    parser.add_argument("--output", default="runs/sweep.json", type=Path)
    options = parser.parse_args()
    start_program()

    prepare(options.dataset, data_dir=options.data_dir)
    source = First(
        EvaluationSource(open_dataset(options.dataset, options.data_dir), options.split),
        options.images,
    )
    resolutions = [parse_resolution("--resolutions", r) for r in options.resolutions.split(",")]
    config = default_config()
    config.model = ConfigDict(getattr(models.presets, options.model)())
    config.loss.min_depth, config.loss.max_depth = DEPTH_RANGE
    networks = models.build(config.model, models.Policy.native())
    variables = models.init_variables(networks, jax.random.key(0), resolutions[0])
    model = Model(options.model, networks, variables, config)
    protocol = Protocol()

    def batched(images: First) -> list:
        return evaluate(
            model, images, resolutions, protocol=protocol, batch_size=options.batch_size,
        )  # fmt: skip

    network = jax.jit(lambda x: networks.depth.apply(variables["depth"], x)[0][0, ..., 0])
    loop_over(First(source.source, 1), network, resolutions, protocol)  # compiles
    start = time.perf_counter()
    batched(First(source.source, options.batch_size))
    compile_seconds = time.perf_counter() - start
    took: dict[str, list[float]] = {"loop": [], "batched": []}
    for _ in range(options.repeats):  # in turns, as other work on the machine comes and goes
        start = time.perf_counter()
        expected = loop_over(source, network, resolutions, protocol)
        took["loop"].append(time.perf_counter() - start)
        start = time.perf_counter()
        rows = batched(source)
        took["batched"].append(time.perf_counter() - start)
    loop_seconds, seconds = (statistics.median(took[name]) for name in ("loop", "batched"))

    worst = max(
        abs(row.metrics[name] / values[:, i].mean() - 1)
        for row, values in zip(rows, expected, strict=True)
        for i, name in enumerate(METRICS[:4])
    )
    predictions = len(source) * len(resolutions)
    record = {
        "command": sys.argv,
        "machine": {
            "devices": [d.device_kind for d in jax.local_devices()],
            "cores": len(os.sched_getaffinity(0)),
            "jax": jax.__version__,
            "python": platform.python_version(),
        },
        "seconds": took,
        "images": len(source),
        "resolutions": options.resolutions,
        "batched_s": seconds,
        "batched_images_per_s": predictions / seconds,
        "batched_compile_s": compile_seconds,
        "loop_s": loop_seconds,
        "loop_images_per_s": predictions / loop_seconds,
        "largest_relative_difference": float(worst),
        "images_per_s": {row.resolution: row.images_per_second for row in rows},
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def loop_over(source: First, network, resolutions: list, protocol: Protocol) -> list[np.ndarray]:
    """The metrics [images, 7] of each resolution, one image at a time."""
    metrics: list[list[list[float]]] = [[] for _ in resolutions]
    for i in range(len(source)):
        sample = source[i]
        h, w = sample["size"]
        image, truth = Image.fromarray(sample["image"][:h, :w]), sample["depth"][:h, :w]
        mask = (truth > protocol.min_depth) & (truth < protocol.max_depth)
        for resolution, found in zip(resolutions, metrics, strict=True):
            resized = image.resize(resolution, Image.Resampling.LANCZOS)
            disparity = np.asarray(network(np.asarray(resized, np.float32)[None] / 255))
            disparity = Image.fromarray(disparity).resize((w, h), Image.Resampling.BILINEAR)
            nearest, farthest = 1 / DEPTH_RANGE[0], 1 / DEPTH_RANGE[1]
            predicted = 1 / (farthest + (nearest - farthest) * np.asarray(disparity))
            p, t = predicted[mask], truth[mask]
            p = np.clip(p * np.median(t) / np.median(p), protocol.min_depth, protocol.max_depth)
            ratio = np.maximum(p / t, t / p)
            found.append(
                [
                    np.mean(np.abs(p - t) / t),
                    np.mean((p - t) ** 2 / t),
                    np.sqrt(np.mean((p - t) ** 2)),
                    np.sqrt(np.mean(np.log(p / t) ** 2)),
                    *(np.mean(ratio < 1.25**power) for power in (1, 2, 3)),
                ]
            )
    return [np.array(found) for found in metrics]


if __name__ == "__main__":
    main()
