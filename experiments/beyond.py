"""What goes beyond the paper? One option at a time, at five resolutions of two data sets.

    python experiments/beyond.py --option teacher --seed 0 --data_dir runs/demo/data
    python experiments/beyond.py --option teacher --seed 0 --dataset kitti_raw --weights FILE

Each is the demo's RA-Depth with one change (`OPTIONS`), trained for as many steps, or the
ablation's on KITTI, whose ResNet-18 starts from ImageNet's FILE. Writes the AbsRel, the worst over
the best, the CPU time, and that of a step, of the last fifth of them, to
WORKDIR/DATASET/OPTION_SEED/result.json, of which beyond_table.py makes the table of a note.
What helped is in the package; what did not is here alone.
"""

import argparse
import dataclasses
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from demo import HERE, RESOLUTIONS, load_config, without_views
from ml_collections import ConfigDict
from variants import configure

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation import report
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.losses import FILTERS, TERMS, LossOptions, Scene
from radepth_jax.losses.terms import consistency_term
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.recipe import Recipe, make_recipe
from radepth_jax.runs.saved_model import load_model
from radepth_jax.runs.state import TrainState
from radepth_jax.startup import start_program
from radepth_jax.training.loop import Callback, train


def recipe(config: ConfigDict) -> ConfigDict:
    """The demo's RA-Depth as it is."""
    return config


def high_view(config: ConfigDict) -> ConfigDict:
    """AS-Aug's high view beside the middle one, without the low one."""
    config.views.names = ("high", "middle")
    return config


def low_view(config: ConfigDict) -> ConfigDict:
    """AS-Aug's low view beside the middle one, without the high one."""
    config.views.names = ("middle", "low")
    return config


def filler(config: ConfigDict) -> ConfigDict:
    """The low view's filler strips count, as in the published training."""
    config.loss.mask_low_filler = False
    return config


def narrow(config: ConfigDict) -> ConfigDict:
    """The high view at 1.1 to 1.5 times the middle one's size, in place of 1.1 to 2."""
    config.views.entries.high.scale = (1.1, 1.5)
    return config


def no_consistency(config: ConfigDict) -> ConfigDict:
    """AS-Aug without the consistency loss."""
    config.loss.weights.consistency = 0.0
    return config


def late(config: ConfigDict) -> ConfigDict:
    """The other views from a third of the steps on, in place of a fifth."""
    steps = config.train.steps
    config.train.middle_view_steps = round(0.337 * steps)
    config.loss.ramps.consistency = (round(0.358 * steps), round(0.5 * steps))
    return config


def strong(config: ConfigDict) -> ConfigDict:
    """The consistency at three times its weight."""
    config.loss.weights.consistency = 0.15
    return config


def apart(config: ConfigDict) -> ConfigDict:
    """Sources two frames away in place of one: twice the parallax."""
    config.data.frame_offsets = (0, -2, 2)
    return config


def farther(config: ConfigDict) -> ConfigDict:
    """Sources one and two frames away."""
    config.data.frame_offsets = (0, -1, 1, -2, 2)
    return config


def teacher(config: ConfigDict) -> ConfigDict:
    """The middle view teaches the others: no gradient of the consistency reaches it.

    Self-distillation by resizing and cropping, as BDEdepth has it, at a weight of 0.2.
    """
    config.loss.weights.consistency, config.loss.weights.teacher = 0.0, 0.2
    config.loss.ramps.teacher = config.loss.ramps.consistency
    return config


def teacher_term(scene: Scene, options: LossOptions) -> Any:
    """The consistency with a middle view that is a constant."""
    finest, *others = scene.disparities
    constant = finest.at[scene.middle].set(jax.lax.stop_gradient(finest[scene.middle]))
    return consistency_term(scene.replace(disparities=(constant, *others)), options)


TERMS["teacher"] = teacher_term


def auto_blur(config: ConfigDict) -> ConfigDict:
    """Images are blurred where they are finer than the network's pixels before they are compared.

    Chen et al., Frequency-Aware Self-Supervised Monocular Depth Estimation, WACV 2023.
    """
    config.loss.filter = "blur_fine"
    return config


