import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.geometry.median import masked_median


@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=24), st.data())
def test_masked_median_equals_numpy(values, data):
    mask = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    padded = np.array(values + [0.0] * (24 - len(values)), np.float32)
    chosen = np.array(mask + [False] * (24 - len(values)))
    got = masked_median(padded, chosen)
    if chosen.any():
        assert got == pytest.approx(np.median(padded[chosen]), rel=1e-6, abs=1e-6)
    else:
        assert np.isnan(got)
