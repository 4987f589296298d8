"""The loop that every method goes through, on methods made here."""

import numpy as np
import pytest

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation.compare import ground_scale
from radepth_jax.evaluation.loop import evaluate_method, evaluate_methods
from radepth_jax.evaluation.method import NOT_TIMED, Method, Step, one_by_one
from radepth_jax.evaluation.row import UnusablePredictionError
from radepth_jax.geometry.camera import resize_intrinsics
from radepth_jax.runs.protocol import Protocol


@pytest.fixture(scope="module")
def source(street_dir):
    return EvaluationSource(open_dataset("street/tiny", street_dir), "test")


def times_the_truth(factors, *, scalings=("none",), seconds=NOT_TIMED, **options):
    """A method whose depth of each image is the truth times the image's factor."""

    def depth_of(image, sample):
        return np.where(sample["depth"] > 0, sample["depth"], 70) * factors[image], seconds

    run = one_by_one(depth_of, protocol=Protocol(max_depth=1e4), scalings=scalings)
    return Method("mine", scalings, lambda: [Step("as given", run)], **options)


def test_all_methods_show_what_the_first_is_worst_at(source):
    methods = [
        times_the_truth(factors, pictured=pictured)
        for factors, pictured in (
            ((1.1, 1.1, 1.4), True),
            ((1.9, 1.0, 1.0), True),
            ((9, 9, 9), False),
        )
    ]
    rows = evaluate_methods(methods, source, show=[1], show_worst=1)
    assert [set(row.depths) for row in rows] == [{1, 2}, {1, 2}, set()]
    for row, factors in zip(rows, ((1.1, 1.1, 1.4), (1.9, 1, 1), (9, 9, 9)), strict=True):
        np.testing.assert_allclose(row.per_image["abs_rel"], np.array(factors) - 1, rtol=1e-4)
        assert row.names == [source.name(i) for i in range(3)]
    h, w = source[2]["depth_size"]
    assert rows[0].depths[2].shape == (h, w)


def test_every_scaling_is_any_methods(source):
    """Also the ground's, which the commands offer for checkpoints alone."""
    method = times_the_truth((0.5, 0.5, 0.5), scalings=("median", "ground", "as it is"))
    median, ground, as_it_is = evaluate_method(method, source)
    assert [r.scaling for r in (median, ground, as_it_is)] == ["median", "ground", "as it is"]
    np.testing.assert_allclose(median.per_image["scale"], 2, rtol=1e-5)
    np.testing.assert_allclose(as_it_is.per_image["scale"], 1)
    for i, scale in enumerate(ground.per_image["scale"]):
        sample = source[i]
        K = resize_intrinsics(sample["intrinsics"], sample["size"], sample["depth_size"])
        depth = np.where(sample["depth"] > 0, sample["depth"], 70) * np.float32(0.5)
        expected = ground_scale(depth, K, sample["depth_size"], camera_height=1.65)
        assert scale == pytest.approx(float(expected), rel=1e-4)


def test_the_first_batch_and_what_predicts_nothing_are_not_timed(source):
    (timed,) = evaluate_method(times_the_truth((1, 1, 1), seconds=0.25), source)
    (files,) = evaluate_method(times_the_truth((1, 1, 1)), source)
    assert timed.images_per_second == 4
    assert np.isnan(files.images_per_second)


def test_what_is_no_depth_has_no_row(source):
    with pytest.raises(UnusablePredictionError, match=r"mine at as given: .* NaN .* in 1 of 3"):
        evaluate_method(times_the_truth((1, np.nan, 1)), source)
