import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.evaluation.curve import curves
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.row import Row


def row(model, resolution, error, **fields):
    return Row(model, resolution, dict.fromkeys(METRICS, error), images=3, **fields)


def test_the_published_curve():
    # RA-Depth on KITTI: He et al., ECCV 2022, table 2.
    published = {416: 0.111, 512: 0.101, 640: 0.096, 832: 0.095, 1024: 0.097}
    (curve,) = curves([row("RA-Depth", f"{w}x{w // 10 * 3}", e) for w, e in published.items()])
    assert curve.worst == 0.111
    assert curve.spread == pytest.approx(0.111 / 0.095)
    assert 0.097 < curve.area < 0.101
    assert curve.line().startswith("RA-Depth: AbsRel at worst 0.111, 1.17 times its best; 0.09")


@given(st.lists(st.integers(64, 2048), min_size=2, max_size=6, unique=True), st.floats(0.01, 1))
def test_a_flat_curve_is_flat_whatever_the_resolutions(widths, error):
    (curve,) = curves([row("a", f"{width}x64", error) for width in widths])
    assert (curve.worst, curve.spread) == (error, 1)
    assert curve.area == pytest.approx(error)


def test_what_makes_no_curve_has_none():
    rows = [row("a", "64x32", 0.1), row("prior", "native", 0.4), row("b", "64x32", 0.1)]
    rows += [row("b", "96x32", np.nan)]
    assert curves(rows) == []
    two = [row("a", "64x32", 0.1, scaling=s) for s in ("median", "ground")]
    two += [row("a", "96x32", 0.2, scaling=s) for s in ("median", "ground")]
    assert [curve.label for curve in curves(two)] == ["a", "a (ground)"]
