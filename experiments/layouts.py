"""Checks that five SGD steps give the same parameters on every layout of devices.

    python experiments/layouts.py --workdir runs/layouts

The layouts are 1, 2, 4 and 8 virtual CPU devices in one process, and two processes of two devices
each (gloo), under `pmap` and under `jit(shard_map)`, with one global batch and synchronised
BatchNorm. Then come batches in two parts. Each layout runs in fresh processes. The differences to
one device go into layouts.json and layouts.md of --output. If the script is stopped, the same
command goes on where it was. `--only NAME` does one layout, and `--views middle` leaves out the
other two views, which compiles in a third of the time.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
STEPS, BATCH = 5, 8
TOLERANCE = 1e-5
# These settings compile quickly, and are the same for every layout.
ENVIRONMENT = {
    "JAX_PLATFORMS": "cpu",
    "JAX_DISABLE_MOST_OPTIMIZATIONS": "true",
}


@dataclass(frozen=True)
class DeviceLayout:
    """How a batch is spread over `devices` in each of `processes`, in `parts` consecutive parts."""

    devices: int
    driver: str
    processes: int = 1
    parts: int = 1

    @property
    def name(self) -> str:
        """The layout's name in files and tables."""
        parts = f"-{self.parts}parts" if self.parts > 1 else ""
        return f"{self.processes}x{self.devices}-{self.driver}{parts}"


LAYOUTS = [
    *(
        DeviceLayout(devices, driver)
        for devices in (1, 2, 4, 8)
        for driver in ("pmap", "shard_map")
    ),
    *(DeviceLayout(2, driver, processes=2) for driver in ("pmap", "shard_map")),
    *(DeviceLayout(devices, "pmap", parts=2) for devices in (1, 4)),
    DeviceLayout(2, "shard_map", processes=2, parts=2),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="runs/layouts", type=Path)
    parser.add_argument("--output", default=HERE / "results", type=Path)
    parser.add_argument("--only", help="one layout: " + ", ".join(la.name for la in LAYOUTS))
    parser.add_argument(
        "--report", action="store_true", help="only write the tables of the results so far"
    )
    parser.add_argument("--views", default="high,middle,low", help="comma-separated")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        index, address = options.worker.split(",")
        layout = next(layout for layout in LAYOUTS if layout.name == options.only)
        run(layout, options.workdir, options.views, int(index), address)
        return
    options.workdir.mkdir(parents=True, exist_ok=True)
    for layout in LAYOUTS:
        done = (options.workdir / f"{layout.name}.npz").exists()
        if options.only in (None, layout.name) and not done and not options.report:
            start(layout, options.workdir, options.views)
    if not options.only:
        report(options.workdir, options.output, options.views)


