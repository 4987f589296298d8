"""Which recipe learns best from real video? KITTI's clips, tested on other scenes, at five sizes.

    radepth prepare video/kitti --clips clips.json --data_dir data
    radepth prepare kitti_selection --source DIR --data_dir data
    radepth prepare kitti_raw/test --source DIR --test_drives 0013,0002 --data_dir data
    python experiments/claim.py --systems monodepth2,ra_depth --seeds 0,1,2 --data_dir data

No clip may be of a test drive. Each run writes the AbsRel of every test image to its folder
(claim.json), and finished runs are not repeated. The last lines are a table of all finished runs
in the working directory: AbsRel at each resolution, the mean of the seeds; the worst over the best;
and how much the worst is below that of the first system, with a 95 % interval from resampling the
scenes (a scene is a drive), which are the same for both.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import runner
from ml_collections import ConfigDict
from variants import RESOLUTIONS, TRAINED_AT, configure

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.errors import UserError
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.saved_model import load_model
from radepth_jax.training.loop import train

# Maps systems to (a variant of variants.py, the settings that differ from its own).
SYSTEMS: dict[str, tuple[str, dict[str, Any]]] = {
    "monodepth2": ("monodepth2", {}),
    "hr_depth": ("hr_depth", {}),
    "diffnet": ("diffnet", {}),
    "decoder": ("dual_hrnet", {}),
    "ra_depth": ("ra_depth", {}),
    "high_view": ("ra_depth", {"views.names": ("high", "middle")}),
    "resolutions": ("multi_resolution", {}),
}
KEPT = ("resolutions",)  # whose statistics are kept for the second half of the steps
TESTS = ("kitti_selection", "kitti_raw/test")
RESULT = "claim.json"
RESAMPLES = 2000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--systems", default=",".join(SYSTEMS), help="comma separated")
    parser.add_argument("--seeds", default="0", help="comma separated")
    parser.add_argument("--steps", type=int, default=2400)
    parser.add_argument("--size", default="small", choices=("small", "resnet", "resnet_small"))
    parser.add_argument("--weights", default="", help="ImageNet weights for a ResNet-18")
    parser.add_argument("--dataset", default="video/kitti", help="what is trained on")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--workdir", type=Path, default=Path("runs/claim"))
    options = parser.parse_args()
    systems = options.systems.split(",")
    if unknown := set(systems) - set(SYSTEMS):
        parser.error(f"--systems {', '.join(unknown)}: expected some of {', '.join(SYSTEMS)}")
    resolutions = [runner.resolution_name(r) for r in RESOLUTIONS[options.size]]
    for seed in map(int, options.seeds.split(",")):
        for system in systems:
            run(system, seed, options)
    print(table(options.workdir, list(SYSTEMS), resolutions))


def run(system: str, seed: int, options: argparse.Namespace) -> None:
    """Train and test a system, unless that has been done."""
    name, settings = SYSTEMS[system]
    config = configure(
        name,
        size=options.size,
        dataset=options.dataset,
        data_dir=options.data_dir,
        steps=options.steps,
        seed=seed,
        weights=options.weights,
    )
    config.update_from_flattened_dict(settings)
    if system in KEPT:
        config.train.batch_statistics_steps = options.steps // 2
    config.evaluate.crop = "garg"
    workdir = options.workdir / f"{system}_{seed}"
    if (workdir / RESULT).exists():
        return
    shared, step = options.workdir / f"decoder_{seed}", config.train.middle_view_steps
    if name == "ra_depth" and (shared / runner.FOLDER / str(step)).is_dir():
        runner.copy_checkpoint(shared, workdir, step)
    train(config, workdir)
    record = {"steps": options.steps, "machine": runner.machine()}
    record["abs_rel"] = test(config, workdir)
    (workdir / RESULT).write_text(json.dumps(record, indent=1) + "\n")


def test(config: ConfigDict, workdir: Path) -> dict[str, dict[str, float]]:
    """AbsRel by resolution and image, of all test sets."""
    found: dict[str, dict[str, float]] = {}
    for name in TESTS:
        source = EvaluationSource(open_dataset(name, config.data.data_dir), "test")
        rows = evaluate(
            load_model(workdir),
            source,
            config.evaluate.resolutions,
            protocol=protocol_of(config),
            batch_size=config.evaluate.batch_size,
        )
        for row in rows:
            values = zip(row.names, row.per_image["abs_rel"], strict=True)
            images = {f"{name}/{image}": float(value) for image, value in values}
            found.setdefault(row.resolution, {}).update(images)
    return found


def scene(image: str) -> str:
    """The drive of a test image, which all its neighbours share."""
    parts = image.split("/")
    return next((part[:21] for part in parts if part.startswith("2011_")), parts[-1])


def table(workdir: Path, systems: list[str], resolutions: list[str]) -> str:
    """A Markdown table of the finished runs."""
    errors: dict[str, np.ndarray] = {}  # [seeds, resolutions, images]
    names: list[str] = []
    for system in systems:
        paths = sorted(workdir.glob(f"{system}_[0-9]*/{RESULT}"))
        runs = [json.loads(path.read_text())["abs_rel"] for path in paths]
        if runs:
            names = list(runs[0][resolutions[0]])
            errors[system] = np.array(
                [[[run[r][name] for name in names] for r in resolutions] for run in runs]
            )
    if not errors:
        raise UserError(f"{workdir}: no finished run")
    scenes = np.unique([scene(name) for name in names], return_inverse=True)[1]
    lines = [
        f"{len(names)} images of {scenes.max() + 1} scenes, trained at {resolutions[TRAINED_AT]}.",
        "",
        f"| system | seeds | {' | '.join(resolutions)} | worst / best | worst below the first's |",
        "|---" * (len(resolutions) + 4) + "|",
    ]
    first = next(iter(errors.values()))
    for system, values in errors.items():
        mean = values.mean((0, 2))
        low, high = gain_interval(first.mean(0), values.mean(0), scenes)
        cells = [f"{value:.3f}".lstrip("0") for value in mean]
        lines.append(
            f"| {system} | {len(values)} | {' | '.join(cells)} | {mean.max() / mean.min():.2f} | "
            f"{1 - mean.max() / first.mean((0, 2)).max():.0%} ({low:.0%} to {high:.0%}) |"
        )
    return "\n".join(lines)


def gain_interval(
    first: np.ndarray, other: np.ndarray, scenes: np.ndarray, seed: int = 0
) -> tuple[float, float]:
    """The 95 % interval of how much smaller the worst of `other` is than that of `first`.

    Args:
        first: AbsRel [resolutions, images].
        other: the same of another system.
        scenes: int [images], the number of each image's scene. Whole scenes are drawn.
        seed: the seed of the draws.
    """
    number = int(scenes.max()) + 1
    draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), RESAMPLES)
    weights = draws[:, scenes].astype(float)
    weights /= weights.sum(1, keepdims=True)
    gains = 1 - (weights @ other.T).max(1) / (weights @ first.T).max(1)
    low, high = np.quantile(gains, (0.025, 0.975))
    return float(low), float(high)


if __name__ == "__main__":
    runner.main(main)
