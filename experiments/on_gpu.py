"""All measurements for a GPU that is available for some minutes, the most important first.

    python experiments/on_gpu.py --minutes 10 --output runs/gpu

It describes the device, and measures how fast that copies and multiplies. It compares losses,
gradients and the published network with the CPU's. It times training and inference against PyTorch,
with memory and the first step, cold and from the cache, and it times the loader. Then it trains
until the time is up: the commands of `--jobs`, or by default RA-Depth and its baseline on the
rendered street. It needs no data and no network. Results are written at once, to `results.json` and
`results.md` of the output. A stage that fails leaves its message there, and the next stage goes on.

`--tiny` is a rehearsal of the same stages with tiny sizes, which also runs on a CPU.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import compare_torch
from jobs import Jobs, Report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--output", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--data_dir", type=Path, default=Path("runs/gpu/data"))
    parser.add_argument("--jobs", type=Path, help='JSON: [{"name": ..., "command": [...]}, ...]')
    parser.add_argument("--at_once", type=int, default=5, help="how many jobs run at the same time")
    parser.add_argument("--stages", default="device,compare,parity,loader,train")
    parser.add_argument("--resolution", default="640x192")
    parser.add_argument("--batch", type=int, default=12)
    parser.add_argument("--ours", default="float32,bfloat16", help="compute types to compare")
    parser.add_argument("--torch", default="eager,compiled,compiled_bf16", help="PyTorch's ways")
    parser.add_argument("--tuned", action="store_true", help="also with XLA's autotuning")
    parser.add_argument("--patience", type=float, default=120, help="seconds to compile")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    if options.tiny:
        options.resolution, options.batch, options.rounds = "64x64", 2, 1
        options.ours, options.torch = "float32", "eager"
    stages = options.stages.split(",")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # processes share the GPU
    cache = options.output / "cache"
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(cache.absolute()))
    report = Report(options.output)
    deadline = options.minutes * 60 - 15

    queue = Jobs(
        read_jobs(options) if "train" in stages else [], options.output, options.at_once, report
    )
    if "device" in stages:
        report.run("device", measure_device)
    if "compare" in stages:
        report.run("compare", lambda: compare(options, queue))
    queue.begin()
    if "parity" in stages:
        report.run("parity", measure_parity)
    if "loader" in stages:
        report.run("loader", lambda: loader(options))
    queue.wait(deadline)
    report.add("end", {"seconds": round(report.seconds())})


def measure_device() -> dict:
    """A description of the device, and its speed of copying and of multiplying matrices."""
    import jax
    import jax.numpy as jnp

    device = jax.devices()[0]
    side = 8192 if device.platform == "gpu" else 512
    key = jax.random.key(0)

    def rate(function: Callable, x: Any, work: float) -> float:
        jax.block_until_ready(function(x))
        took = []
        for _ in range(5):
            start = time.perf_counter()
            jax.block_until_ready(function(x))
            took.append(time.perf_counter() - start)
        return work / sorted(took)[2]

    x = jax.random.normal(key, (side, side, 8))
    result = {
        "kind": device.device_kind,
        "jax": jax.__version__,
        "python": sys.version.split()[0],
        "cores": len(os.sched_getaffinity(0)),
        "copy_gb_per_s": rate(jax.jit(lambda x: x + 1), x, 2 * x.nbytes) / 1e9,
    }
    for dtype in ("float32", "bfloat16"):
        x = jax.random.normal(key, (side, side), jnp.dtype(dtype))
        result[f"matmul_{dtype}_tflops"] = rate(jax.jit(lambda x: x @ x), x, 2 * side**3) / 1e12
    stats = device.memory_stats() or {}
    result["memory_gib"] = stats.get("bytes_limit", 0) / 2**30
    return result


def measure_parity() -> dict:
    """Relative differences between the device and the CPU, by default and in full float32."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from ml_collections import ConfigDict

    from radepth_jax import models
    from radepth_jax.models import presets
    from radepth_jax.runs.config import default_config
    from radepth_jax.runs.recipe import make_recipe
    from radepth_jax.training.forward import compute_loss

    config = default_config()
    config.model = ConfigDict(presets.tiny())
    config.views.resolution = (96, 32)
    config.batch_norm = "joint"
    recipe = make_recipe(config, 1)
    variables = models.init_variables(recipe.networks, jax.random.key(0), (96, 32))
    rng = np.random.default_rng(0)
    smooth = np.cumsum(np.cumsum(rng.normal(size=(2, 3, 64, 192, 3)), 2), 3)
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    batch = {
        "frames": np.uint8(255 * smooth),
        "size": np.array([[64, 192]] * 2, np.int32),
        "intrinsics": np.array([[[110, 0, 96], [0, 110, 32], [0, 0, 1]]] * 2, np.float32),
    }

    def loss(params: Any, stats: Any, batch: dict) -> Any:
        index = jnp.arange(2)
        step = jnp.int32(0)
        return compute_loss(params, stats, batch, step, 0, recipe=recipe, index=index)[0]

    params = {name: value["params"] for name, value in variables.items()}
    stats = {name: value["batch_stats"] for name, value in variables.items()}
    full = models.build(presets.ra_depth()).depth
    full_variables = models.init_variables(
        models.build(presets.ra_depth()), jax.random.key(1), (128, 64)
    )["depth"]
    image = np.float32(rng.random((1, 64, 128, 3)))

    def see(variables: dict, images: Any) -> Any:  # an untrained network needs batch statistics
        return full.apply(variables, images, train=True, mutable=["batch_stats"])[0][0]

    def run(device: Any, precision: str | None) -> dict[str, np.ndarray]:
        with jax.default_device(device), jax.default_matmul_precision(precision or "default"):
            value, gradient = jax.jit(jax.value_and_grad(loss))(params, stats, batch)
            disparity = jax.jit(see)(full_variables, image)
        flat = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)])
        return {"loss": np.asarray(value), "gradient": flat, "disparity": np.asarray(disparity)}

    def apart(a: dict, b: dict) -> dict[str, float]:
        return {
            name: float(np.linalg.norm(a[name] - b[name]) / np.linalg.norm(b[name])) for name in a
        }

    cpu = run(jax.local_devices(backend="cpu")[0], "highest")
    device = jax.devices()[0]
    return {
        "as it runs": apart(run(device, None), cpu),
        "in float32": apart(run(device, "highest"), cpu),
    }


