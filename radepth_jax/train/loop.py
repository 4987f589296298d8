"""Train from a config and a working directory; the same call resumes."""

import math
import time
from collections import deque
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.data.dataset import Dataset, EvaluationSource, TrainingSource, open_dataset
from radepth_jax.data.loader import device_prefetch, make_loader
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError
from radepth_jax.evaluate.evaluator import evaluate
from radepth_jax.evaluate.metrics import Protocol
from radepth_jax.interop.pretrained import load_imagenet
from radepth_jax.train.checkpoint import Checkpoints
from radepth_jax.train.config import check_config, to_json
from radepth_jax.train.health import CollapseDetector
from radepth_jax.train.metric_log import MetricLog
from radepth_jax.train.pictures import training_picture
from radepth_jax.train.progress import Progress
from radepth_jax.train.state import TrainState, create_state, init_state, make_optimizer, variables_of
from radepth_jax.train.step import make_train_step, place_batch, pmap_step, replicate

MAX_NONFINITE_STREAK = 10


def train(config: ConfigDict, workdir: str | Path) -> TrainState:
    """Train, or continue where the newest checkpoint in `workdir` stands.

    Writes checkpoints, `metrics.jsonl`, TensorBoard files and pictures into `workdir`.

    Args:
        config: as `default_config`.
        workdir: the run's folder, made if need be.

    Returns:
        The final state.

    Raises:
        UserError: for settings, data or checkpoints that cannot be used, a full disk, and a run
            whose loss stays non-finite.
    """
    check_config(config)
    devices = jax.local_device_count()
    processes = jax.process_count()
    if config.data.batch_size % (devices * processes):
        raise UserError(
            f"config.data.batch_size: expected a multiple of the {devices * processes} devices, "
            f"got {config.data.batch_size}"
        )
    dataset = _open_dataset(config.data, Path(workdir))
    source = TrainingSource(
        dataset,
        config.data.train_split,
        tuple(config.data.frame_offsets),
        skip_corrupt=config.data.skip_corrupt,
    )
    total_steps = config.train.steps or config.train.epochs * math.ceil(
        len(source) / config.data.batch_size
    )
    workdir = Path(workdir)
    workdir.mkdir(parents=True, exist_ok=True)
    with Checkpoints(workdir, keep=config.train.keep_checkpoints) as checkpoints:
        state = _first_state(config, total_steps, checkpoints)
        start_step = int(state.step)
        if start_step >= total_steps:
            print(f"{workdir}: already trained for {start_step} steps; nothing to do")
            return state
        loader = make_loader(
            source,
            global_batch=config.data.batch_size,
            seed=config.seed,
            start_step=start_step,
            workers=config.data.workers,
            process_index=jax.process_index(),
            process_count=processes,
        )
        with loader, device_prefetch(loader, place_batch) as batches:
            validation = _validation_source(config, dataset)
            return _run(config, total_steps, state, batches, validation, checkpoints, workdir)


