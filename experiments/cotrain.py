"""Go on from the bundled model: rendered truth and real clips in the same step.

    radepth prepare video/roads --clips clips.yaml --data_dir data
    python experiments/cotrain.py --clips video/roads --data_dir data --output runs/cotrain

A step has three parts. Rendered frames teach depth and motion by their truth, as in box.py, on one
of several canvases. Samples of real clips teach by the photometric loss at 320x96. And a window of
a real frame at a fine canvas has to agree, up to a factor, with the average of what the averaged
weights say of it at coarser ones, where the network is better. BatchNorm's statistics stay those of
the start. What ships may learn only from clips whose licence allows it. `--clips
video/roads,video/kitti` adds KITTI's, for a network that stays at home.
"""

import argparse
import time
from functools import partial
from pathlib import Path
from typing import Any

import box
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict
from PIL import Image

from radepth_jax import models
from radepth_jax.data import TrainingSource, open_dataset
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.recipe import Recipe, make_recipe
from radepth_jax.runs.saved_model import load_model, save_model
from radepth_jax.runs.small import use_small_recipe
from radepth_jax.startup import start_program
from radepth_jax.training.forward import compute_loss
from radepth_jax.views.jitter import colour_jitter

WORLD_SIZE = (320, 896)  # (h, w) of the rendered frames
# Maps the (width, height) that the network sees to the number of rendered images of a step.
CANVASES = (((192, 64), 4), ((640, 192), 1), ((256, 128), 2), ((320, 96), 3), ((640, 192), 1))
# Maps fine canvases to the coarser ones that teach them on real frames.
TEACHERS = {(640, 192): ((320, 96), (192, 64)), (256, 128): ((192, 96),)}
CLIP_SIZE = (192, 640)  # (h, w) to which real frames are reduced and cropped
SAMPLES = 2  # real samples of a step
PHOTOMETRIC, AGREEMENT = 10.0, 0.3  # weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", default="video/roads", help="prepared data sets, by commas")
    parser.add_argument("--data_dir", default="data")
    parser.add_argument("--start", default="default", help="a run's folder, or the bundled model")
    parser.add_argument("--worlds", type=int, default=400)
    parser.add_argument("--first_world", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3000, help="of training")
    parser.add_argument("--learning_rate", type=float, default=3e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/cotrain"))
    options = parser.parse_args()
    start_program()
    begun = time.perf_counter()
    real = real_samples(options.clips.split(","), options.data_dir)
    worlds = jax.device_put(box.film_worlds(options.worlds, options.first_world, WORLD_SIZE))
    print(f"[{time.perf_counter() - begun:.0f} s] {len(real['frames'])} real samples", flush=True)

    config = box.box_config()
    networks = models.build(config.model, models.Policy.native())
    variables = load_model(options.start).variables
    params = {name: value["params"] for name, value in variables.items()}
    stats = {name: value["batch_stats"] for name, value in variables.items()}
    optimizer = optax.inject_hyperparams(
        lambda learning_rate: optax.chain(
            optax.clip_by_global_norm(1.0), optax.adamw(learning_rate, weight_decay=1e-4)
        )
    )(learning_rate=0.0)
    state, average = optimizer.init(params), jax.tree.map(jnp.copy, params)
    recipe = photometric_recipe()
    clip_frames = jax.device_put(real["frames"][:, 0])

    @partial(jax.jit, static_argnames=("canvas", "number"), donate_argnums=(0, 1, 2))
    def train_step(params, average, state, data, batch, key, rate, step, *, canvas, number):
        def objective(params):
            keys = jax.random.split(key, 3)
            total, terms = rendered_loss(params, stats, data[0], keys[0], networks, canvas, number)
            if canvas in TEACHERS:
                depth = partial(log_depth, stats=stats, networks=networks)
                terms["agreement"] = agreement(params, average, data[1], keys[1], depth, canvas)
                total += AGREEMENT * terms["agreement"]
            terms["photometric"], _ = compute_loss(
                params, stats, batch, step, 0, recipe=recipe, index=jnp.arange(SAMPLES)
            )
            return total + PHOTOMETRIC * terms["photometric"], terms

        gradient, terms = jax.grad(objective, has_aux=True)(params)
        state.hyperparams["learning_rate"] = rate
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda a, p: 0.998 * a + 0.002 * p, average, params)
        return params, average, state, terms

    rng, step, clock = np.random.default_rng(options.seed), 0, None
    shown: dict[str, float] = {}
    while True:
        canvas, number = CANVASES[step % len(CANVASES)]
        # Each program is compiled in the first round, whose time does not count.
        if step == len(CANVASES):
            clock = time.perf_counter()
        done = 0.0 if clock is None else (time.perf_counter() - clock) / options.seconds
        if done >= 1:
            break
        rate = options.learning_rate * min(step / 200, 1) * 0.5 * (1 + np.cos(np.pi * done))
        chosen = rng.integers(0, len(real["frames"]), SAMPLES)
        params, average, state, terms = train_step(
            params,
            average,
            state,
            (worlds, clip_frames),
            {name: value[chosen] for name, value in real.items()},
            jax.random.fold_in(jax.random.key(options.seed), step),
            np.float32(rate),
            np.int32(step),
            canvas=canvas,
            number=number,
        )
        for name, value in terms.items():
            shown[name] = 0.98 * shown.get(name, float(value)) + 0.02 * float(value)
        if step % 100 == 0:
            figures = {name: round(value, 4) for name, value in shown.items()}
            print(f"[{time.perf_counter() - begun:.0f} s] step {step} {figures}", flush=True)
        step += 1
    variables = {n: {"params": average[n], "batch_stats": stats[n]} for n in params}
    save_model(jax.device_get(variables), config, options.output)
    print(f"[{time.perf_counter() - begun:.0f} s] {step} steps, {options.output}", flush=True)