def compare(options: argparse.Namespace, jobs: Jobs) -> dict:
    """Training and inference against PyTorch, in turns, in separate processes.

    While they compile, the jobs begin. While anything is timed, the jobs rest. A side that is not
    ready within `--patience` is left out.
    """
    cell = (options.resolution, options.batch)
    ours = {f"jax {dtype}": ("jax", dtype) for dtype in options.ours.split(",")}
    theirs = {f"torch {way}": ("torch", way) for way in options.torch.split(",")}
    sides = {name: compare_torch.Side(*kind, *cell) for name, kind in (ours | theirs).items()}
    if options.tuned:  # XLA times its candidates: a faster program, compiled more slowly
        flags = os.environ.get("XLA_FLAGS", "") + " --xla_gpu_autotune_level=1"
        ours["jax float32 tuned"] = ("jax", "float32")
        sides["jax float32 tuned"] = compare_torch.Side(
            *ours["jax float32 tuned"], *cell, env={"XLA_FLAGS": flags}
        )
    weights = sides[next(iter(ours))].ask("export")
    losses: dict[str, Any] = {}
    first_s: dict[str, float] = {}
    warmed: list[str] = []

    def warm(name: str) -> None:
        begun = time.perf_counter()
        try:
            if name in theirs:
                sides[name].ask(f"import {weights}")
            losses[name] = sides[name].ask("check")
            first_s[name] = time.perf_counter() - begun
            for work in ("train", "infer"):
                sides[name].ask(f"{work} 2")
            warmed.append(name)
        except (SystemExit, OSError, ValueError) as error:
            losses[name] = f"failed: {error}"

    pool = ThreadPoolExecutor(len(sides))
    jobs.begin()
    wait([pool.submit(warm, name) for name in sides], options.patience)
    jobs.rest()
    ready = {name: first_s[name] for name in list(warmed)}
    result: dict[str, Any] = {"first_loss": losses, "first_step_cold_s": ready}
    for work in ("train", "infer"):
        times: dict[str, list[float]] = {name: [] for name in ready}
        for _ in range(options.rounds):
            for name in ready:
                times[name] += sides[name].ask(f"{work} 5")
        medians = {name: sorted(values)[len(values) // 2] for name, values in times.items()}
        result[f"{work}_s"] = medians
        result[f"{work}_torch_over_ours"] = {
            f"{b} / {a}": medians[b] / medians[a]
            for a in medians
            for b in medians
            if a in ours and b in theirs
        }
    result["peak_gib"] = {name: sides[name].ask("memory") for name in ready}
    for side in sides.values():
        side.process.kill()
    pool.shutdown(wait=False, cancel_futures=True)
    again = compare_torch.Side(*ours[next(iter(ours))], *cell)
    again.ask("memory")  # the process has started
    begun = time.perf_counter()
    again.ask("check")
    result["first_step_cached_s"] = time.perf_counter() - begun
    again.process.kill()
    jobs.resume()
    Path(weights).unlink()
    return result


def loader(options: argparse.Namespace) -> dict:
    """The loader's samples per second on the prepared data, by number of worker processes."""
    from radepth_jax.data import TrainingSource, make_loader, open_dataset, prepare

    name = "kitti_raw" if (options.data_dir / "kitti_raw").exists() else "street/tiny"
    if name == "street/tiny":
        prepare(name, data_dir=str(options.data_dir))
    source = TrainingSource(open_dataset(name, options.data_dir), "train", (0, -1, 1))
    rates = {}
    for workers in (0, 8):
        with make_loader(source, global_batch=12, seed=0, workers=workers) as batches:
            next(batches)
            start, count = time.perf_counter(), 0
            while time.perf_counter() - start < 4:
                count += len(next(batches)["frames"])
        rates[f"{workers} workers"] = count / (time.perf_counter() - start)
    return {"data": name, "samples_per_s": rates}


def read_jobs(options: argparse.Namespace) -> list[dict]:
    """The list of `--jobs`, or the demo."""
    if options.jobs:
        return json.loads(options.jobs.read_text())
    command = ["experiments/demo.py", "--data_dir", str(options.data_dir)]
    command += ["--workdir", str(options.output / "demo")] + ["--steps=8"] * options.tiny
    return [{"name": "demo", "command": command}]


if __name__ == "__main__":
    main()
