"""Whole runs: exact repetition, exact resume, what is written, and how runs end."""

import dataclasses
import errno
import functools
import json
import os
import shutil
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from radepth_jax.data import Dataset, open_dataset
from radepth_jax.errors import PreemptedError, UserError
from radepth_jax.interop.torch_keys import depth_entries
from radepth_jax.models import presets
from radepth_jax.runs.checkpoint import FOLDER, load_checkpoint
from radepth_jax.runs.config import to_json
from radepth_jax.runs.recipe import make_recipe
from radepth_jax.training import loop, start
from radepth_jax.training.loop import train
from radepth_jax.training.metric_log import read_metrics
from radepth_jax.training.photometric_validation import PhotometricValidation


def leaves(state):
    return [np.asarray(x) for x in jax.tree.leaves(state)]


def assert_identical(a, b):
    for x, y in zip(leaves(a), leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def read_records(workdir):
    return [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]


RECIPES = {}


@pytest.fixture(scope="module", autouse=True)
def compile_once():
    """Runs whose steps are the same function share one compiled step."""
    real = loop.make_recipe

    def make_recipe(config, total_steps):
        groups = ("model", "views", "loss", "optimizer", "batch_norm_sync")
        names = ("middle_view_steps", "resolutions", "batch_statistics_steps", "accumulate")
        of_steps = [config.train[name] for name in names]
        key = json.dumps([to_json(config)[group] for group in groups] + [total_steps, of_steps])
        return RECIPES.setdefault(key, real(config, total_steps))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_recipe", make_recipe)
        patch.setattr(loop, "make_train_step", functools.cache(loop.make_train_step))
        patch.setattr(loop, "pmap_step", functools.cache(loop.pmap_step))
        yield


@pytest.fixture(scope="module")
def reference(reference_config, tmp_path_factory):
    """The working directory and state of four steps without interruption."""
    workdir = tmp_path_factory.mktemp("reference")
    return workdir, train(reference_config, workdir)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(
    micro_config, reference, tmp_path
):
    assert_identical(reference[1], train(micro_config, tmp_path / "again"))
    micro_config.seed = 1
    other = train(micro_config, tmp_path / "other")
    assert any((a != b).any() for a, b in zip(leaves(reference[1]), leaves(other), strict=True))


class KilledError(Exception):
    pass


def kill_at_call(monkeypatch, number):
    """Make the compiled step fail when it is called for the n-th time."""
    real = loop.pmap_step

    def pmap_that_dies(step):
        compiled, calls = real(step), []

        def call(state, batch, seed):
            calls.append(0)
            if len(calls) == number:
                raise KilledError
            return compiled(state, batch, seed)

        return call

    monkeypatch.setattr(loop, "pmap_step", pmap_that_dies)


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_is_exact_with_any_worker_count(
    micro_config, reference, tmp_path, monkeypatch, workers
):
    kill_at_call(monkeypatch, 4)  # step 3 is done and logged, but was not saved
    with pytest.raises(KilledError):
        train(micro_config, tmp_path / "run")
    monkeypatch.undo()
    state, _ = load_checkpoint(tmp_path / "run")
    assert int(state.step) == 2
    micro_config.data.workers = workers
    assert_identical(reference[1], train(micro_config, tmp_path / "run"))
    records = read_records(tmp_path / "run")
    steps = [record["step"] for record in records if "train/total" in record]
    assert steps == [1, 2, 3, 4]


def test_sigterm_saves_and_the_rerun_continues_exactly(
    micro_config, reference, tmp_path, monkeypatch
):
    real = loop.pmap_step

    def pmap_that_is_told_to_end(step):
        compiled, calls = real(step), []

        def call(state, batch, seed):
            calls.append(0)
            if len(calls) == 3:
                os.kill(os.getpid(), signal.SIGTERM)
            return compiled(state, batch, seed)

        return call

    micro_config.train.checkpoint_every = 100
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "pmap_step", pmap_that_is_told_to_end)
        with pytest.raises(PreemptedError, match=r"step 3 of 4 is saved in .*run, and the same"):
            train(micro_config, tmp_path / "run")
    assert signal.getsignal(signal.SIGTERM) == before
    assert int(load_checkpoint(tmp_path / "run")[0].step) == 3
    assert_identical(reference[1], train(micro_config, tmp_path / "run"))