def real_samples(names: list[str], data_dir: str) -> dict[str, np.ndarray]:
    """All training samples of data sets, as batches are: frames, size and intrinsics, in memory."""
    sources = [TrainingSource(open_dataset(name, data_dir), "train", (0, -1, 1)) for name in names]
    samples = [reduce_sample(source[i]) for source in sources for i in range(len(source))]
    return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}


def reduce_sample(sample: dict[str, Any]) -> dict[str, np.ndarray]:
    """A sample's frames resized to `CLIP_SIZE`'s width, and cropped to its height.

    Of rows that are too many, three fifths are cut off above, where the sky is.
    """
    h, w = (int(side) for side in sample["size"])
    height, width = CLIP_SIZE
    # A frame that is almost as wide as that is squeezed by a few rows, and not cropped.
    tall = height if h * width / w < 1.05 * height else round(h * width / w)
    top = round(0.6 * (tall - height))
    frames = [
        np.asarray(Image.fromarray(f[:h, :w]).resize((width, tall), Image.Resampling.LANCZOS))
        for f in sample["frames"]
    ]
    K = sample["intrinsics"].astype(np.float64)
    for row, scale in ((0, width / w), (1, tall / h)):
        K[row, row] *= scale
        K[row, 2] = (K[row, 2] + 0.5) * scale - 0.5
    K[1, 2] -= top
    return {
        "frames": np.stack([frame[top : top + height] for frame in frames]),
        "size": np.array(CLIP_SIZE, np.int32),
        "intrinsics": K.astype(np.float32),
    }


def photometric_recipe() -> Recipe:
    """The small recipe's photometric loss of the middle view, with kept statistics."""
    config: ConfigDict = default_config()
    use_small_recipe(config, presets.bundled())
    config.views.resolution, config.views.names = (320, 96), ("middle",)
    config.loss.weights.consistency = 0.0
    config.pose.align, config.pose.turns_from = (), 0
    config.train.batch_statistics_steps = 0
    config.train.steps = 1000
    return make_recipe(config, config.train.steps).at(1)


def rendered_loss(
    params: Any,
    stats: Any,
    worlds: dict[str, jax.Array],
    key: jax.Array,
    networks: models.Networks,
    canvas: tuple[int, int],
    number: int,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """box.py's loss of `number` random windows of rendered frames."""
    choice, key = jax.random.split(key)
    index = jax.random.randint(choice, (number,), 0, len(worlds["pairs"]))
    chosen = {"pair": worlds["pairs"][index], "second_T_first": worlds["motion"][index]}
    look = partial(box.look, worlds=worlds, canvas=canvas)
    views = jax.vmap(look)(jax.random.split(key, number), chosen)
    total, (terms, _) = box.loss(params, stats, views, networks, True)
    return total, terms


def log_depth(
    params: Any, images: jax.Array, *, stats: Any, networks: models.Networks
) -> jax.Array:
    """Log depth [N, H, W] of images [N, H, W, 3]."""
    variables = {"params": params["depth"], "batch_stats": stats["depth"]}
    disparity, *_ = networks.depth.apply(variables, images, train=False)
    low, high = box.RANGE
    return jnp.log(depth_from_disparity(disparity, min_depth=low, max_depth=high)[..., 0])


def agreement(
    params: Any,
    average: Any,
    frames: jax.Array,
    key: jax.Array,
    depth: Any,
    canvas: tuple[int, int],
) -> jax.Array:
    """How far a fine canvas is from coarser ones on a real window, in log depth up to a factor.

    Args:
        params: of the network that learns.
        average: the averaged weights, which teach.
        frames: uint8 [N, H, W, 3], of which one is drawn.
        key: of the draw, the window and its colours.
        depth: gives log depth [n, h, w] of (parameters, images [n, h, w, 3]).
        canvas: one of `TEACHERS`.
    """
    width, height = canvas
    keys = jax.random.split(key, 5)
    frame = frames[jax.random.randint(keys[0], (), 0, len(frames))].astype(jnp.float32) / 255
    native = jnp.array(frame.shape[:2], jnp.float32)
    # A window of the canvas's shape, as wide as the frame allows or a little less.
    share = jax.random.uniform(keys[1], minval=0.55, maxval=1.0)
    wide = share * jnp.minimum(native[1], native[0] * width / height)
    size = wide * jnp.array([height / width, 1.0])
    corner = jax.random.uniform(keys[2], (2,)) * (native - size)
    zoom = width / wide
    window = jnp.clip(
        jax.image.scale_and_translate(
            frame,
            (height, width, 3),
            (0, 1),
            jnp.stack([zoom, zoom]),
            -corner * zoom,
            method="linear",
            antialias=True,
        ),
        0,
        1,
    )
    wanted = jnp.zeros((height, width))
    for coarse in TEACHERS[canvas]:
        small = jax.image.resize(window, (coarse[1], coarse[0], 3), "linear")
        both = depth(average, jnp.stack([small, small[:, ::-1]]))
        said = (both[0] + both[1, :, ::-1]) / 2
        wanted += jax.image.resize(said - said.mean(), (height, width), "linear")
    wanted = jax.lax.stop_gradient(wanted / len(TEACHERS[canvas]))
    coloured = colour_jitter(keys[3], window, brightness=0.4, contrast=0.4, saturation=0.6, hue=0.1)
    apart = depth(params, coloured[None])[0] - wanted
    return jnp.abs(apart - jnp.median(jax.lax.stop_gradient(apart))).mean()


if __name__ == "__main__":
    main()