def _run(
    config: ConfigDict,
    total_steps: int,
    state: TrainState,
    batches: Any,
    validation: EvaluationSource | None,
    checkpoints: Checkpoints,
    workdir: Path,
) -> TrainState:
    step_fn = pmap_step(make_train_step(config, total_steps))
    state = replicate(state)
    log = MetricLog(workdir, int(state.step))
    health = CollapseDetector()
    warned = False
    waiting: deque[tuple[int, dict]] = deque()
    skipped = 0
    last_time, last_step, last_wait = time.perf_counter(), int(state.step), 0.0

    def take(step: int, metrics: dict) -> dict[str, float]:
        """Look at one finished step: stop a run that cannot recover, warn of a collapse."""
        nonlocal warned
        values = {k: float(v) for k, v in jax.device_get(metrics).items()}
        if values["nonfinite_streak"] >= MAX_NONFINITE_STREAK:
            raise UserError(
                f"step {step}: the loss or its gradient was not finite in {MAX_NONFINITE_STREAK} "
                f"steps in a row; the checkpoint of step {checkpoints.latest_step} is kept. Lower "
                "config.optimizer.learning_rate or check the data"
            )
        if values["nonfinite_streak"]:
            progress.say(f"step {step}: loss or gradient not finite; step skipped")
        message = health.update(
            values["disparity_std_middle"] / values["disparity_mean_middle"], values["automasked"]
        )
        if message and not warned:
            progress.say(f"step {step}: {message}")
            warned = True
        return values

    progress = Progress(total_steps, int(state.step))
    try:
        with progress:
            for step in range(int(state.step) + 1, total_steps + 1):
                batch = next(batches)
                skipped += int(np.sum(batch.pop("skipped")))
                picture_due = step % config.train.picture_every == 0 or step == total_steps
                if picture_due and jax.process_index() == 0:
                    first = {k: v[0] for k, v in batch.items()}
                    log.picture(step, "training", training_picture(state, first, config))
                state, metrics = step_fn(state, batch)
                waiting.append((step, metrics))
                # One step behind, so that the device never waits for the host.
                if len(waiting) > 1:
                    progress.update(step - 1, take(*waiting.popleft()))
                if step % config.train.log_every == 0 or step == total_steps:
                    values = take(*waiting.popleft())
                    now = time.perf_counter()
                    seconds, steps = now - last_time, step - last_step
                    values["samples_per_second"] = steps * config.data.batch_size / seconds
                    values["seconds_per_step"] = seconds / steps
                    values["loader_wait"] = (batches.seconds_waited - last_wait) / seconds
                    values["skipped_samples"] = skipped
                    last_time, last_step, last_wait = now, step, batches.seconds_waited
                    if jax.process_index() == 0:
                        log.scalars(step, values)
                    progress.update(step, values)
                due = step % config.train.checkpoint_every == 0 or step == total_steps
                if due:
                    checkpoints.save(state, config, total_steps)
                if validation and (
                    step % config.train.validate_every == 0 or step == total_steps
                ):
                    for row in _validate(config, state, validation):
                        if jax.process_index() == 0:
                            log.scalars(step, row.metrics, f"validation/{row.resolution}")
                        progress.say(
                            f"step {step}: validation AbsRel {row.metrics['abs_rel']:.4f} "
                            f"at {row.resolution}"
                        )
                if due or validation:
                    last_time = time.perf_counter() if last_step == step else last_time
        checkpoints.wait()
    finally:
        log.close()
    return state


def _first_state(config: ConfigDict, total_steps: int, checkpoints: Checkpoints) -> TrainState:
    if checkpoints.latest_step is not None:
        state, saved, saved_steps = checkpoints.restore()
        if to_json(saved)["model"] != to_json(config)["model"]:
            raise UserError(
                "config.model: the checkpoint in this --workdir is of another model "
                f"({_difference(to_json(saved)['model'], to_json(config)['model'])}); "
                "use another --workdir, or the config it was trained with"
            )
        print(f"continuing from step {int(state.step)} of {total_steps}")
        return state
    if config.pretrained.depth_encoder or config.pretrained.pose_encoder:
        fresh = variables_of(init_state(config, total_steps))
        variables = load_imagenet(
            fresh,
            config.model,
            depth_encoder=config.pretrained.depth_encoder,
            pose_encoder=config.pretrained.pose_encoder,
        )
        return create_state(variables, make_optimizer(config.optimizer, total_steps))
    return init_state(config, total_steps)


def _open_dataset(config: ConfigDict, workdir: Path) -> Dataset:
    """The data set that `config.data` names, prepared first where it names its own footage."""
    if not config.source:
        return open_dataset(config.name, config.data_dir)
    prepare(
        config.name,
        source=config.source,
        data_dir=workdir / "data",
        intrinsics=config.intrinsics or None,
        fov=config.fov or None,
        stride=config.stride,
    )
    return open_dataset(config.name, workdir / "data")


def _validation_source(config: ConfigDict, dataset: Dataset) -> EvaluationSource | None:
    """The validation split, where it has ground truth."""
    split = config.data.validation_split
    if not dataset.splits.get(split):
        return None
    with_depth = any(dataset.record(split, i)["depth"] for i in range(dataset.splits[split]))
    return EvaluationSource(dataset, split) if with_depth else None


def _validate(config: ConfigDict, state: TrainState, source: EvaluationSource) -> list:
    return evaluate(
        variables_of(state),
        models.build(config.model),
        source,
        config.evaluate.resolutions,
        protocol=protocol_of(config),
        depth_range=(config.loss.min_depth, config.loss.max_depth),
        batch_size=config.evaluate.batch_size,
    )


def protocol_of(config: ConfigDict) -> Protocol:
    """The evaluation protocol a config names."""
    return Protocol(
        min_depth=config.evaluate.min_depth,
        max_depth=config.evaluate.max_depth,
        crop=config.evaluate.crop,
        median_scaling=config.evaluate.median_scaling,
    )


def _difference(saved: dict, given: dict) -> str:
    """The first field that differs, in words."""
    for name in sorted(set(saved) | set(given)):
        if saved.get(name) != given.get(name):
            return f"{name}: it has {saved.get(name)}, the config {given.get(name)}"
    return "no difference"
