"""Train the bundled model: a small one, on varied rendered streets alone.

    python experiments/box.py --output runs/box
    python experiments/box.py --start runs/box --fixed_statistics --output runs/box_fixed

`radepth predict` uses this network if no checkpoint is named, so it must be right on footage that
it never saw. It learns from what only a rendered street has: the depth of every pixel, up to one
factor for each image, and the motion of the camera. Every world has another camera. The network
sees random windows of the frames, in changed colours, blurred and with noise. They are resized to
one of several canvases, so that it works at any resolution. On a GPU it takes minutes (`--steps
24000`). The second command goes on with BatchNorm's statistics kept as they are, as a prediction
has them. A step then needs no batch, so it also uses canvases so large that one image fills a step.

The result is a run's folder, as `radepth train` leaves one. `--store` puts its network into the
package (`radepth_jax/runs/default_network`).
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.data.street import Street, world_seed
from radepth_jax.geometry import se3
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.models import presets
from radepth_jax.runs import default_network
from radepth_jax.runs.config import default_config
from radepth_jax.runs.packed_model import PackedModel, write_packed
from radepth_jax.runs.saved_model import load_model, save_model
from radepth_jax.startup import start_program
from radepth_jax.street import RANGES, make_world, render_frames
from radepth_jax.views.jitter import colour_jitter

# Maps the (width, height) that the network sees to the number of images of a step.
CANVASES = (((192, 64), 8), ((160, 96), 8), ((320, 96), 4))
LARGE_CANVASES = (((384, 192), 2), ((640, 192), 1), ((768, 256), 1), ((1024, 320), 1))
SIZE, LARGE_SIZE = (144, 384), (288, 768)  # (h, w) of the frames
SCALE = 0.03  # units of depth per metre, about as in self-supervised training
FRAMES = range(2, 4)  # in each world; many worlds matter more than many frames
FAR = 300.0  # metres; the sky must not be nearer than this
RANGE = (0.1, 100.0)  # the least and the largest depth that disparities stand for


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--worlds", type=int, default=1200, help="how many worlds of street/varied to render"
    )
    parser.add_argument(
        "--first_world", type=int, default=0, help="the number of the first of them"
    )
    parser.add_argument("--output", type=Path, default=Path("runs/box"))
    parser.add_argument("--steps", type=int, default=24_000)
    parser.add_argument("--learning_rate", type=float, default=1e-3)
    parser.add_argument(
        "--seconds",
        type=float,
        default=1e9,
        help="the learning rate is 0 by then, and training ends",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", help="go on from this run's weights, or from `default`'s")
    parser.add_argument(
        "--fixed_statistics", action="store_true", help="keep that run's BatchNorm statistics"
    )
    parser.add_argument(
        "--store", action="store_true", help="put the network of --output into the package, and end"
    )
    options = parser.parse_args()
    start_program()
    if options.store:
        model = load_model(options.output)
        packed = PackedModel(model.variables, model.config, model.step)
        write_packed(packed, default_network.FOLDER, np.float16)
        return
    fixed = options.fixed_statistics
    if fixed and not options.start:
        parser.error("--fixed_statistics needs a run to take them from: --start")
    canvases = CANVASES + LARGE_CANVASES * fixed
    start = time.perf_counter()
    size = LARGE_SIZE if fixed else SIZE
    worlds = jax.device_put(film_worlds(options.worlds, options.first_world, size))
    print(f"[{time.perf_counter() - start:.0f} s] {len(worlds['images'])} frames", flush=True)

    config = box_config()
    networks = models.build(config.model, models.Policy.native())
    if options.start:
        variables = load_model(options.start).variables
    else:
        variables = models.init_variables(networks, jax.random.key(options.seed), CANVASES[0][0])
    params = {name: value["params"] for name, value in variables.items()}
    stats = {name: value["batch_stats"] for name, value in variables.items()}
    optimizer = optax.inject_hyperparams(
        lambda learning_rate: optax.chain(
            optax.clip_by_global_norm(1.0),
            optax.adamw(
                learning_rate,
                weight_decay=1e-4,
                mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p),
            ),
        )
    )(learning_rate=0.0)
    state = optimizer.init(params)

    @partial(jax.jit, static_argnames=("canvas", "batch"), donate_argnums=(0, 1, 2, 3))
    def train_step(params, stats, state, average, worlds, key, rate, *, canvas, batch):
        sample_key, key = jax.random.split(key)
        index = jax.random.randint(sample_key, (batch,), 0, len(worlds["pairs"]))
        chosen = {"pair": worlds["pairs"][index], "second_T_first": worlds["motion"][index]}
        keys = jax.random.split(key, batch)
        views = jax.vmap(partial(look, worlds=worlds, canvas=canvas))(keys, chosen)
        (_, (terms, stats)), gradients = jax.value_and_grad(loss, has_aux=True)(
            params, stats, views, networks, fixed
        )
        state.hyperparams["learning_rate"] = rate
        updates, state = optimizer.update(gradients, state, params)
        params = optax.apply_updates(params, updates)
        average = jax.tree.map(lambda a, p: 0.999 * a + 0.001 * p, average, params)
        return params, stats, state, average, terms

    average = jax.tree.map(jnp.copy, params)
    shapes = jax.eval_shape(
        lambda: (params, stats, state, average, worlds, jax.random.key(0), jnp.float32(0))
    )

    def compile_for(canvas: tuple[int, int], batch: int) -> Any:
        return train_step.lower(*shapes, canvas=canvas, batch=batch).compile()

    with ThreadPoolExecutor(len(CANVASES)) as pool:  # XLA compiles without Python's lock
        steps = list(pool.map(lambda each: compile_for(*each), canvases))
    begun = time.perf_counter()
    print(f"[{begun - start:.0f} s] compiled", flush=True)
    for step in range(options.steps):
        done = max(step / options.steps, (time.perf_counter() - begun) / options.seconds)
        if done >= 1:
            break
        rate = options.learning_rate * min(step / 500, 1) * 0.5 * (1 + np.cos(np.pi * done))
        key = jax.random.fold_in(jax.random.key(options.seed), step)
        params, stats, state, average, terms = steps[step % len(steps)](
            params, stats, state, average, worlds, key, np.float32(rate)
        )
        if step % 50 == 0:  # waits for the device, so that the clock is right
            jax.block_until_ready(terms)
        if step % 200 == 0:
            shown = {name: round(float(value), 4) for name, value in terms.items()}
            print(f"[{time.perf_counter() - start:.0f} s] step {step} {shown}", flush=True)
    # The running statistics belong to the last few thousand steps, as the averaged weights do.
    variables = {name: {"params": average[name], "batch_stats": stats[name]} for name in params}
    if fixed:  # there are few large frames, and the pose network gets worse on few pairs
        variables["pose"] = load_model(options.start).variables["pose"]
    save_model(jax.device_get(variables), config, options.output)
    print(f"[{time.perf_counter() - start:.0f} s] {options.output}", flush=True)


def box_config() -> ConfigDict:
    """The network's config. Training that starts from it gets the rest of the small recipe."""
    config = default_config()
    config.model = ConfigDict(presets.bundled())
    config.pretrained.depth_encoder = config.pretrained.pose_encoder = ""
    config.views.resolution = (320, 96)
    config.batch_norm = "joint"
    return config


