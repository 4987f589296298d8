"""Metrics against a plain NumPy version of the published protocol, written from its description."""

import jax
import numpy as np
import pytest
from published_protocol import numpy_metrics

from radepth_jax.errors import UserError
from radepth_jax.evaluation.metrics import METRICS, depth_metrics
from radepth_jax.runs.protocol import Protocol

compiled = jax.jit(depth_metrics, static_argnums=3)


def random_depths(seed, size=(61, 83), canvas=(64, 96)):
    """Sparse truth and a related prediction in a padded canvas."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(canvas, np.float32)
    truth[: size[0], : size[1]] = np.exp(rng.uniform(-1, 5, size)) * (rng.random(size) < 0.3)
    predicted = np.full(canvas, 7.0, np.float32)
    noise = np.exp(rng.normal(0, 0.3, size))
    predicted[: size[0], : size[1]] = np.maximum(truth[: size[0], : size[1]], 1) * 0.1 * noise
    return predicted.astype(np.float32), truth, np.array(size, np.int32)


@pytest.mark.parametrize("crop", ["none", "garg"])
@pytest.mark.parametrize("scaling", ["median", "none"])
@pytest.mark.parametrize("seed", range(4))
def test_metrics_equal_numpy(crop, scaling, seed):
    protocol = Protocol(crop=crop, scaling=scaling)
    predicted, truth, size = random_depths(seed)
    got = compiled(predicted, truth, size, protocol, None if scaling == "median" else 1.0)
    expected = numpy_metrics(predicted[: size[0], : size[1]], truth[: size[0], : size[1]], protocol)
    for name in METRICS:
        assert got[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-5), name


@pytest.mark.parametrize("h", [375, 370, 374, 376])
def test_gargs_crop_is_exact_on_kittis_sizes(h):
    truth = np.ones((376, 1242), np.float32)
    got = compiled(truth, truth, np.array([h, 1242], np.int32), Protocol(crop="garg"))
    rows = int(0.99189189 * h) - int(0.40810811 * h)
    assert got["pixels"] == rows * (int(0.96405229 * 1242) - int(0.03594771 * 1242))


def test_nyus_crop_is_its_own_rectangle():
    truth = np.zeros((480, 640), np.float32)
    truth[45, 41] = truth[470, 600] = 2  # its corners
    truth[44, 300] = truth[471, 300] = truth[200, 40] = truth[200, 601] = 5
    got = compiled(np.ones_like(truth), truth, np.array([480, 640]), Protocol(crop="nyu"))
    assert got["pixels"] == 2
    assert got["scale"] == 2


def test_a_perfect_prediction_up_to_scale():
    _, truth, size = random_depths(0)
    got = compiled(np.where(truth > 0, truth * 3, 1), truth, size, Protocol())
    assert got["abs_rel"] == pytest.approx(0, abs=1e-6)
    assert got["d1"] == 1
    assert got["scale"] == pytest.approx(1 / 3, rel=1e-6)


def test_no_valid_pixel_gives_nan_and_says_so():
    got = compiled(
        np.ones((4, 4), np.float32), np.zeros((4, 4), np.float32), np.array([4, 4]), Protocol()
    )
    assert got["pixels"] == 0
    assert np.isnan(got["abs_rel"])


def test_an_unknown_crop_is_named():
    with pytest.raises(UserError, match=r"crop: expected one of none, garg, nyu, got 'eigen'"):
        Protocol(crop="eigen")


def test_an_unknown_scaling_is_named_and_ground_stands_beside_median():
    with pytest.raises(UserError, match=r"scaling: expected one of median, ground, fixed, none"):
        Protocol(scaling="mean")
    assert Protocol(scaling="ground").scalings == ("median", "ground")
    assert Protocol(scaling="fixed").scalings == ("fixed",)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        *((np.nan, "not_finite"), (np.inf, "not_finite"), (-np.inf, "not_finite")),
        *((0, "not_positive"), (-3, "not_positive")),
    ],
)
@pytest.mark.parametrize("factor", [None, 1.0])
def test_a_prediction_that_is_no_depth_has_no_figure(value, kind, factor):
    """Where the truth says nothing it may be anything."""
    predicted, truth, size = random_depths(0)
    right = compiled(predicted, truth, size, Protocol(), factor)
    known = (truth > 1e-3) & (truth < 80)
    beside = compiled(np.where(known, predicted, value), truth, size, Protocol(), factor)
    assert all(beside[name] == right[name] for name in (*METRICS, "scale", "not_finite"))
    at = tuple(np.argwhere(known)[7])
    predicted[at] = value
    got = compiled(predicted, truth, size, Protocol(), factor)
    assert got[kind] == 1
    assert got["not_finite"] + got["not_positive"] == 1
    assert got["known"] == known.sum()
    assert all(np.isnan(got[name]) for name in METRICS)


def test_a_scale_that_is_not_known_gives_nan_in_every_metric():
    predicted, truth, size = random_depths(0)
    got = compiled(predicted, truth, size, Protocol(), np.float32("nan"))
    assert got["pixels"] == 0
    assert all(np.isnan(got[name]) for name in METRICS)
    assert np.isfinite(got["median_ratio"])
