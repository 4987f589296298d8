"""Colour operations against values worked out by hand from their definitions, and colorsys."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.views import jitter

IMAGE = jnp.array(np.random.default_rng(0).random((5, 6, 3)), jnp.float32)
LUMA = np.array([0.2989, 0.587, 0.114])


def test_brightness_scales_and_clips():
    np.testing.assert_allclose(
        jitter.adjust_brightness(IMAGE, 1.2), np.clip(1.2 * np.asarray(IMAGE), 0, 1), rtol=1e-6
    )


def test_contrast_blends_with_the_mean_grey_of_each_image():
    pair = jnp.stack([IMAGE, IMAGE**2])
    for image, got in zip(np.asarray(pair), jitter.adjust_contrast(pair, 0.8), strict=True):
        expected = 0.8 * image + 0.2 * (image @ LUMA).mean()
        np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_saturation_blends_with_grey():
    image = np.asarray(IMAGE)
    expected = np.clip(1.2 * image - 0.2 * (image @ LUMA)[..., None], 0, 1)
    np.testing.assert_allclose(jitter.adjust_saturation(IMAGE, 1.2), expected, atol=1e-6)


channel = st.floats(0, 1, width=32)


@given(r=channel, g=channel, b=channel, shift=st.floats(-0.5, 0.5, width=32))
def test_hue_is_turned_as_in_colorsys(r, g, b, shift):
    h, s, v = colorsys.rgb_to_hsv(r, g, b)
    expected = colorsys.hsv_to_rgb((h + shift) % 1, s, v)
    got = jitter.adjust_hue(jnp.array([[[r, g, b]]], jnp.float32), jnp.float32(shift))
    np.testing.assert_allclose(got[0, 0], expected, atol=1e-5)


def test_all_images_get_one_draw():
    pair = jnp.stack([IMAGE, IMAGE])
    jittered = jitter.colour_jitter(
        jax.random.key(3), pair, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1
    )
    np.testing.assert_array_equal(jittered[0], jittered[1])
    assert np.abs(jittered - pair).max() > 0.01


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2), (2, 3, 1, 0)])
def test_operations_are_applied_in_the_given_order(order):
    factors = jnp.array([1.2, 0.8, 1.2, 0.1])
    expected = IMAGE
    for i in order:
        name = ("brightness", "contrast", "saturation", "hue")[i]
        expected = getattr(jitter, f"adjust_{name}")(expected, factors[i])
    got = jax.jit(jitter.adjust)(IMAGE, factors, jnp.array(order))
    np.testing.assert_allclose(got, expected, atol=1e-5)