def film_worlds(number: int, first: int, size: tuple[int, int]) -> dict[str, np.ndarray]:
    """Render worlds of `street/varied`, from `first` on, in frames of `size`, into memory.

    Returns:
        `images`, uint8 [N, H, W, 3]. `inverse`, float16 [N, H, W], is 1 / metres, and 0 in the sky.
        `pairs`, int32 [P, 2], are indices of neighbouring images. `motion`, float32 [P, 4, 4], is
        second_T_first in metres.
    """
    config = next(c for c in Street.BUILDER_CONFIGS if c.name == "varied")

    def shoot(index: int) -> dict[str, np.ndarray]:
        seed = world_seed(config, "train", first + index)
        world = make_world(seed, config.frames, RANGES[config.kind])
        shot = render_frames(world, FRAMES, size=size, device=jax.devices()[0], chunk=len(FRAMES))
        T = shot.world_T_camera
        inverse = np.where(shot.depth > 0, 1 / np.maximum(shot.depth, 1e-3), 0)
        return {
            "images": shot.image,
            "inverse": inverse.astype(np.float16),
            "pairs": np.stack([np.arange(len(FRAMES) - 1)] * 2, 1) + [0, 1] + index * len(FRAMES),
            "motion": np.linalg.inv(T[1:]) @ T[:-1],
        }

    with ThreadPoolExecutor() as pool:
        shots = list(pool.map(shoot, range(number)))
    films = {name: np.concatenate([shot[name] for shot in shots]) for name in shots[0]}
    return films | {
        "pairs": films["pairs"].astype(np.int32),
        "motion": films["motion"].astype(np.float32),
    }