# The reads still under way at the first damaged array find Orbax's event loop closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_goes_on_from_an_older_checkpoint_where_the_newest_is_damaged(
    micro_config, reference, tmp_path, caplog
):
    shutil.copytree(reference[0], tmp_path / "run")
    for path in (tmp_path / "run" / FOLDER / "4").rglob("d/*"):
        path.write_bytes(b"")
    assert_identical(reference[1], train(micro_config, tmp_path / "run"))
    assert "checkpoints/4: not a readable checkpoint" in caplog.text
    assert int(load_checkpoint(tmp_path / "run")[0].step) == 4


def test_a_recipe_and_callbacks_of_one_s_own_are_taken(micro_config, tmp_path):
    recipe = make_recipe(micro_config, 4)
    loss = dataclasses.replace(recipe.loss, weights={"photometric": 1.0})
    seen = []

    def zero_at_the_end(step, state):
        seen.append((step, int(state.step)))
        return (
            state.replace(params=jax.tree.map(jnp.zeros_like, state.params)) if step == 4 else None
        )

    state = train(
        micro_config,
        tmp_path / "run",
        recipe=recipe.with_options(loss=loss),
        callbacks=[zero_at_the_end],
    )
    assert seen == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert not any(leaf.any() for leaf in jax.tree.leaves(state.params))
    saved, _ = load_checkpoint(tmp_path / "run")
    assert not any(leaf.any() for leaf in jax.tree.leaves(saved.params))
    logged = {name for record in read_records(tmp_path / "run") for name in record}
    assert "train/photometric_middle" in logged
    assert "train/smoothness_middle" not in logged


def test_a_run_writes_every_term_pictures_and_validation(micro_config, tmp_path):
    micro_config.train.picture_every = micro_config.train.validate_every = 4
    reports = []
    train(micro_config, tmp_path / "run", callbacks=[lambda step, state: reports.append(step)])
    assert reports == [1, 2, 3, 4]  # without them the watch over a process of many ends it
    records = read_records(tmp_path / "run")
    terms = {name for record in records for name in record}
    assert terms >= {
        f"train/{name}"
        for name in (
            "total", "photometric_high", "photometric_middle", "photometric_low",
            "smoothness_high", "smoothness_middle", "smoothness_low", "consistency_high",
            "consistency_low", "automasked", "gradient_norm", "learning_rate", "loader_wait",
            "samples_per_second", "skipped_samples", "nonfinite",
        )
    }  # fmt: skip
    assert 0 < records[-1]["validation/64x32/abs_rel"] < 10
    assert (tmp_path / "run/pictures/training_0000004.png").stat().st_size > 1000
    assert list((tmp_path / "run/tensorboard").glob("events*"))


def test_without_depth_held_out_frames_are_rebuilt(micro_config, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Dataset, "has_depth", lambda self, split: False)
    micro_config.train.validate_every = 2
    train(micro_config, tmp_path / "run")
    steps, errors = read_metrics(tmp_path / "run", "validation/photometric")
    assert steps.tolist() == [0, 2, 4]
    assert ((errors > 0.01) & (errors < 0.5)).all()
    assert len(set(errors)) == 3
    assert "before training: photometric error 0." in capsys.readouterr().out
    # It is of the state alone: the same state has the same error.
    dataset = open_dataset("street/tiny", micro_config.data.data_dir)
    held_out = PhotometricValidation(make_recipe(micro_config, 4), dataset, "validation")
    state, _ = load_checkpoint(tmp_path / "run")
    error, picture = held_out(state)
    assert error == pytest.approx(errors[-1], rel=1e-3)
    # Beside them, before and after: an image and its depth of each sample that is shown.
    assert picture.shape == (32 * 3 + 2 * 2, 64 * 2 + 2, 3)
    before, after = (Image.open(tmp_path / f"run/pictures/held_out_000000{n}.png") for n in (0, 4))
    assert np.abs(np.asarray(after, int) - picture).max() <= 2  # as alone on its device
    moved = np.any(np.asarray(before) != np.asarray(after), -1)
    assert moved[:, 64:].any()
    assert not moved[:, :64].any()