def blur_fine(image: jax.Array, threshold: float = 0.2, share: float = 0.6) -> jax.Array:
    """[H, W, 3] with 3x3 means where most of the 9x9 pixels around have a steep slope."""

    def mean(x: jax.Array, size: int) -> jax.Array:
        window = (size, size, 1)
        total = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, (1, 1, 1), "SAME")
        ones = jax.lax.reduce_window(jnp.ones_like(x), 0.0, jax.lax.add, window, (1, 1, 1), "SAME")
        return total / ones

    down, right = jnp.gradient(image, axis=(0, 1))
    steep = jnp.max(jnp.abs(down) + jnp.abs(right), axis=-1, keepdims=True) > threshold
    fine = mean(steep.astype(jnp.float32), 9) > share
    return jnp.where(fine, mean(image, 3), image)


FILTERS["blur_fine"] = blur_fine


Arrangement = tuple[Callable[[jax.Array], jax.Array], Callable[[jax.Array], jax.Array]]
"""Two functions of [N, h, w, C], the second of which undoes the first."""


@dataclasses.dataclass(frozen=True)
class Rearranged:
    """A depth network that sees its training images rearranged; what it gives is put back.

    Args:
      network: to whose `apply` all goes.
      arrange: of a step's key.
    """

    network: Any
    arrange: Callable[[jax.Array], Arrangement]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.network, name)

    def apply(self, variables: Any, images: jax.Array, *, rngs: Any = None, **options: Any) -> Any:
        """As the network's; where there is a key, in training, of its images rearranged."""
        if not rngs:
            return self.network.apply(variables, images, **options)
        there, back = self.arrange(jax.random.fold_in(rngs["params"], 0))
        outputs, stats = self.network.apply(variables, there(images), rngs=rngs, **options)
        return tuple(map(back, outputs)), stats


def rearranged(recipe: Recipe, arrange: Callable[[jax.Array], Arrangement]) -> Recipe:
    """The recipe whose depth network sees its images so rearranged in every step."""
    networks, synchronised = (
        found._replace(depth=Rearranged(found.depth, arrange))
        for found in (recipe.networks, recipe.synchronised)
    )
    return dataclasses.replace(recipe, networks=networks, synchronised=synchronised)


