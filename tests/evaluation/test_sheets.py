import numpy as np
import pytest

from radepth_jax.evaluation.row import Row
from radepth_jax.evaluation.sheets import cell_means, choose_images, depth_sheet, error_sheet
from radepth_jax.runs.protocol import Protocol


def test_cell_means_are_means_of_the_known_values():
    rng = np.random.default_rng(0)
    values, known = rng.random((12, 20)), rng.random((12, 20)) < 0.4
    mean, count = cell_means(values, known, (3, 5))
    for y in range(3):
        for x in range(5):
            cell = np.s_[4 * y : 4 * y + 4, 4 * x : 4 * x + 4]
            assert count[y, x] == known[cell].sum()
            if known[cell].any():
                assert mean[y, x] == pytest.approx(values[cell][known[cell]].mean())


def test_cells_smaller_than_a_pixel_repeat_it():
    values = np.arange(6.0).reshape(2, 3)
    mean, _ = cell_means(values, values >= 0, (4, 9))
    np.testing.assert_allclose(mean, values.repeat(2, 0).repeat(3, 1))


def test_sheets_show_truth_predictions_and_where_they_are_wrong():
    truth = np.zeros((64, 128), np.float32)
    truth[32:] = 10
    sample = {
        "image": np.full((64, 128, 3), 200, np.uint8),
        "size": np.array((64, 128)),
        "depth": truth,
        "depth_size": np.array((64, 128)),
        "name": "a",
    }
    predicted = np.full((64, 128), 5.0, np.float32)  # right after scaling by 2 ...
    predicted[:, 64:] = 10  # ... but twice as far on the right
    row = Row(
        "m", "64x32", {}, 1, per_image={"scale": np.array([2.0])}, depths={0: predicted}
    )  # fmt: skip
    other_scaling = Row("m", "64x32", {}, 1, scaling="fixed", depths={0: predicted})
    sheet = depth_sheet([sample], [0], [row, other_scaling])
    assert sheet.shape == (3 * 130 - 2, 256, 3)  # one prediction, shown once
    truth[60:] = 90  # beyond the range
    errors = error_sheet([sample], [0], [row], Protocol())[130:]
    blue, red, grey = errors[100, 60], errors[100, 200], errors[40, 200]
    assert blue[2] > blue[0]
    assert red[0] > red[2]
    np.testing.assert_array_equal(grey, 40)
    np.testing.assert_array_equal(errors[124, 60], 40)


def test_images_are_spread_over_the_source():
    assert choose_images(range(50), 4) == [0, 16, 33, 49]
    assert choose_images(range(3), 4) == [0, 1, 2]
    assert choose_images(range(1), 4) == [0]
