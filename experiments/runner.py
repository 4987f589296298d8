"""Train and evaluate variants over seeds. Runs resume, and finished runs are not repeated."""

import argparse
import ast
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict
from variants import MODES, RESOLUTIONS, TRAINED_AT, VARIANTS, configure

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.errors import PREEMPTED, PreemptedError, UserError
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.runs.checkpoint import FOLDER
from radepth_jax.runs.options import validation_resolutions
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.saved_model import load_model
from radepth_jax.startup import start_program
from radepth_jax.training.loop import train

HERE = Path(__file__).parent
RESULT = "result.json"

# A row of a result is one resolution of one run.
Rows = list[dict[str, Any]]


def parse(description: str, name: str, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The flags that all experiments share. `name` is the experiment's name."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dataset", default="street", choices=("street", "kitti_raw"))
    parser.add_argument("--data_dir", default="data", help="where `radepth prepare` put it")
    parser.add_argument(
        "--size",
        default="small",
        choices=tuple(RESOLUTIONS),
        help="full: the published networks at 640x192; small: their small forms at 192x64",
    )
    parser.add_argument("--mode", default="M", choices=tuple(MODES), help="video, stereo, or both")
    parser.add_argument("--budget", default=1000, type=int, help="training steps of each run")
    parser.add_argument("--seeds", default="0,1", help="comma separated")
    parser.add_argument("--workdir", type=Path, help="where runs go; by default runs/DATASET_SIZE")
    parser.add_argument(
        "--start", type=Path, help="another experiment's workdir: start from its runs' weights"
    )
    parser.add_argument("--output", type=Path, default=HERE / "results" / name)
    parser.add_argument("--variants", help="some of the table's, comma separated")
    parser.add_argument("--weights", default="", help="ImageNet weights for --size resnet")
    parser.add_argument(
        "--set", default="", help="other settings, as optimizer.learning_rate=2e-4,data.cache=2"
    )
    options = parser.parse_args(argv)
    options.workdir = options.workdir or Path("runs") / f"{options.dataset}_{options.size}"
    options.seeds = [int(seed) for seed in options.seeds.split(",")]
    return options


def main(run: Callable[[], None]) -> None:
    """Run an experiment. A user's error gives exit code 2, and a run that was asked to end 75."""
    start_program()
    try:
        run()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except PreemptedError as end:
        print(end, file=sys.stderr)
        raise SystemExit(PREEMPTED) from None


def run_variants(names: Sequence[str], options: argparse.Namespace) -> dict[str, list[Rows]]:
    """Maps variants to each seed's rows. Runs that have no result yet are trained."""
    if options.variants:
        names = options.variants.split(",")
    # Variants with the middle view alone come first, because the others go on from their half-time
    # checkpoints.
    order = sorted(names, key=lambda name: len(VARIANTS[name].views))
    results: dict[str, list[Rows]] = {name: [] for name in names}
    for seed in options.seeds:
        for name in order:
            results[name].append(run_variant(name, seed, options))
    return results


def run_variant(name: str, seed: int, options: argparse.Namespace) -> Rows:
    """One run's rows. If it has no result file, it is trained and evaluated."""
    config = configure(
        name,
        size=options.size,
        dataset=dataset_name(options),
        data_dir=options.data_dir,
        steps=options.budget,
        seed=seed,
        mode=options.mode,
        weights=options.weights,
    )
    overrides = dict(item.split("=", 1) for item in options.set.split(",") if item)
    for field, value in overrides.items():
        config.update_from_flattened_dict({field: ast.literal_eval(value)})
    if options.start:
        start = next(iter(sorted(options.start.glob(f"{name}_M_*_seed{seed}"))), None)
        if start is None:
            raise UserError(f"--start {options.start}: has no run of {name} with seed {seed}")
        config.pretrained.checkpoint = str(start)
        config.train.middle_view_steps = 0
        config.loss.ramps.consistency = (0, 0)
        config.optimizer.learning_rate *= 0.3
    changed = "".join(f"_{field.split('.')[-1]}{value}" for field, value in overrides.items())
    workdir = options.workdir / f"{name}_{options.mode}_{options.budget}{changed}_seed{seed}"
    path = workdir / RESULT
    if not path.exists():
        print(f"== {workdir}", flush=True)
        start_from_shared(name, config, workdir, options)
        begun = time.perf_counter()
        train(config, workdir)
        minutes = (time.perf_counter() - begun) / 60
        rows = test(config, workdir)
        record = {"minutes": minutes, "machine": machine(), "rows": rows}
        print(workdir.name, [round(row["abs_rel"], 4) for row in rows], f"{minutes:.1f} min")
        path.write_text(json.dumps(record, indent=1) + "\n")
    return json.loads(path.read_text())["rows"]


def dataset_name(options: argparse.Namespace) -> str:
    """The name of the prepared data set of `--dataset`."""
    return "street/full" if options.dataset == "street" else options.dataset


def start_from_shared(
    name: str, config: ConfigDict, workdir: Path, options: argparse.Namespace
) -> None:
    """Copy the half-time checkpoint of the run that is the same until then, if there is one."""
    step = config.train.middle_view_steps
    if workdir.exists() or not step or len(config.views.names) == 1:
        return
    for other, variant in VARIANTS.items():
        if variant.model == VARIANTS[name].model and len(variant.views) == 1:
            shared = workdir.with_name(workdir.name.replace(name, other, 1))
            if (shared / FOLDER / str(step)).is_dir():
                copy_checkpoint(shared, workdir, step)
                return


def copy_checkpoint(run: Path, workdir: Path, step: int) -> None:
    """Let a new run go on from another run's checkpoint, unless it has already begun."""
    if workdir.exists():
        return
    part = workdir.with_name(f".{workdir.name}")  # the copy is whole or absent
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(run / FOLDER / str(step), part / FOLDER / str(step))
    part.rename(workdir)


def test(config: ConfigDict, workdir: Path) -> Rows:
    """Evaluate a finished run on the test split, at every resolution."""
    source = EvaluationSource(open_dataset(config.data.name, config.data.data_dir), "test")
    model = load_model(workdir)
    rows = evaluate(
        model,
        source,
        validation_resolutions(config),
        protocol=protocol_of(config),
        batch_size=config.evaluate.batch_size,
    )
    return [
        {"resolution": row.resolution, "images": row.images, "scale": row.scale, **row.metrics}
        for row in rows
    ]


def write(
    options: argparse.Namespace, title: str, results: dict[str, list[Rows]], table: str
) -> None:
    """The result as Markdown and JSON: the table, every row, and how it was made."""
    about = machine()
    seeds = ", ".join(map(str, options.seeds))
    lines = [
        f"# {title}",
        "",
        f"`{command()}`",
        "",
        f"{options.budget} steps each, mode {options.mode}, seeds {seeds}, data {options.dataset}, "
        f"networks {options.size}, trained at "
        f"{resolution_name(RESOLUTIONS[options.size][TRAINED_AT])}.",
        "",
        table,
        "",
        "Commit {commit}; {devices}; {cores} CPU cores; jax {jax}, Python {python}.".format(
            **about
        ),
    ]
    path = options.output
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".md").write_text("\n".join(lines) + "\n")
    record = {
        "command": command(),
        "machine": about,
        "seeds": options.seeds,
        "steps": options.budget,
        "results": results,
    }
    path.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    print("\n".join(lines))