def split_permute(key: jax.Array) -> Arrangement:
    """In half of the steps the network sees two parts of each image exchanged, columns or rows.

    BDEdepth's splitting and permuting (Liu et al., RA-L 2023), as an augmentation.
    """
    kind, eighths = jax.random.randint(key, (2,), jnp.array([0, 1]), jnp.array([4, 8]))

    def roll(x: jax.Array, sign: int) -> jax.Array:
        rows = jnp.where(kind == 2, sign * eighths * x.shape[1] // 8, 0)
        columns = jnp.where(kind == 3, sign * eighths * x.shape[2] // 8, 0)
        return jnp.roll(x, (rows, columns), (1, 2))

    return functools.partial(roll, sign=1), functools.partial(roll, sign=-1)


def graft(key: jax.Array) -> Arrangement:
    """In half of the steps the network sees the top of each image on the bottom of another one.

    Data grafting of EPCDepth (Peng et al., ICCV 2021).
    """
    used, fifths = jax.random.randint(key, (2,), jnp.array([0, 1]), jnp.array([2, 5]))

    def exchange(x: jax.Array, by: int) -> jax.Array:
        own = jnp.arange(x.shape[1])[:, None, None] * 5 < fifths * x.shape[1]
        return jnp.where(own | (used == 0), x, jnp.roll(x, by, 0))

    return functools.partial(exchange, by=1), functools.partial(exchange, by=-1)


def multi_resolution(config: ConfigDict) -> ConfigDict:
    """Plain training at several resolutions: the middle view alone, at each of five in turns."""
    config.train.resolutions, config.train.middle_view_steps = RESOLUTIONS, 0
    return without_views(config)


def other_resolutions(config: ConfigDict) -> ConfigDict:
    """The same after a fifth of the steps, at four, of which the test has one."""
    config = without_views(config)
    config.train.middle_view_steps = config.train.steps // 5
    config.train.resolutions = ((144, 48), (192, 64), (240, 80), (288, 96))
    return config


def fixed(config: ConfigDict) -> ConfigDict:
    """BatchNorm's statistics stay as they are for the second half of the steps."""
    config.train.batch_statistics_steps = config.train.steps // 2
    return config


def average(config: ConfigDict) -> Callback:
    """The average of the weights over the last fifth of the steps, evenly."""
    last = config.train.steps
    first = last - last // 5
    kept: list[Any] = []  # the sum
    add = jax.jit(functools.partial(jax.tree.map, jnp.add))

    def take(step: int, state: TrainState) -> TrainState | None:
        if step <= first:
            return None
        held = (state.params, state.batch_stats)
        # The step gives its state away to the next one.
        kept[:] = [add(kept[0], held) if kept else jax.tree.map(jnp.copy, held)]
        if step < last:
            return None
        params, stats = jax.tree.map(lambda x: x / (last - first), kept[0])
        return dataclasses.replace(state, params=params, batch_stats=stats)

    return take


OPTIONS = {
    option.__name__: option
    for option in (
        recipe,
        without_views,
        high_view,
        low_view,
        filler,
        narrow,
        no_consistency,
        late,
        strong,
        apart,
        farther,
        teacher,
        auto_blur,
        split_permute,
        graft,
        multi_resolution,
        other_resolutions,
        fixed,
        average,
    )
}
# All others are functions of the config.
ARRANGEMENTS, CALLBACKS = ("split_permute", "graft"), ("average",)


def basis(options: argparse.Namespace) -> ConfigDict:
    """RA-Depth's config on the data set that is asked for, which the options change."""
    if options.dataset == "kitti_raw":
        return configure(
            "ra_depth",
            size="resnet_small",
            dataset=options.dataset,
            data_dir=str(options.data_dir),
            steps=options.steps or 800,
            seed=options.seed,
            weights=options.weights,
        )
    config = load_config(HERE.parent / "configs" / "ra_depth_street.py", "demo")
    config.seed, config.data.data_dir = options.seed, str(options.data_dir)
    config.train.validate_every = config.train.picture_every = 0
    config.train.steps = options.steps or config.train.steps
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--option", required=True, help=f"{', '.join(OPTIONS)}; several by commas")
    parser.add_argument("--dataset", default="street", choices=("street", "kitti_raw"))
    parser.add_argument("--workdir", type=Path, default=Path("runs/beyond"))
    parser.add_argument("--data_dir", type=Path, default=Path("runs/demo/data"))
    parser.add_argument("--weights", default="", help="ImageNet weights, for kitti_raw")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="instead of the demo's")
    options = parser.parse_args()
    names = options.option.split(",")
    unknown = set(names) - set(OPTIONS)
    if unknown:
        parser.error(f"--option {', '.join(unknown)}: expected some of {', '.join(OPTIONS)}")
    start_program()
    config = basis(options)
    for name in names:
        if name not in (*ARRANGEMENTS, *CALLBACKS):
            config = OPTIONS[name](config)
    run_recipe = make_recipe(config, config.train.steps)
    for name in names:
        if name in ARRANGEMENTS:
            run_recipe = rearranged(run_recipe, OPTIONS[name])
    workdir = options.workdir / options.dataset / f"{options.option}_{options.seed}"
    start = time.process_time()
    finished: list[float] = []  # by the CPU's clock: other programs may run beside
    callbacks = [OPTIONS[name](config) for name in names if name in CALLBACKS]
    callbacks.append(lambda step, state: finished.append(time.process_time()))
    train(config, workdir, run_recipe, callbacks)
    seconds = time.process_time() - start
    last = len(finished) // 5
    rows = evaluate(
        load_model(workdir),
        EvaluationSource(open_dataset(config.data.name, config.data.data_dir), "test"),
        RESOLUTIONS,
        protocol=protocol_of(config),
    )
    report.print_table(rows, f"{options.dataset}: {options.option}, seed {options.seed}")
    errors = {row.resolution: round(row.metrics["abs_rel"], 4) for row in rows}
    result = {
        "abs_rel": errors,
        "worst_over_best": round(max(errors.values()) / min(errors.values()), 3),
        "cpu_seconds": round(seconds),
        "seconds_per_step": last and round((finished[-1] - finished[-1 - last]) / last, 4),
        "steps": config.train.steps,
    }
    (workdir / "result.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
