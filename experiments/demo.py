"""The whole story in minutes: render a street, learn depth from its video, evaluate.

It trains RA-Depth and its baseline, which is the same networks for as many steps without AS-Aug and
without consistency. Their first steps are the same and are taken once. The working directory gets
the table (results.csv, results.json, per_image.csv), AbsRel and delta over resolution
(resolutions.png), loss curves (curves.png) and depth maps of both, side by side (depth.png).
`make demo` runs this.
"""

import argparse
import importlib.util
import time
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from ml_collections import ConfigDict
from PIL import Image
from runner import copy_checkpoint

from radepth_jax import models
from radepth_jax.data import EvaluationSource, open_dataset, prepare
from radepth_jax.evaluation import priors, report
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.evaluation.loop import evaluate_method
from radepth_jax.evaluation.sheets import choose_images, depth_sheet
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.saved_model import Model
from radepth_jax.runs.state import variables_of
from radepth_jax.startup import start_program
from radepth_jax.training.loop import train
from radepth_jax.training.metric_log import read_metrics

HERE = Path(__file__).parent
RESOLUTIONS = [(128, 48), (160, 48), (192, 64), (256, 80), (304, 96)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workdir", default="runs/demo", type=Path)
    parser.add_argument("--data_dir", type=Path, help="by default in the working directory")
    parser.add_argument("--steps", type=int, help="training steps of each, instead of the config's")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    start = time.perf_counter()
    start_program()

    config = load_config(HERE.parent / "configs" / "ra_depth_street.py", "demo")
    config.seed = options.seed
    config.data.data_dir = str(options.data_dir or options.workdir / "data")
    if options.steps:
        shorten(config, options.steps)
    say(start, "rendering the street")
    prepare(config.data.name, data_dir=config.data.data_dir)
    dataset = open_dataset(config.data.name, config.data.data_dir)
    test, protocol = EvaluationSource(dataset, "test"), protocol_of(config)

    networks = models.build(config.model, models.Policy.native())
    rows = []
    show = choose_images(test, 4)
    for name, run in (("baseline", without_views(config)), ("RA-Depth", config)):
        workdir = options.workdir / name.lower().replace("-", "_")
        if name == "RA-Depth":
            shared = config.train.middle_view_steps
            copy_checkpoint(options.workdir / "baseline", workdir, shared)
        say(start, f"training {name} for {config.train.steps} steps")
        state = train(run, workdir)
        say(start, f"evaluating {name} on held-out worlds")
        rows += evaluate(
            Model(name, networks, variables_of(state), config),
            test,
            RESOLUTIONS,
            protocol=protocol,
            show=show,
        )
    prior = priors.row_prior(EvaluationSource(dataset, "train"), protocol)
    yardstick = priors.constant_method(prior, protocol=protocol, model="row prior")
    rows += evaluate_method(yardstick, test)

    report.print_table(rows, "street, held-out worlds")
    written = report.write_report(rows, options.workdir)
    written += [draw_curves(options.workdir), options.workdir / "depth.png"]
    # The two depth maps of a resolution are one below the other.
    beside = sorted((row for row in rows if row.depths), key=lambda row: row.width)
    Image.fromarray(depth_sheet([test[i] for i in show], show, beside)).save(written[-1])
    for path in written:
        print(path)
    say(start, "done")


def without_views(config: ConfigDict) -> ConfigDict:
    """The baseline's config. It keeps the checkpoint from which RA-Depth goes on by itself."""
    baseline = config.copy_and_resolve_references()
    baseline.views.names = ("middle",)
    baseline.loss.weights.consistency = 0.0
    baseline.train.keep_checkpoints = config.train.steps // config.train.checkpoint_every + 1
    return baseline


def shorten(config: ConfigDict, steps: int) -> None:
    """Fewer steps. The shares with one view and with the growing consistency stay the same."""
    share = steps / config.train.steps
    config.train.checkpoint_every = max(int(config.train.checkpoint_every * share), 1)
    every = config.train.checkpoint_every
    shared = max(round(config.train.middle_view_steps * share / every), 1) * every
    config.train.middle_view_steps = shared
    ramp = config.loss.ramps.consistency
    config.loss.ramps.consistency = tuple(int(step * share) for step in ramp)
    config.train.validate_every = config.train.picture_every = config.train.steps = steps


def say(start: float, message: str) -> None:
    """Print a line with the time since the start."""
    print(f"[{time.perf_counter() - start:5.0f} s] {message}", flush=True)


def load_config(path: Path, *variant: str) -> ConfigDict:
    """The `get_config()` or `get_config(variant)` of a config file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config(*variant)


def draw_curves(workdir: Path) -> Path:
    """Loss terms and validation AbsRel over steps, from the runs' metrics.jsonl."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for name in ("total", "photometric_middle", "consistency_high", "consistency_low"):
        steps, values = read_metrics(workdir / "ra_depth", f"train/{name}")
        if len(steps):
            left.plot(steps, values, label=name)
    left.set(xlabel="step", title="loss terms")
    left.legend()
    for run in ("baseline", "ra_depth"):
        for width, height in RESOLUTIONS:
            steps, values = read_metrics(workdir / run, f"validation/{width}x{height}/abs_rel")
            if len(steps):
                right.plot(steps, values, marker="o", label=f"{run} {width}x{height}")
    right.set(xlabel="step", title="validation AbsRel")
    right.legend()
    path = workdir / "curves.png"
    figure.savefig(path, dpi=110)
    return path


if __name__ == "__main__":
    main()
