"""Train from a config and a working directory; the same call resumes."""

import functools
import json
import math
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict

from radepth_jax import platforms
from radepth_jax.data import Dataset, TrainingSource, make_loader, open_or_prepare
from radepth_jax.data.fingerprint import fingerprint
from radepth_jax.data.loader import DevicePrefetch
from radepth_jax.devices import loader_workers, place_batch, replicate
from radepth_jax.errors import PreemptedError, UserError, writing_to
from radepth_jax.processes import check_same, gather
from radepth_jax.runs.checkpoint import Checkpoints
from radepth_jax.runs.config import check_batch_size, check_config, to_json
from radepth_jax.runs.flat import ELEMENTWISE, flat_state, to_trees
from radepth_jax.runs.recipe import Recipe, make_recipe
from radepth_jax.runs.saved_model import load_model
from radepth_jax.runs.state import TrainState, learned_fov
from radepth_jax.training.goodput import SaveClock
from radepth_jax.training.metric_log import MetricLog
from radepth_jax.training.monitor import Monitor
from radepth_jax.training.preemption import Preemption
from radepth_jax.training.preview import make_preview, training_picture
from radepth_jax.training.progress_bar import ProgressBar
from radepth_jax.training.start import first_state
from radepth_jax.training.step import StepFn, make_train_step, pmap_step, shard_map_step
from radepth_jax.training.validation import Validation
from radepth_jax.training.wandb_log import WandbLog
from radepth_jax.training.weight_interpolation import interpolate_weights

# Called after every step with its number and the state; it may return another state to go on with.
# The next step takes the state's memory, so what a callback keeps of it has to be a copy.
Callback = Callable[[int, TrainState], TrainState | None]


