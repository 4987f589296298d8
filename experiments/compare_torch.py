"""Compares our training step and inference with plain PyTorch's, in turns, in separate processes.

The command is `python experiments/benchmark.py --compare torch`. The processes use the same
machine, take turns of a few steps, and start from the same weights, views and loss, which is shown
first. Our step also makes the views. PyTorch's step gets them, as from a loader.
"""

import itertools
import json
import os
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

FRAMES = (192, 640)  # native height and width


class Way(NamedTuple):
    """How PyTorch runs: whether it compiles, and whether networks are under bfloat16 autocast."""

    compiled: bool
    bfloat16: bool


TORCH = {"eager": Way(False, False), "compiled": Way(True, False), "compiled_bf16": Way(True, True)}


def compare(
    resolution: str, batch: int, steps: int, rounds: int, ours: list[str], theirs: list[str]
) -> dict:
    """Medians of all sides, and the ratios of PyTorch's to ours, for one resolution and batch size.

    Args:
        resolution: "320x96".
        batch: the samples of a step, and the images of an inference.
        steps: the steps of each side in a turn.
        rounds: the number of turns.
        ours: our compute types, float32 or bfloat16.
        theirs: how PyTorch runs, some of `TORCH`.
    """
    names = [*(("jax", dtype) for dtype in ours), *(("torch", way) for way in theirs)]
    sides = {f"{kind} {way}": Side(kind, way, resolution, batch) for kind, way in names}
    weights = next(iter(sides.values())).ask("export")
    for name, side in sides.items():
        if name.startswith("torch"):
            side.ask(f"import {weights}")
    losses = {name: side.ask("check") for name, side in sides.items()}
    result: dict = {"resolution": resolution, "batch": batch, "losses": losses}
    for work in ("train", "infer"):
        times: dict[str, list[float]] = {name: [] for name in sides}
        for side in sides.values():
            side.ask(f"{work} 1")  # compiles, or picks its algorithms
        for _ in range(rounds):
            for name, side in sides.items():
                times[name] += side.ask(f"{work} {steps}")
        medians = {name: statistics.median(values) for name, values in times.items()}
        result[work] = {
            "seconds": medians,
            "ratios": {
                f"{b} / {a}": medians[b] / medians[a]
                for a, b in itertools.product(medians, medians)
                if a.startswith("jax") and b.startswith("torch")
            },
            "times": times,
        }
    result["peak_memory_gb"] = {name: side.ask("memory") for name, side in sides.items()}
    for side in sides.values():
        side.close()
    Path(weights).unlink()
    return result