def test_a_finished_run_says_so_and_changes_nothing(micro_config, reference, capsys):
    assert_identical(reference[1], train(micro_config, reference[0]))
    assert "already trained for 4 steps" in capsys.readouterr().out


def test_a_run_that_goes_on_with_other_settings_says_which(
    micro_config, reference, tmp_path, capsys
):
    shutil.copytree(reference[0] / FOLDER, tmp_path / FOLDER)
    train(micro_config, tmp_path)
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "continuing" in text]
    assert line == "continuing from step 4 of 4"
    micro_config.data.batch_size, micro_config.optimizer.learning_rate = 16, 0.5
    micro_config.views.resolution, micro_config.data.workers = (96, 32), 1
    train(micro_config, tmp_path)
    (line,) = [text for text in capsys.readouterr().out.splitlines() if "continuing" in text]
    assert line.startswith("continuing from step 4 of 4, with other settings than before: ")
    for change in (
        "data.batch_size 16 (was 8)",
        "optimizer.learning_rate 0.5 (was 0.0001)",
        "views.resolution (96, 32) (was (64, 32))",
    ):
        assert change in line
    assert "workers" not in line


def test_a_checkpoint_of_another_model_is_refused(micro_config, reference, tmp_path):
    micro_config.model.depth.encoder.width = 6
    with pytest.raises(
        UserError, match=r"config\.model\.depth\.encoder\.width is 6, but .* with 4;"
    ):
        train(micro_config, reference[0])
    micro_config.pretrained.checkpoint = str(reference[0])
    with pytest.raises(UserError, match=r"the checkpoint config\.pretrained\.checkpoint is of ano"):
        train(micro_config, tmp_path / "new")


def test_a_run_can_start_from_anothers_weights(micro_config, reference, tmp_path):
    micro_config.pretrained.checkpoint = str(reference[0])
    micro_config.optimizer.name = "sgd"
    micro_config.optimizer.learning_rate = 0.0
    micro_config.train.steps = 1
    state = train(micro_config, tmp_path / "tuned")
    assert int(state.step) == 1
    assert_identical(reference[1].params, state.params)


def test_a_run_ends_and_is_saved_with_what_it_keeps(micro_config, reference, tmp_path):
    micro_config.pretrained.checkpoint = str(reference[0])
    micro_config.train.steps = 2
    micro_config.pretrained.keep = 1.0
    state = train(micro_config, tmp_path / "kept")
    assert_identical(reference[1].params, state.params)
    saved, _ = load_checkpoint(tmp_path / "kept")
    assert int(saved.step) == 2
    assert_identical(load_checkpoint(reference[0])[0].params, saved.params)


def test_ten_non_finite_steps_stop_the_run_and_keep_the_checkpoint(
    micro_config, tmp_path, monkeypatch
):
    micro_config.train.steps = 30
    real = loop.place_batch
    count = []

    def poisoned(batch, parts):
        count.append(0)
        if len(count) > 3:
            batch = batch | {"intrinsics": np.full_like(batch["intrinsics"], np.nan)}
        return real(batch, parts=parts)

    monkeypatch.setattr(loop, "place_batch", poisoned)
    with pytest.raises(UserError, match="not finite in 10 steps in a row; the checkpoint of step"):
        train(micro_config, tmp_path / "run")
    state, _ = load_checkpoint(tmp_path / "run")
    assert all(np.isfinite(x).all() for x in leaves(state.params))