def train(
    config: ConfigDict,
    workdir: str | Path,
    recipe: Recipe | None = None,
    callbacks: Sequence[Callback] = (),
) -> TrainState:
    """Train, or continue where the newest checkpoint in `workdir` stands.

    Writes checkpoints, `metrics.jsonl`, TensorBoard files and pictures into `workdir`. In a run of
    several processes each calls this after `jax.distributed.initialize`, with the same arguments
    and a `workdir` that all share; process 0 alone logs.

    Args:
        config: as `default_config`.
        workdir: the run's folder, made if need be.
        recipe: what a step does, in place of `make_recipe(config, steps)`; its networks have the
            parameters that the config's have, and its optimiser the same state. Checkpoints hold
            the config alone, so that going on takes the same recipe again.
        callbacks: called after every step, one after the other; see `Callback`. The parameters of
            the state are vectors (`runs/flat.py`) where the optimiser treats every number alone.

    Returns:
        The final state.

    Raises:
        UserError: for settings, data or checkpoints that cannot be used, a full disk, and a run
            whose loss stays non-finite.
        PreemptedError: after SIGTERM, once the state is saved.
    """
    platforms.keep_freed_memory()
    check_config(config)
    check_batch_size(config, jax.device_count())
    if config.train.mapping == "shard_map" and jax.process_count() > 1:
        raise UserError("config.train.mapping: shard_map is for one process; use pmap for several")
    if config.train.deterministic and not platforms.has_repeatable_kernels():
        raise UserError(
            "config.train.deterministic: JAX has its GPUs already; set XLA_FLAGS="
            f"{platforms.REPEATABLE} in the environment before the program starts, as `radepth "
            "train` does"
        )
    dataset = _open_data(config, workdir)
    workers = config.data.workers
    if workers < 0:
        workers = loader_workers(config.data.batch_size // jax.process_count())
    source = TrainingSource(
        dataset,
        config.data.train_split,
        tuple(config.data.frame_offsets),
        skip_corrupt=config.data.skip_corrupt,
        max_corrupt=config.data.max_corrupt,
        cache_bytes=config.data.cache * 2**30 / max(workers, 1),
        true_poses=config.pose.true_scale > 0,
        known_camera=not config.pose.learned_fov,
    )
    total_steps = config.train.steps or config.train.epochs * math.ceil(
        len(source) / config.data.batch_size
    )
    workdir = Path(workdir)
    with writing_to(workdir), Preemption() as preemption:
        workdir.mkdir(parents=True, exist_ok=True)
        with Checkpoints(workdir, keep=config.train.keep_checkpoints) as checkpoints:
            state = first_state(config, total_steps, checkpoints, source, _say)
            start_step = int(state.step)
            check_same(
                "their config or checkpoint",
                "give all of them the same command, and a --workdir that they share",
                *(_fingerprint(config), start_step),
            )
            if jax.process_count() > 1:
                check_same(
                    f"their data set {dataset.name}",
                    "give all of them the same data, a copy of one prepared folder or a shared one",
                    *np.frombuffer(fingerprint(dataset), np.int32).tolist(),
                )
            if start_step >= total_steps:
                _say(f"{workdir}: already trained for {start_step} steps; nothing to do")
                return state
            loader = make_loader(
                source,
                global_batch=config.data.batch_size,
                seed=config.seed,
                start_step=start_step,
                workers=workers,
                process_index=jax.process_index(),
                process_count=jax.process_count(),
                parts=config.train.accumulate,
            )

            def place(batch: dict[str, np.ndarray]) -> dict[str, jax.Array]:
                return place_batch(batch, parts=config.train.accumulate)

            with loader, DevicePrefetch(loader, place) as batches:
                run = Run(
                    config=config,
                    recipe=recipe or make_recipe(config, total_steps),
                    total_steps=total_steps,
                    workdir=workdir,
                    checkpoints=checkpoints,
                    preemption=preemption,
                    dataset=dataset,
                    callbacks=tuple(callbacks),
                )
                return _take_steps(run, state, batches)


@dataclass(frozen=True)
class Run:
    """What stays the same between a run's steps.

    Attributes:
        config: of the run.
        recipe: of the config.
        total_steps: the last step's number.
        workdir: where logs and checkpoints go.
        checkpoints: of that folder.
        preemption: says when the run is asked to end.
        dataset: that it trains and validates on.
        callbacks: called after every step.
    """

    config: ConfigDict
    recipe: Recipe
    total_steps: int
    workdir: Path
    checkpoints: Checkpoints
    preemption: Preemption
    dataset: Dataset
    callbacks: tuple[Callback, ...]

    def save(self, state: TrainState) -> None:
        """Write a checkpoint in the background."""
        self.checkpoints.save(replicate(_trees(state)), self.config, self.total_steps)


def _take_steps(run: Run, state: TrainState, batches: DevicePrefetch) -> TrainState:
    """The steps from `state` to the last one, with everything that happens between them."""
    config, total_steps, checkpoints = run.config, run.total_steps, run.checkpoints
    over_devices = shard_map_step if config.train.mapping == "shard_map" else pmap_step

    @functools.cache
    def compiled(recipe: Recipe) -> StepFn:
        return over_devices(make_train_step(recipe))

    preview = make_preview(run.recipe)

    def placed(state: TrainState) -> TrainState:
        flat = config.optimizer.name in ELEMENTWISE
        return replicate(flat_state(state) if flat else state)

    state = placed(jax.device_get(state))
    first_step = int(state.step) + 1
    every = config.train
    main = jax.process_index() == 0

    def due(step: int, interval: int) -> bool:
        return interval > 0 and (step % interval == 0 or step == total_steps)

    wandb = None
    if every.wandb and main:
        wandb = WandbLog(every.wandb, run.workdir, to_json(config))
    with (
        MetricLog(run.workdir, int(state.step), write=main, wandb=wandb) as log,
        ProgressBar(total_steps, first_step - 1, show=main) as bar,
    ):
        monitor = Monitor(config.data.batch_size, bar.say)
        save_clock = SaveClock(bar.say)
        validate = Validation(run.recipe, config, run.dataset, bar.say)
        if first_step == 1 and validate.before_training:
            validate(0, _trees(state), log)
        unread: dict[str, jax.Array] | None = None  # metrics of the last step
        few_pieces = platforms.reserve_heap_fragments()
        for step in range(first_step, total_steps + 1):
            if run.preemption.reached(step - 1):
                run.save(state)
                checkpoints.wait()
                raise PreemptedError(
                    f"asked to end (SIGTERM); step {step - 1} of {total_steps} is saved in "
                    f"{run.workdir}, and the same command goes on"
                )
            batch = next(batches)
            monitor.skipped_samples += int(np.sum(batch.pop("skipped")))
            if due(step, every.picture_every) and main:
                first = {name: values[0] for name, values in batch.items()}
                log.picture(
                    step, "training", training_picture(preview, _trees(state), first, config.seed)
                )
            step_fn = compiled(run.recipe.at(step))
            state, metrics = step_fn(state, batch, config.seed)
            for callback in run.callbacks:
                state = callback(step, state) or state
            if step == total_steps and config.pretrained.keep:
                start = load_model(config.pretrained.checkpoint).variables
                state = placed(interpolate_weights(_trees(state), start, config.pretrained.keep))
            # Read one step late, so that the device never waits for this process.
            if unread is not None:
                bar.update(step - 1, monitor.read(step - 1, unread, checkpoints.latest_step))
            unread = metrics
            if due(step, every.log_every):
                bar.update(step, monitor.read(step, unread, checkpoints.latest_step))
                unread = None
                log.scalars(step, monitor.summary(batches.seconds_waited))
            if due(step, every.validate_every):
                validate(step, _trees(state), log)
            # Last, so that a run which goes on from here has all the figures up to here.
            if due(step, every.checkpoint_every):
                save_clock.time(step, functools.partial(run.save, state))
            few_pieces = platforms.reserve_heap_fragments(few_pieces)
        checkpoints.wait()
        last = _trees(state)
        if (fov := learned_fov(last.params)) is not None:
            bar.say(f"field of view, as learned: {fov:.1f} degrees horizontally")
    return replicate(last)


def _trees(state: TrainState) -> TrainState:
    """The state with trees in place of vectors, copied to the host."""
    return to_trees(jax.tree.map(np.array, jax.device_get(state)))


def _open_data(config: ConfigDict, workdir: str | Path) -> Dataset:
    """The data set; where it has to be prepared first, by process 0 while the others wait."""
    first = jax.process_index() == 0
    if config.data.source and not first:
        gather(np.zeros(1, np.int32))
    learns_camera = config.pose.learned_fov > 0
    dataset = open_or_prepare(config.data, workdir, unknown_camera=learns_camera)
    if config.data.source and first:
        gather(np.zeros(1, np.int32))
    return dataset


def _fingerprint(config: ConfigDict) -> int:
    """A number below 2**31 of all that processes must have in common."""
    values = to_json(config)
    values["data"] |= {"data_dir": "", "workers": 0, "cache": 0}  # may differ between hosts
    return zlib.crc32(json.dumps(values, sort_keys=True).encode()) >> 1


def _say(message: str) -> None:
    if jax.process_index() == 0:
        print(message)
