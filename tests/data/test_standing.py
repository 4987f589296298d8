import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from radepth_jax.data.folder import THUMBNAIL
from radepth_jax.data.standing import stands

WIDTH, HEIGHT = THUMBNAIL


def view(right: float = 0.0, down: float = 0.0, zoom: float = 1.0) -> np.ndarray:
    """A thumbnail of one wide picture, from another place."""
    noise = np.random.default_rng(3).uniform(0, 255, (3 * HEIGHT, 3 * WIDTH))
    wide = ndimage.gaussian_filter(noise, 1.5)
    wide = (wide - wide.mean()) / wide.std() * 40 + 120
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    y = (y - HEIGHT / 2) / zoom + 1.5 * HEIGHT + down
    x = (x - WIDTH / 2) / zoom + 1.5 * WIDTH + right
    return ndimage.map_coordinates(wide, (y, x), order=3)


@given(st.floats(-3, 3), st.floats(-3, 3))
def test_a_camera_that_turns_does_not_stand(right, down):
    if np.hypot(right, down) > 0.2:
        assert not stands(view(), view(right, down))


@pytest.mark.parametrize("zoom", [1.02, 1.1])
def test_a_camera_that_moves_ahead_does_not_stand(zoom):
    assert not stands(view(), view(zoom=zoom))


@given(st.integers(0, WIDTH - 14), st.integers(0, HEIGHT - 10), st.integers(0, 1000))
def test_it_stands_whatever_passes_and_however_the_light_changes(left, top, seed):
    noise = np.random.default_rng(seed).normal(0, 0.1, (HEIGHT, WIDTH))
    now = view() + noise + 12
    now[top : top + 10, left : left + 14] = 10
    assert stands(view(), now)


def test_nothing_is_said_of_a_picture_without_structure():
    plain = np.full((HEIGHT, WIDTH), 80.0)
    assert not stands(plain, plain + 1)