@pytest.mark.parametrize(
    ("size", "parts", "message"),
    [
        (9, 1, r"batch_size: 9 cannot be split evenly over 8 devices; set it to 8 or 16$"),
        (4, 1, r"batch_size: 4 cannot .* 8 devices; set it to 8$"),
        (40, 2, r"batch_size: 40 cannot .* 8 devices, in 2 parts each; set it to 32 or 48$"),
        (8, 0, r"accumulate: expected a number from 1, got 0$"),
    ],
)
def test_a_batch_that_cannot_be_split_is_refused(micro_config, tmp_path, size, parts, message):
    micro_config.data.batch_size = size
    micro_config.train.accumulate = parts
    with pytest.raises(UserError, match=message):
        train(micro_config, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_full_disk_ends_the_run_with_one_line(micro_config, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(loop.Checkpoints, "save", full)
    with pytest.raises(UserError, match=r"the disk of .*run is full; free some space"):
        train(micro_config, tmp_path / "run")


def test_a_workdir_that_is_a_file_is_named(micro_config, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UserError, match=r"run: File exists"):
        train(micro_config, tmp_path / "run")


def test_the_first_steps_can_train_on_the_middle_view_alone(micro_config, tmp_path):
    micro_config.train.middle_view_steps = 2
    train(micro_config, tmp_path / "run")
    records = read_records(tmp_path / "run")
    steps = [record for record in records if "train/total" in record]
    assert [("train/photometric_high" in record) for record in steps] == [
        False, False, True, True,
    ]  # fmt: skip
    assert all("train/photometric_middle" in record for record in steps)


def test_a_step_has_its_views_its_resolution_and_its_statistics(micro_config):
    micro_config.train.middle_view_steps = 2
    micro_config.train.resolutions = ((64, 32), (96, 64), (128, 32))
    micro_config.train.batch_statistics_steps = 4
    recipe = make_recipe(micro_config, 7)
    steps = [recipe.at(step) for step in range(1, 8)]
    views = ("high", "middle", "low")
    assert [step.views.names for step in steps] == [("middle",)] * 2 + [views] * 5
    in_turns = [(64, 32), (96, 64), (128, 32), (64, 32), (96, 64)]
    assert [step.views.resolution for step in steps] == [(64, 32)] * 2 + in_turns
    assert [step.fixed_statistics for step in steps] == [False] * 4 + [True] * 3
    for steps, fixed in ((0, True), (-1, False)):
        micro_config.train.batch_statistics_steps = steps
        assert make_recipe(micro_config, 7).at(1).fixed_statistics == fixed


def test_a_run_takes_the_recipe_of_each_step(micro_config, tmp_path, monkeypatch):
    taken = []

    def at(recipe, step):
        taken.append(step)
        middle = dataclasses.replace(recipe.views, names=("middle",))
        return recipe.with_options(views=middle) if step == 2 else recipe

    monkeypatch.setattr(loop.Recipe, "at", at)
    train(micro_config, tmp_path / "run")
    assert taken == [1, 2, 3, 4]
    steps = [record for record in read_records(tmp_path / "run") if "train/total" in record]
    assert ["train/photometric_high" in record for record in steps] == [True, False, True, True]


def test_a_run_starts_from_folded_weights(micro_config, tmp_path):
    random = np.random.default_rng(0)
    micro_config.model.depth.encoder = presets.RESNET18 | {"width": 4, "stages": 3}
    micro_config.train.middle_view_steps = 0
    micro_config.views.names = ("middle",)
    micro_config.train.steps = 1
    shapes = {
        entry.key.removeprefix("encoder."): entry.shape
        for entry in depth_entries(micro_config.model)
        if entry.part == "encoder" and len(entry.shape) == 4
    }
    weights = {key: random.normal(0, 0.1, shape) for key, shape in shapes.items()}
    weights |= {key[:-6] + "bias": np.zeros(shape[0]) for key, shape in shapes.items()}
    np.savez(tmp_path / "folded.npz", **weights)
    micro_config.pretrained.depth_encoder = str(tmp_path / "folded.npz")
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        real = start.create_state

        def create_state(variables, optimizer):
            seen.append(jax.tree.map(np.array, variables))  # the step gives its own away
            return real(variables, optimizer)

        patch.setattr(start, "create_state", create_state)
        state = train(micro_config, tmp_path / "run")
    assert int(state.step) == 1
    assert int(state.nonfinite) == 0
    (variables,) = seen
    norm = variables["depth"]["batch_stats"]["encoder"]["stage3_block1"]["layer2"]["bn"]
    assert np.min(norm["var"]) > 0
    assert np.abs(norm["mean"]).min() > 0


def test_shard_map_is_one_setting_away(micro_config, reference, tmp_path):
    """The same steps, but for the order of sums."""
    _, expected = reference
    micro_config.train.mapping = "shard_map"
    state = train(micro_config, tmp_path / "run")
    for a, b in zip(jax.tree.leaves(state.params), jax.tree.leaves(expected.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