def look(key: Any, chosen: dict, *, worlds: dict, canvas: tuple[int, int]) -> dict[str, jax.Array]:
    """A random window of two neighbouring frames on the canvas, with the first one's truth."""
    width, height = canvas
    frames, inverse = worlds["images"][chosen["pair"]], worlds["inverse"][chosen["pair"][0]]
    native = frames.shape[1:3]
    keys = jax.random.split(key, 7)
    # First a window that is about as wide as the canvas's shape allows, then a part of it.
    shape = height / width * jnp.exp(jax.random.uniform(keys[0], minval=-0.2, maxval=0.2))
    widest = jnp.minimum(native[1], native[0] / shape)
    wide = widest * jax.random.uniform(keys[1], minval=0.55, maxval=1.0)
    size = jnp.stack([jnp.minimum(wide * shape, native[0]), wide])
    whole = jnp.array(native, jnp.float32)
    corner = jax.random.uniform(keys[2], (2,)) * (whole - size)
    zoom = jnp.array([height, width]) / size
    flipped = jax.random.bernoulli(keys[3])

    resized = jax.vmap(
        lambda frame: jax.image.scale_and_translate(
            frame.astype(jnp.float32) / 255,
            (height, width, 3),
            (0, 1),
            zoom,
            -corner * zoom,
            method="linear",
            antialias=True,
        )
    )(frames)
    rows, columns = (
        jnp.floor(corner[i] + (jnp.arange((height, width)[i]) + 0.5) / zoom[i]).astype(jnp.int32)
        for i in range(2)
    )
    truth = inverse[jnp.clip(rows, 0, native[0] - 1)][:, jnp.clip(columns, 0, native[1] - 1)]
    coloured = colour_jitter(
        keys[4], jnp.clip(resized, 0, 1), brightness=0.4, contrast=0.4, saturation=0.6, hue=0.1
    )
    noise = jax.random.uniform(keys[5], maxval=0.03) * jax.random.normal(keys[6], resized.shape)
    seen = jnp.clip(coloured + noise, 0, 1)
    seen = jnp.where(flipped, seen[:, :, ::-1], seen)
    truth = jnp.where(flipped, truth[:, ::-1], truth).astype(jnp.float32)
    motion = se3.mirror(chosen["second_T_first"], flipped)
    return {"seen": seen, "inverse": truth, "second_T_first": motion}


def loss(
    params: Any, stats: Any, views: dict, networks: models.Networks, fixed: bool = False
) -> Any:
    """Errors of log depth up to a factor for each image, of its edges, the sky and the motion.

    With `fixed`, BatchNorm normalises by the statistics that it is given.
    """

    def call(name: str, images: jax.Array) -> Any:
        network = getattr(networks, name)
        variables = {"params": params[name], "batch_stats": stats[name]}
        return network.apply(variables, images, train=not fixed, mutable=["batch_stats"])

    (disparity, *_), depth_stats = call("depth", views["seen"][:, 0])
    pairs = jnp.concatenate([views["seen"][:, 0], views["seen"][:, 1]], -1)
    (axisangle, translation), pose_stats = call("pose", pairs)

    depth = depth_from_disparity(disparity, min_depth=RANGE[0], max_depth=RANGE[1])[..., 0]
    inverse = views["inverse"]
    solid = inverse > 1 / 200
    wanted = -jnp.log(jnp.maximum(inverse, 1 / 200)) + np.log(SCALE)
    error = jnp.where(solid, jnp.log(depth) - wanted, 0)
    count = jnp.maximum(solid.sum((1, 2), keepdims=True), 1)
    shift = error.sum((1, 2), keepdims=True) / count
    apart = jnp.where(solid, jnp.abs(error - shift), 0).sum((1, 2)) / count[:, 0, 0]
    nearer = jnp.maximum(np.log(FAR * SCALE) - jnp.log(depth) + jax.lax.stop_gradient(shift), 0)
    sky = jnp.where(inverse == 0, nearer, 0).mean((1, 2))

    edges = jnp.zeros(len(inverse))
    for step in (1, 2, 4, 8):
        for axis in (1, 2):
            a, b = (
                jax.lax.slice_in_dim(error, *ends, axis=axis) for ends in ((step, None), (0, -step))
            )
            both = jnp.logical_and(
                *(
                    jax.lax.slice_in_dim(solid, *ends, axis=axis)
                    for ends in ((step, None), (0, -step))
                )
            )
            edges += jnp.where(both, jnp.abs(a - b), 0).mean((1, 2)) / 4

    motion = views["second_T_first"]
    predicted = jax.vmap(se3.transform_from_pose)(axisangle, translation)
    turn = jnp.abs(predicted[:, :3, :3] - motion[:, :3, :3]).sum((1, 2))
    move = jnp.abs(predicted[:, :3, 3] - SCALE * motion[:, :3, 3]).sum(1)
    terms = {
        "depth": apart.mean(),
        "absolute": jnp.abs(shift).mean(),
        "edges": edges.mean(),
        "sky": sky.mean(),
        "turn": turn.mean(),
        "move": move.mean(),
    }
    total = terms["depth"] + 0.1 * terms["absolute"] + 0.5 * terms["edges"] + 0.5 * terms["sky"]
    total += 2 * terms["turn"] + 5 * terms["move"]
    if not fixed:
        stats = {"depth": depth_stats["batch_stats"], "pose": pose_stats["batch_stats"]}
    return total, (terms, stats)


if __name__ == "__main__":
    main()
