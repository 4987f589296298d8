"""What the options beyond the paper do to a step's images, and that it is undone."""

import json
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import beyond
import beyond_table

SHAPE = (6, 48, 144, 3)


@pytest.mark.parametrize("option", [beyond.split_permute, beyond.graft])
def test_what_is_rearranged_is_put_back_at_any_scale(option, monkeypatch):
    arranged = []
    monkeypatch.setattr(beyond, "rearrange", arranged.append)
    option(None)
    images = jax.random.normal(jax.random.key(0), SHAPE)
    changed = 0
    for seed in range(12):
        there, back = arranged[0](jax.random.key(seed))
        seen = there(images)
        np.testing.assert_array_equal(back(seen), images)
        half = images[:, ::2, ::2]
        np.testing.assert_array_equal(back(there(half)), half)
        assert np.isin(seen, images).all()
        changed += not np.array_equal(seen, images)
    assert 0 < changed < 12


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
    assert rows[2][-1] == "7"  # lines of `teacher` beside what the recipe has too
