"""Varieties: all are in their ranges, and the camera is the one that they say."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from radepth_jax.street import RANGES
from radepth_jax.street.variety import OPEN_ROAD, draw_variety

seeds = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2000))


@pytest.mark.parametrize("kind", RANGES)
@hypothesis.given(seeds)
def test_variety_is_in_range(kind, seed):
    variety = draw_variety(seed, RANGES[kind])
    for name, wanted in RANGES[kind].items():
        value = getattr(variety, name)
        if name == "speed" and not variety.built:
            value /= OPEN_ROAD
        if isinstance(wanted, tuple):
            assert wanted[0] <= value <= wanted[1], name
        else:
            assert value in wanted if isinstance(wanted, dict) else value == wanted, name


def test_every_kind_of_place_weather_and_season_is_drawn():
    ranges = RANGES["varied"]
    drawn = [draw_variety((0, 0, i), ranges) for i in range(120)]
    for name in ("place", "weather", "season"):
        assert {getattr(v, name) for v in drawn} == set(ranges[name])
    assert np.ptp([v.field_of_view for v in drawn]) > 60
    assert np.ptp([v.height for v in drawn]) > 0.8
    assert np.ptp([v.speed for v in drawn]) > 1.2


@hypothesis.given(seeds)
def test_pixels_are_square_and_the_view_is_as_wide_as_it_says(seed):
    variety = draw_variety(seed, RANGES["varied"])
    K = variety.intrinsics((192, 512)).astype(np.float64)
    assert K[0, 0] == pytest.approx(K[1, 1])
    assert np.degrees(2 * np.arctan(256 / K[0, 0])) == pytest.approx(variety.field_of_view)
    assert K[0, 2] == pytest.approx((0.5 + variety.across) * 512 - 0.5)
    assert K[1, 2] == pytest.approx((0.5 + variety.down) * 192 - 0.5)


def test_plain_intrinsics_are_kittis_in_shape():
    # KITTI (2011_09_26, camera 2, 1242x375): fx 721.5, fy 721.5, that is 0.58 W and 1.92 H.
    np.testing.assert_allclose(
        draw_variety((0, 0, 0), RANGES["plain"]).intrinsics((128, 384)),
        [[222.72, 0, 191.5], [0, 245.76, 63.5], [0, 0, 1]],
        rtol=1e-6,
    )