def start(layout: DeviceLayout, workdir: Path, views: str) -> None:
    """Run a layout in fresh processes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    environment = os.environ | ENVIRONMENT | {"JAX_NUM_CPU_DEVICES": str(layout.devices)}
    command = [sys.executable, __file__, "--workdir", str(workdir), "--only", layout.name]
    command += ["--views", views]
    workers = [
        subprocess.Popen([*command, "--worker", f"{i},{address}"], env=environment)
        for i in range(layout.processes)
    ]
    codes = [worker.wait() for worker in workers]
    if any(codes):
        raise SystemExit(f"{layout.name}: exit codes {codes}")
    print(f"{layout.name}: done", flush=True)


def run(layout: DeviceLayout, workdir: Path, views: str, index: int, address: str) -> None:
    """One process of a layout. Process 0 stores the result of the steps."""
    from radepth_jax import processes

    if layout.processes > 1:
        processes.initialize(address, layout.processes, index)
    import jax
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    from radepth_jax.data import TrainingSource, make_loader, open_dataset, prepare
    from radepth_jax.devices import AXIS, by_device, place_batch, replicate
    from radepth_jax.runs.recipe import make_recipe
    from radepth_jax.runs.state import init_state
    from radepth_jax.startup import start_program
    from radepth_jax.training.step import make_train_step, pmap_step, shard_map_step

    start_program()
    config = make_config(workdir / "data", views)
    config.train.accumulate = layout.parts
    prepare(config.data.name, data_dir=config.data.data_dir)
    source = TrainingSource(
        open_dataset(config.data.name, config.data.data_dir), "train", (0, -1, 1)
    )
    loader = make_loader(
        source,
        global_batch=BATCH,
        seed=config.seed,
        process_index=index,
        process_count=layout.processes,
        parts=layout.parts,
    )
    train_step = make_train_step(make_recipe(config, STEPS))
    state = replicate(init_state(config, STEPS))
    start = jax.device_get(state.params)
    if layout.driver == "pmap":
        step = pmap_step(train_step)
    else:
        step, state = shard_map_step(train_step), processes.to_global(state)
        sharding = NamedSharding(Mesh(jax.devices(), (AXIS,)), PartitionSpec(AXIS))
    losses = []
    with loader:
        for _ in range(STEPS):
            batch = {k: v for k, v in next(loader).items() if k != "skipped"}
            if layout.driver == "pmap":
                placed = place_batch(batch, parts=layout.parts)
            else:
                placed = {
                    k: jax.make_array_from_process_local_data(sharding, v.reshape(-1, *v.shape[2:]))
                    for k, v in by_device(batch, layout.devices, layout.parts).items()
                }
            state, metrics = step(state, placed, config.seed)
            losses.append(float(metrics["total"]))
    if index == 0:
        values = {"params": state.params, "batch_stats": state.batch_stats, "start": start}
        flat = {
            f"{group}/{i}": np.asarray(x)
            for group, tree in values.items()
            for i, x in enumerate(jax.tree.leaves(jax.device_get(tree)))
        }
        np.savez(workdir / f"{layout.name}.npz", losses=losses, **flat)


def make_config(data_dir: Path, views: str):
    """The smallest network at 64x32 on `street/tiny`, SGD."""
    from ml_collections import ConfigDict

    from radepth_jax.models import presets
    from radepth_jax.runs.config import default_config

    config = default_config()
    model = presets.tiny()
    model["depth"]["encoder"] |= {"width": 4, "stem_width": 4}
    model["pose"] |= {"widths": (8, 8, 16)}
    config.model = ConfigDict(model)
    config.batch_norm_sync = True
    config.data.name, config.data.data_dir = "street/tiny", str(data_dir)
    config.views.resolution, config.views.names = (64, 32), tuple(views.split(","))
    # Adam would hide gradients that are N times too large.
    config.optimizer.name, config.optimizer.learning_rate = "sgd", 1e-2
    return config


def report(workdir: Path, output: Path, views: str) -> None:
    """Compare every layout with one device, and write the table."""
    rows, missing = [], []
    for layout in LAYOUTS:
        files = [
            workdir / f"{name}.npz"
            for name in (DeviceLayout(1, "pmap", parts=layout.parts).name, layout.name)
        ]
        if not all(file.exists() for file in files):
            missing.append(layout.name)
            continue
        one, here = map(np.load, files)
        rows.append(
            {"layout": layout.name}
            | {group: largest(here, one, group) for group in ("params", "batch_stats")}
            | {"moved": largest(here, here, "params", "start")}
            | {"losses": here["losses"].tolist()}
        )
    worst = max(max(row["params"], row["batch_stats"]) for row in rows)
    lines = [
        f"{STEPS} SGD steps of a batch of {BATCH}, views {views}; the largest absolute difference",
        "to one device:",
        "",
        "| processes x devices, driver | parameters | BatchNorm averages | moved by the steps |",
        "|---|---|---|---|",
        *(
            "| {layout} | {params:.1e} | {batch_stats:.1e} | {moved:.3f} |".format(**row)
            for row in rows
        ),
        "",
        f"Worst: {worst:.1e}, allowed: {TOLERANCE:.0e}. Not run: {', '.join(missing) or 'none'}.",
    ]
    output.mkdir(parents=True, exist_ok=True)
    (output / "layouts.md").write_text("\n".join(lines) + "\n")
    (output / "layouts.json").write_text(
        json.dumps({"worst": worst, "rows": rows}, indent=1) + "\n"
    )
    print("\n".join(lines))
    if worst > TOLERANCE:
        raise SystemExit("not the same")


def largest(a: np.lib.npyio.NpzFile, b: np.lib.npyio.NpzFile, group: str, of: str = "") -> float:
    """The largest absolute difference in a group of arrays (of `b`, in its group `of`)."""
    names = [name for name in a.files if name.startswith(f"{group}/")]
    return max(
        float(np.abs(a[name] - b[name.replace(group, of or group, 1)]).max()) for name in names
    )


if __name__ == "__main__":
    main()
