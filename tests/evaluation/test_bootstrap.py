import numpy as np
import pytest

from radepth_jax.evaluation.bootstrap import bootstrap_intervals


def test_intervals_of_a_normal_sample_are_the_textbooks():
    values = np.random.default_rng(0).normal(3.0, 2.0, (400, 1))
    low, high = bootstrap_intervals(values, level=0.95, resamples=4000)[:, 0]
    error = values.std() / np.sqrt(400)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.05)
    assert (high + low) / 2 == pytest.approx(values.mean(), abs=0.1 * error)


def test_intervals_are_seeded_and_grow_with_the_level():
    values = np.random.default_rng(1).random((20, 3))
    narrow, wide = (bootstrap_intervals(values, level=level) for level in (0.5, 0.99))
    assert (wide[0] < narrow[0]).all()
    assert (wide[1] > narrow[1]).all()
    np.testing.assert_array_equal(bootstrap_intervals(values, level=0.5), narrow)
    assert (bootstrap_intervals(values, level=0.5, seed=1) != narrow).any()


def test_one_image_has_no_spread():
    np.testing.assert_array_equal(bootstrap_intervals(np.array([[0.2, 0.9]])), [[0.2, 0.9]] * 2)