class Side:
    """A process that works when asked."""

    def __init__(
        self, kind: str, way: str, resolution: str, batch: int, env: dict[str, str] | None = None
    ):
        cell = {"way": way, "resolution": resolution, "batch": batch}
        self.name = f"{kind} {way}"
        self.process = subprocess.Popen(
            [sys.executable, __file__, kind, json.dumps(cell)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # The processes share a GPU.
            env=os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"} | (env or {}),
        )

    def ask(self, request: str):
        """The process's answer."""
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("ANSWER "):
                return json.loads(line.removeprefix("ANSWER "))
        raise SystemExit(f"the {self.name} side ended with code {self.process.wait()}")

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def requests() -> Iterator[tuple[str, str]]:
    for line in sys.stdin:
        request, _, argument = line.strip().partition(" ")
        yield request, argument


def answer(value) -> None:
    print("ANSWER " + json.dumps(value), flush=True)


def timed(work: Callable[[], None], times: int) -> list[float]:
    if on_a_cpu():
        malloc()["reserve_heap_fragments"]()  # those of the turn before, on both sides
    took = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return took


def malloc() -> dict:
    """`radepth_jax.platforms.cpu.malloc`, without importing JAX on PyTorch's side."""
    package = Path(__file__).parent.parent / "radepth_jax"
    return runpy.run_path(str(package / "platforms" / "cpu" / "malloc.py"))


def on_a_cpu() -> bool:
    """Whether this side computes on a CPU."""
    if sys.argv[1] == "torch":
        import torch

        return not torch.cuda.is_available()
    import jax

    return jax.default_backend() == "cpu"


def peak_of_process() -> float:
    """The most memory this process ever had, in GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def peak_of_jax() -> float:
    """The peak of the device's memory if it counts that, otherwise `peak_of_process`."""
    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    return stats.get("peak_bytes_in_use", 0) / 2**30 or peak_of_process()


def jax_side(way: str, resolution: str, batch: int) -> None:
    import jax
    import numpy as np

    from radepth_jax import models
    from radepth_jax.devices import place_batch, replicate
    from radepth_jax.interop.torch_keys import torch_from_variables
    from radepth_jax.runs.config import default_config, parse_resolution
    from radepth_jax.runs.recipe import make_recipe
    from radepth_jax.runs.state import init_state, variables_of
    from radepth_jax.startup import start_program
    from radepth_jax.training.keys import step_keys
    from radepth_jax.training.step import make_train_step, pmap_step
    from radepth_jax.views import ViewOptions, make_views

    start_program()
    config = default_config()
    config.views.resolution = parse_resolution("--resolution", resolution)
    config.views.augmentations.colour_jitter.probability = 0.0
    config.model.dtype = way
    config.data.batch_size = batch
    height, width = FRAMES
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (batch, 3, height // 16, width // 16, 3)).astype(np.float32)
    frames = jax.image.resize(coarse, (batch, 3, height, width, 3), "linear").astype(np.uint8)
    K = np.array([[0.58 * width, 0, width / 2], [0, 1.92 * height, height / 2], [0, 0, 1]])
    inputs = {
        "frames": np.asarray(frames),
        "size": np.tile(np.array(FRAMES, np.int32), (batch, 1)),
        "intrinsics": np.tile(K.astype(np.float32), (batch, 1, 1)),
    }
    state = replicate(init_state(config, 1000))
    networks = models.build(config.model, models.Policy.native())
    variables = jax.device_get(variables_of(state))
    step = pmap_step(make_train_step(make_recipe(config, 1000)))
    placed = place_batch(inputs)
    predict = jax.jit(lambda v, x: networks.depth.apply(v["depth"], x)[0])
    images = rng.random((batch, *config.views.resolution[::-1], 3), dtype=np.float32)
    device_variables = jax.device_put(variables)
    metrics: dict = {}

    def train() -> None:
        nonlocal state, metrics
        state, metrics = step(state, placed, config.seed)
        jax.block_until_ready((state, metrics))

    def infer() -> None:
        jax.block_until_ready(predict(device_variables, images))

    for request, argument in requests():
        if request == "export":
            keys = step_keys(config.seed, 0, np.arange(batch)).views
            make = partial(make_views, options=ViewOptions(**config.views))
            views = jax.vmap(make)(keys, *inputs.values())
            arrays = {"images/0": images}
            for name in views.names:
                view = views[name]
                for field in ("images", "intrinsics", "size", "offset"):
                    arrays[f"views/{name}/{field}"] = getattr(view, field)
            for part, values in torch_from_variables(variables, config.model).items():
                arrays |= {f"weights/{part}/{key}": value for key, value in values.items()}
            path = os.path.join(tempfile.gettempdir(), f"compare_torch_{os.getpid()}.npz")
            np.savez(path, **{key: np.asarray(value) for key, value in arrays.items()})
            answer(path)
        elif request == "check":
            train()
            answer(float(metrics["total"]))
        elif request == "memory":
            answer(peak_of_jax())
        else:
            answer(timed({"train": train, "infer": infer}[request], int(argument)))


def torch_side(way: str, resolution: str, batch: int) -> None:
    del resolution, batch  # the views have them
    import numpy as np
    import torch
    from torch_ra_depth import RADepth, training_step

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = RADepth(bfloat16=TORCH[way].bfloat16)
    if TORCH[way].compiled:
        model.loss = torch.compile(model.loss)
        model.disparity = torch.compile(model.disparity)
    views: dict[str, dict] = {}

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    def planes(x: np.ndarray) -> torch.Tensor:
        x = torch.tensor(x).to(device).movedim(-1, -3)
        return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x

    def train() -> None:
        model.train()
        loss.append(training_step(model, optimizer, views, views["middle"]["images"][:, 0]))
        wait()

    @torch.inference_mode()
    def infer() -> None:
        model.eval()
        model.disparity(images)
        wait()

    for request, argument in requests():
        if request == "import":
            with np.load(argument) as arrays:
                weights: dict[str, dict] = {}
                for name in arrays:
                    kind, *path = name.split("/")
                    value = arrays[name]
                    if kind == "images":
                        images = planes(value)
                    elif kind == "views":
                        field = planes(value) if path[1] == "images" else torch.tensor(value)
                        views.setdefault(path[0], {})[path[1]] = field.to(device)
                    else:
                        weights.setdefault(path[0], {})[path[1]] = value
            model.load(weights)
            model = model.to(device, memory_format=torch.channels_last)
            fused = device.type == "cuda"
            optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, fused=fused)
            loss: list[torch.Tensor] = []
            answer(None)
        elif request == "check":
            train()
            answer(float(loss[-1]))
        elif request == "memory":
            peak = torch.cuda.max_memory_allocated() / 2**30 if torch.cuda.is_available() else 0
            answer(peak or peak_of_process())
        else:
            answer(timed({"train": train, "infer": infer}[request], int(argument)))


if __name__ == "__main__":
    if on_a_cpu():
        malloc()["keep_freed_memory"]()  # on both sides
    {"jax": jax_side, "torch": torch_side}[sys.argv[1]](**json.loads(sys.argv[2]))
