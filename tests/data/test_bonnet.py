import numpy as np
import pytest
from scipy import ndimage

from radepth_jax.data.bonnet import StaticEdges


def drive(frames: int, paint=lambda grey, i: None) -> float | None:
    """Where a bonnet is found in thumbnails of a scene that flows by."""
    noise = np.random.default_rng(0).normal(0, 1, (36, 64 + 3 * frames))
    wide = ndimage.gaussian_filter(noise, 1.5)
    wide = wide / wide.std() * 40 + 120
    edges = StaticEdges()
    for i in range(frames):
        grey = wide[:, 3 * i : 3 * i + 64].copy()
        paint(grey, i)
        edges.add(grey)
    return edges.bonnet()


def bonnet(grey, i):
    """A dark arc, highest in the middle, that reflects a light."""
    y, x = np.mgrid[:36, :64]
    below = y > 29 + ((x - 32) / 20) ** 2
    grey[below] = 20 + 5 * np.sin(i)


def test_a_bonnet_is_found_at_its_highest_row():
    assert drive(60, bonnet) == pytest.approx(29.5 / 36, abs=1.5 / 36)


def test_a_black_bar_is_found():
    def bar(grey, i):
        grey[32:] = 0

    assert drive(60, bar) == pytest.approx(31.5 / 36, abs=1 / 36)


def test_a_road_alone_has_none():
    def lane(grey, i):
        """Two lines that run to the middle of the horizon, and stay."""
        y, x = np.mgrid[:36, :64]
        grey[(abs(abs(x - 32) - (y - 18)) < 1.5) & (y > 18)] = 250

    assert drive(60) is None
    assert drive(60, lane) is None


def test_a_few_frames_say_nothing():
    assert drive(20, bonnet) is None
