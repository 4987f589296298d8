"""What the options beyond the paper do to a step's images, and that it is undone."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict

from radepth_jax.runs.state import TrainState

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import beyond
import beyond_table

SHAPE = (6, 48, 144, 3)


@pytest.mark.parametrize("arrange", [beyond.split_permute, beyond.graft])
def test_what_is_rearranged_is_put_back_at_any_scale(arrange):
    images = jax.random.normal(jax.random.key(0), SHAPE)
    changed = 0
    for seed in range(12):
        there, back = arrange(jax.random.key(seed))
        seen = there(images)
        np.testing.assert_array_equal(back(seen), images)
        half = images[:, ::2, ::2]
        np.testing.assert_array_equal(back(there(half)), half)
        assert np.isin(seen, images).all()
        changed += not np.array_equal(seen, images)
    assert 0 < changed < 12


def test_a_network_is_rearranged_in_training_alone():
    class Halves:
        def apply(self, variables, images, *, rngs=None):
            return (images, images[:, ::2]), variables

    network = beyond.Rearranged(Halves(), lambda key: (lambda x: x[:, ::-1], lambda x: x + 1))
    images = jax.random.normal(jax.random.key(0), SHAPE)
    (seen, _), _ = network.apply({}, images)
    np.testing.assert_array_equal(seen, images)
    (seen, half), _ = network.apply({}, images, rngs={"params": jax.random.key(0)})
    np.testing.assert_array_equal(seen, images[:, ::-1] + 1)
    assert half.shape[1] == SHAPE[1] // 2


def test_the_average_is_that_of_the_last_fifth():
    config = ConfigDict({"train": {"steps": 10}})
    average = beyond.average(config)
    state = TrainState(0, {"w": jax.numpy.zeros(())}, {}, (), 0, 0)
    for step in range(1, 10):
        assert average(step, replace(state, params={"w": jax.numpy.float32(step)})) is None
    last = average(10, replace(state, params={"w": jax.numpy.float32(10)}))
    assert last.params["w"] == 9.5


def test_blur_leaves_what_is_smooth_and_softens_what_is_fine():
    rows, columns = np.mgrid[:32, :32]
    smooth = np.repeat((rows / 64)[..., None], 3, -1).astype(np.float32)
    fine = np.repeat(((rows + columns) % 4 < 2)[..., None], 3, -1).astype(np.float32)
    np.testing.assert_array_equal(beyond.blur_fine(smooth), smooth)
    assert np.std(beyond.blur_fine(fine)[8:-8, 8:-8]) < 0.5 * np.std(fine)


def test_the_table_has_all_data_sets_and_seeds_of_an_option_together(tmp_path):
    result = {"abs_rel": {"a": 0.2, "b": 0.3}, "worst_over_best": 1.5, "seconds_per_step": 0.25}
    for run in (
        "street/teacher_0",
        "kitti_raw/recipe_0",
        "street/recipe_1",
        "street/fixed,graft_0",
    ):
        folder = tmp_path / run
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps(result))
    rows = [row[2:-2].split(" | ") for row in beyond_table.table(tmp_path)[2:]]
    assert [row[:3] for row in rows] == [
        ["`recipe`", "street", "1"],
        ["", "kitti", "0"],
        ["`teacher`", "street", "0"],
        ["`fixed,graft`", "street", "0"],
    ]
    assert rows[0][3:] == [".200", ".300", ".250", "1.50", "0.25", "0"]
    assert rows[2][-1] == "6"  # lines of `teacher` beside what the recipe has too