def command() -> str:
    """This run's command line, as typed in the checkout."""
    script = Path(sys.argv[0]).resolve().relative_to(HERE.parent)
    return " ".join(["python", str(script), *sys.argv[1:]])


def machine() -> dict[str, Any]:
    """The commit and the machine."""
    git = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=HERE, capture_output=True, text=True
    )
    return {
        "commit": git.stdout.strip() or "unknown",
        "devices": ", ".join(sorted({d.device_kind for d in jax.devices()})),
        "cores": len(os.sched_getaffinity(0)),
        "jax": jax.__version__,
        "python": platform.python_version(),
    }


def resolution_name(resolution: tuple[int, int]) -> str:
    return "{}x{}".format(*resolution)


def mean_metrics(seeds: list[Rows], resolutions: Sequence[str]) -> dict[str, float]:
    """The seven metrics, averaged over seeds and the given resolutions."""
    rows = [row for rows in seeds for row in rows if row["resolution"] in resolutions]
    return {metric: float(np.mean([row[metric] for row in rows])) for metric in METRICS}


def seven(metrics: dict[str, float]) -> str:
    """The metrics as in published tables: AbsRel SqRel RMSE RMSElog d1 d2 d3."""
    return " ".join(f"{metrics[metric]:.3f}".removeprefix("0") for metric in METRICS)
