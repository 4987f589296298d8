"""The training step: exact, the same over any device layout, and safe against non-finite losses."""

import dataclasses

import jax
import numpy as np
import pytest

from radepth_jax.data import TrainingSource, make_loader, open_dataset
from radepth_jax.devices import place_batch, replicate
from radepth_jax.runs.flat import flat_state, to_trees
from radepth_jax.runs.optimizer import make_schedule
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.runs.state import init_state
from radepth_jax.training.step import make_train_step, pmap_step, shard_map_step

STEPS = 3


@pytest.fixture
def batches(micro_config):
    source = TrainingSource(
        open_dataset(micro_config.data.name, micro_config.data.data_dir), "train", (0, -1, 1)
    )
    with make_loader(source, global_batch=8, seed=0) as loader:
        return [{k: v for k, v in next(loader).items() if k != "skipped"} for _ in range(STEPS)]


@pytest.fixture
def sgd_config(micro_config):
    # Adam would hide gradients that are N times too large.
    micro_config.optimizer.name = "sgd"
    micro_config.optimizer.learning_rate = 1e-2
    return micro_config


def run_pmap(config, batches, devices):
    step = pmap_step(make_train_step(make_recipe(config, 10)), devices)
    state = replicate(init_state(config, 10), devices)
    for batch in batches:
        state, metrics = step(
            state, place_batch(batch, devices, config.train.accumulate), config.seed
        )
    return jax.device_get(state), jax.device_get(metrics)


def largest_difference(a, b):
    """Of any two numbers, relative to theirs where they exceed 1: running variances reach 6."""
    return max(
        float((np.abs(x - y) / np.maximum(1, np.abs(x))).max())
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def test_eight_devices_equal_one_under_pmap_and_shard_map(sgd_config, batches):
    # In smooth areas SSIM makes 1.4e-5 of the loss from rounding, which differs with the number of
    # samples on a device.
    sgd_config.loss.ssim = 0.0
    one, one_metrics = run_pmap(sgd_config, batches, jax.devices()[:1])
    eight, eight_metrics = run_pmap(sgd_config, batches, jax.devices())
    start = jax.device_get(init_state(sgd_config, 10))
    assert largest_difference(one.params, start.params) > 1e-3  # the steps did something
    assert largest_difference(one.params, eight.params) < 1e-5
    assert largest_difference(one.batch_stats, eight.batch_stats) < 1e-5
    assert one_metrics["total"] == pytest.approx(eight_metrics["total"], rel=1e-5)

    step = shard_map_step(make_train_step(make_recipe(sgd_config, 10)))
    state = init_state(sgd_config, 10)
    for batch in batches:
        state, _ = step(state, place_batch(batch), sgd_config.seed)
    sharded = jax.device_get(state)
    assert largest_difference(one.params, sharded.params) < 1e-5
    assert largest_difference(one.batch_stats, sharded.batch_stats) < 1e-5


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_state_of_vectors_takes_the_same_steps(sgd_config, batches, accumulate):
    sgd_config.train.accumulate = accumulate
    # Two programs round differently, and the auto-mask would make a jump of that.
    sgd_config.loss.automask = False
    step = pmap_step(make_train_step(make_recipe(sgd_config, 10)), jax.devices()[:1])
    start = jax.device_get(init_state(sgd_config, 10))
    ends = []
    for state in (start, flat_state(start)):
        state = replicate(state, jax.devices()[:1])
        for batch in batches[:1]:
            placed = place_batch(batch, jax.devices()[:1], accumulate)
            state, metrics = step(state, placed, sgd_config.seed)
        ends.append((to_trees(jax.device_get(state)), jax.device_get(metrics)))
    (tree, tree_metrics), (flat, flat_metrics) = ends
    assert largest_difference(tree.params, start.params) > 1e-3
    assert jax.tree.structure(tree) == jax.tree.structure(flat)
    assert largest_difference(tree.params, flat.params) < 1e-5
    assert largest_difference(tree.batch_stats, flat.batch_stats) < 1e-5
    assert tree_metrics["total"] == pytest.approx(flat_metrics["total"], rel=1e-5)


def test_two_parts_on_two_devices_equal_four_devices(sgd_config, batches):
    # Parts have their own statistics, as devices have that do not share theirs.
    sgd_config.views.names = ("middle",)
    sgd_config.batch_norm_sync = False
    four, four_metrics = run_pmap(sgd_config, batches, jax.devices()[:4])
    sgd_config.train.accumulate = 2
    two, two_metrics = run_pmap(sgd_config, batches, jax.devices()[:2])
    assert largest_difference(two.params, four.params) < 1e-5
    assert two_metrics["total"] == pytest.approx(four_metrics["total"], rel=1e-5)


def test_with_fixed_statistics_samples_do_not_depend_on_each_other(sgd_config, batches):
    """So the parts of a batch that are computed apart give the same step."""
    sgd_config.optimizer.learning_rate = 0.1
    sgd_config.views.names = ("middle",)
    start = jax.device_get(init_state(sgd_config, 10))
    ends = []
    for accumulate in (1, 2):
        sgd_config.train.accumulate = accumulate
        recipe = dataclasses.replace(make_recipe(sgd_config, 10), fixed_statistics=True)
        step = pmap_step(make_train_step(recipe), jax.devices()[:1])
        placed = place_batch(batches[0], jax.devices()[:1], accumulate)
        state, _ = step(replicate(flat_state(start), jax.devices()[:1]), placed, sgd_config.seed)
        ends.append(to_trees(jax.device_get(state)))
    assert largest_difference(ends[0].params, start.params) > 1e-3
    assert largest_difference(ends[0].params, ends[1].params) < 1e-5
    for end in ends:
        assert largest_difference(end.batch_stats, start.batch_stats) == 0


def test_the_step_is_deterministic(sgd_config, batches):
    first, _ = run_pmap(sgd_config, batches, jax.devices())
    second, _ = run_pmap(sgd_config, batches, jax.devices())
    assert largest_difference(first, second) == 0


def test_a_non_finite_step_changes_only_the_counters(sgd_config, batches):
    devices = jax.devices()
    step = pmap_step(make_train_step(make_recipe(sgd_config, 10)), devices)
    state, _ = step(replicate(init_state(sgd_config, 10)), place_batch(batches[0]), sgd_config.seed)
    before = jax.device_get(state)
    bad = batches[1] | {"intrinsics": np.full_like(batches[1]["intrinsics"], np.nan)}
    state, metrics = step(state, place_batch(bad), sgd_config.seed)
    after = jax.device_get(state)
    assert (after.step, after.nonfinite, after.nonfinite_streak) == (before.step + 1, 1, 1)
    assert largest_difference(before.params, after.params) == 0
    assert largest_difference(before.batch_stats, after.batch_stats) == 0
    assert largest_difference(before.opt_state, after.opt_state) == 0
    assert metrics["nonfinite"] == 1
    state, metrics = step(state, place_batch(batches[1]), sgd_config.seed)
    assert (int(state.nonfinite), int(state.nonfinite_streak)) == (1, 0)
    assert np.isfinite(metrics["total"])


def test_the_schedules(micro_config):
    config = micro_config.optimizer
    config.learning_rate = 1.0
    schedule = make_schedule(config, 100)
    assert [float(schedule(s)) for s in (0, 74, 76, 99)] == pytest.approx([1, 1, 0.1, 0.1])
    config.schedule, config.warmup_steps = "cosine", 10
    schedule = make_schedule(config, 100)
    assert [float(schedule(s)) for s in (0, 5, 10, 55, 100)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0], abs=1e-6
    )
