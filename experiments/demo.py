"""The whole story on an embedded default: render a street, learn depth from its video, evaluate.

Leaves in the working directory: the table (results.csv, results.json, per_image.csv), AbsRel and
delta over resolution (resolutions.png), loss curves (curves.png) and depth maps (depth.png). Run by
`make demo`.
"""

import argparse
import importlib.util
import json
import time
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from radepth_jax import models
from radepth_jax.cli.cache import use_compilation_cache
from radepth_jax.data import EvaluationSource, open_dataset, prepare
from radepth_jax.evaluate import priors, report
from radepth_jax.evaluate.evaluator import evaluate
from radepth_jax.evaluate.row import Row
from radepth_jax.evaluate.sheets import choose_images, depth_sheet
from radepth_jax.train.loop import protocol_of, train
from radepth_jax.train.metric_log import read_metrics
from radepth_jax.train.state import variables_of

HERE = Path(__file__).parent
RESOLUTIONS = [(128, 48), (160, 48), (192, 64), (256, 80), (304, 96)]
# Measured by `python experiments/demo.py --baseline --workdir runs/demo_baseline`: the same
# network, data, steps and seed without AS-Aug and consistency.
BASELINE = HERE / "results" / "demo_baseline.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="runs/demo", type=Path)
    parser.add_argument("--steps", type=int, help="training steps, instead of the config's")
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="train without AS-Aug and CS-loss, and store the figures beside this script",
    )
    options = parser.parse_args()
    start = time.perf_counter()
    use_compilation_cache()

    config = load_config(HERE.parent / "configs" / "ra_depth_street.py", "demo")
    config.data.data_dir = str(options.workdir / "data")
    if options.steps:
        config.train.steps = options.steps
    if options.baseline:
        config.views.names = ("middle",)
    say(start, "rendering the street")
    prepare(config.data.name, data_dir=config.data.data_dir)
    say(start, f"training for {config.train.steps} steps")
    state = train(config, options.workdir)

    say(start, "evaluating on held-out worlds")
    dataset = open_dataset(config.data.name, config.data.data_dir)
    test, protocol = EvaluationSource(dataset, "test"), protocol_of(config)
    networks = models.build(config.model, models.Policy.native())
    variables = variables_of(state)
    name = "baseline" if options.baseline else "RA-Depth"
    show = choose_images(test, 4)
    rows = evaluate(
        variables, networks, test, RESOLUTIONS, protocol=protocol, model=name, show=show
    )
    sheet = depth_sheet([test[i] for i in show], show, rows)
    if options.baseline:
        store_baseline(rows, int(state.step))
    elif BASELINE.exists():
        stored = json.loads(BASELINE.read_text())
        rows += [Row("baseline (stored)", **row) for row in stored["rows"]]
    prior = priors.row_prior(EvaluationSource(dataset, "train"), protocol)
    rows.append(priors.evaluate_constant(prior, test, protocol=protocol, model="row prior"))

    report.print_table(rows, "street, held-out worlds")
    written = report.write_report(rows, options.workdir)
    written += [draw_curves(options.workdir), options.workdir / "depth.png"]
    Image.fromarray(sheet).save(written[-1])
    for path in written:
        print(path)
    say(start, "done")


def store_baseline(rows: list[Row], steps: int) -> None:
    """Keep the baseline's figures for later demos."""
    record = {
        "command": "python experiments/demo.py --baseline --workdir runs/demo_baseline",
        "steps": steps,
        "rows": [
            {"resolution": r.resolution, "metrics": r.metrics, "images": r.images} for r in rows
        ],
    }
    BASELINE.parent.mkdir(exist_ok=True)
    BASELINE.write_text(json.dumps(record, indent=1) + "\n")


def say(start: float, message: str) -> None:
    """Print a line with the time since the start."""
    print(f"[{time.perf_counter() - start:5.0f} s] {message}", flush=True)


def load_config(path: Path, variant: str):
    """The `get_config(variant)` of a config file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(variant)


def draw_curves(workdir: Path) -> Path:
    """Loss terms over steps, from the run's metrics.jsonl."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name in ("total", "photometric_middle", "consistency_high", "consistency_low"):
        steps, values = read_metrics(workdir, f"train/{name}")
        if len(steps):
            left.plot(steps, values, label=name)
    left.set(xlabel="step", title="loss terms")
    left.legend()
    for width, height in RESOLUTIONS:
        steps, values = read_metrics(workdir, f"validation/{width}x{height}/abs_rel")
        if len(steps):
            right.plot(steps, values, marker="o", label=f"{width}x{height}")
    right.set(xlabel="step", title="validation AbsRel")
    right.legend()
    path = workdir / "curves.png"
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    main()
