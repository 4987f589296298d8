"""Time training and the loader, or inference, and print and save the figures.

    python experiments/benchmark.py --model ra_depth --resolution 320x96 --batch 1
    python experiments/benchmark.py --work inference --resolution 320x96,640x192 --batch 1,4,16

Every cell runs in a separate process, so that it has its own peak memory and its own cold first
step. The cold start uses an empty compilation cache, and the warm start the cache that the cold one
filled.

    python experiments/benchmark.py --compare torch --resolution 320x96 --batch 1,4

times training steps and inference, ours and those of plain PyTorch (`torch_ra_depth.py`), in turns.
On a GPU:

    python experiments/benchmark.py --compare torch --resolution 640x192 --batch 1,12,16 \
        --dtype float32,bfloat16 --torch eager,compiled_bf16
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import compare_torch

COLUMNS = {
    "training": ("step_s", "samples_per_s", "loader_wait_share"),
    "inference": ("seconds", "images_per_s"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", default="training", choices=tuple(COLUMNS))
    parser.add_argument("--model", default="ra_depth,tiny", help="comma separated presets")
    parser.add_argument("--resolution", default="320x96")
    parser.add_argument("--batch", default="1")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--workers", type=int, default=0, help="the loader's worker processes")
    parser.add_argument("--data_dir", default="runs/benchmark/data")
    parser.add_argument("--output", default="runs/benchmark/benchmark.json", type=Path)
    parser.add_argument("--compare", choices=("torch",), help="with plain PyTorch, in turns")
    parser.add_argument("--torch", default="eager", help="also compiled, compiled_bf16")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side, with --compare")
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.torch.split(",")) - set(compare_torch.TORCH)
    if unknown:
        parser.error(f"--torch {', '.join(unknown)}: expected {', '.join(compare_torch.TORCH)}")
    if options.compare:
        compare(options)
        return
    if options.cell:
        measure = {"training": measure_training, "inference": measure_inference}[options.work]
        print("RESULT " + json.dumps(measure(**json.loads(options.cell))))
        return

    rows = []
    cells = itertools.product(
        *(getattr(options, name).split(",") for name in ("model", "resolution", "batch", "dtype"))
    )
    for model, resolution, batch, dtype in cells:
        cell = {
            "model": model,
            "resolution": resolution,
            "batch": int(batch),
            "dtype": dtype,
            "steps": options.steps,
        }
        if options.work == "training":
            cell |= {"workers": options.workers, "data_dir": options.data_dir}
        with tempfile.TemporaryDirectory() as cache:
            cold = run_cell(options.work, cell, cache)
            warm = run_cell(options.work, cell, cache)
        row = cell | cold | {"first_cached_s": warm["first_s"]}
        row["first_cold_s"] = row.pop("first_s")
        rows.append(row)
        shown = ("model", "resolution", "batch", "dtype", *COLUMNS[options.work])
        shown += ("first_cold_s", "first_cached_s", "peak_memory_gb")
        print(" ".join(f"{name}={format_value(row[name])}" for name in shown), flush=True)
    write(options.output, rows)


def compare(options: argparse.Namespace) -> None:
    """Time the full-size network against PyTorch and store the figures."""
    rows = []
    for resolution, batch in itertools.product(
        options.resolution.split(","), map(int, options.batch.split(","))
    ):
        row = compare_torch.compare(
            resolution,
            batch,
            options.steps,
            options.rounds,
            ours=options.dtype.split(","),
            theirs=options.torch.split(","),
        )
        rows.append(row)
        print(f"{resolution} batch {batch}: first losses {row['losses']}")
        print(f"  peak memory, GiB: {format_values(row['peak_memory_gb'])}")
        for work in ("train", "infer"):
            print(f"  {work}, seconds: {format_values(row[work]['seconds'])}")
            print(f"  {work}, ratios: {format_values(row[work]['ratios'])}", flush=True)
    write(options.output, rows)


def write(path: Path, rows: list[dict]) -> None:
    """Store the figures with a description of the machine."""
    record = {"machine": machine(), "command": sys.argv, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(path)


def run_cell(work: str, cell: dict, cache: str) -> dict:
    """Measure one cell in a fresh process."""
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": cache}
    command = [sys.executable, __file__, "--work", work, "--cell", json.dumps(cell)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not lines:
        raise SystemExit(f"{cell}: failed\n{done.stderr[-2000:]}")
    return json.loads(lines[-1].removeprefix("RESULT "))


def configure(model: str, resolution: str, batch: int, dtype: str):
    """The config of a cell. The process is set up in the same way as by the commands."""
    from ml_collections import ConfigDict

    from radepth_jax.models import presets
    from radepth_jax.runs.config import default_config, parse_resolution
    from radepth_jax.startup import start_program

    start_program()
    config = default_config()
    config.model = ConfigDict(getattr(presets, model)())
    config.model.dtype = dtype
    config.views.resolution = parse_resolution("--resolution", resolution)
    config.data.batch_size = batch
    return config


def measure_training(
    *, model: str, resolution: str, batch: int, dtype: str, steps: int, workers: int, data_dir: str
) -> dict:
    """Time training in this process."""
    start = time.perf_counter()
    import jax

    from radepth_jax.data import DevicePrefetch, TrainingSource, make_loader, open_dataset, prepare
    from radepth_jax.devices import place_batch, replicate
    from radepth_jax.platforms import reserve_heap_fragments
    from radepth_jax.runs.recipe import make_recipe
    from radepth_jax.runs.state import init_state
    from radepth_jax.training.step import make_train_step, pmap_step

    config = configure(model, resolution, batch, dtype)
    prepare("street/tiny", data_dir=data_dir)
    source = TrainingSource(open_dataset("street/tiny", data_dir), "train", (0, -1, 1))

    loader = make_loader(source, global_batch=batch, seed=0, workers=workers)
    with loader, DevicePrefetch(loader, place_batch) as batches:
        first = time.perf_counter()
        state = replicate(init_state(config, 1000))
        step = pmap_step(make_train_step(make_recipe(config, 1000)))
        took = []
        for number in range(steps + 1):
            if number == 1:
                waited, begun = batches.seconds_waited, time.perf_counter()
            inputs = next(batches)
            inputs.pop("skipped")
            before = time.perf_counter()
            state, metrics = step(state, inputs, config.seed)
            jax.block_until_ready(metrics)
            took.append(time.perf_counter() - before)
            reserve_heap_fragments()
            if number == 0:
                first_step = time.perf_counter() - first
        share = (batches.seconds_waited - waited) / (time.perf_counter() - begun)
    with make_loader(source, global_batch=batch, seed=0, workers=workers) as alone:
        next(alone)
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < 2:
            count += len(next(alone)["frames"])
        loader_speed = count / (time.perf_counter() - begun)

    step_time = statistics.median(took[1:])
    return {
        "first_s": first_step,
        "import_s": first - start,
        "step_s": step_time,
        "samples_per_s": batch / step_time,
        "loader_wait_share": share,
        "loader_samples_per_s": loader_speed,
        "peak_memory_gb": compare_torch.peak_of_jax(),
    }


def measure_inference(*, model: str, resolution: str, batch: int, dtype: str, steps: int) -> dict:
    """Time the depth network in this process. At batch 1, `seconds` is the latency."""
    import jax
    import numpy as np

    from radepth_jax import models
    from radepth_jax.runs.state import init_state, variables_of

    config = configure(model, resolution, batch, dtype)
    networks = models.build(config.model, models.Policy.native())
    variables = jax.device_put(variables_of(init_state(config, 1))["depth"])
    width, height = config.views.resolution
    images = np.random.default_rng(0).random((batch, height, width, 3), dtype=np.float32)
    predict = jax.jit(lambda variables, images: networks.depth.apply(variables, images)[0])
    took = []
    for _ in range(steps + 1):
        before = time.perf_counter()
        jax.block_until_ready(predict(variables, images))
        took.append(time.perf_counter() - before)
    seconds = statistics.median(took[1:])
    return {
        "first_s": took[0],
        "seconds": seconds,
        "images_per_s": batch / seconds,
        "peak_memory_gb": compare_torch.peak_of_jax(),
    }


def machine() -> dict:
    """The machine that the figures were measured on."""
    import jax

    return {
        "devices": [d.device_kind for d in jax.local_devices()],
        "cores": os.cpu_count(),
        "jax": jax.__version__,
        "python": platform.python_version(),
    }


def format_values(values: dict[str, float]) -> str:
    """Named numbers on a line."""
    return ", ".join(f"{name} {format_value(value)}" for name, value in values.items())


def format_value(value: object) -> str:
    """Three significant digits for a number."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
