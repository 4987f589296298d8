"""Averages over images, and rows of a table beside one another."""

import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.row import UnusablePredictionError, make_row, over_same_images

NAMES = [f"a/2/{i}" for i in range(4)]


def row(errors, *, known=(9, 9, 9, 9), model="m", **counts):
    """A NaN among the errors is an image in which no scale was found."""
    errors, known = np.array(errors, float), np.array(known)
    per_image = dict.fromkeys((*METRICS, "scale", "median_ratio"), errors)
    per_image |= {"known": known, "pixels": np.where(np.isnan(errors), 0, known)}
    for name in ("not_finite", "not_positive"):
        per_image[name] = np.array(counts.get(name, [0] * len(errors)))
    return make_row(model, "64x32", "ground", NAMES[: len(errors)], per_image)


def test_an_image_without_ground_truth_is_left_out():
    got = row([0.1, np.nan, 0.3, 0.2], known=(9, 0, 9, 9))
    assert got.metrics["abs_rel"] == pytest.approx(0.2)
    assert got.images == 3
    with pytest.raises(UserError, match="no image of this split has ground-truth depth in range"):
        row([np.nan] * 2, known=(0, 0))


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"not_finite": [0, 3, 0, 9]}, "is NaN or infinite in 2 of 3 images with ground truth "),
        ({"not_positive": [0, 1, 0, 1]}, "is 0 or negative in 2 of 3 "),
        (
            {"not_positive": [0, 1, 0, 0], "not_finite": [0, 0, 0, 1]},
            "is NaN or infinite, or 0 or negative in 2 of 3 ",
        ),
    ],
)
def test_an_image_that_cannot_be_judged_is_not_left_out(counts, said):
    with pytest.raises(UnusablePredictionError) as error:
        row([np.nan, 0.1, 0.3, np.nan], known=(0, 9, 9, 9), **counts)
    assert said in str(error.value)
    assert "(a/2/1, a/2/3)" in str(error.value)


def test_rows_of_a_table_are_over_the_same_images():
    """No ground plane in the hard image: the network is not the better one for it."""
    rows = [row([0.1, 0.2, 0.9, 0.3]), row([0.2, 0.3, np.nan, 0.4]), row([np.nan, 0.3, 0.8, 0.5])]
    same = over_same_images(rows)
    assert [one.images for one in same] == [2, 2, 2]
    found = [one.metrics["abs_rel"] for one in same]
    assert found == pytest.approx([0.25, 0.35, 0.4])
    assert over_same_images(rows[:1]) == rows[:1]
    with pytest.raises(UnusablePredictionError, match="no image has a ground plane in every row"):
        over_same_images([row([0.1, np.nan, 0.1, np.nan]), row([np.nan, 0.1, np.nan, 0.1])])
