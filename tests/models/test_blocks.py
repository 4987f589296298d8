"""Resampling and padding against NumPy and PyTorch's printed values."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.models.blocks import (
    ConvElu,
    UpConvElu,
    reflect_pad,
    upsample_bilinear,
    upsample_nearest,
)


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_bilinear_keeps_the_corners():
    x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, :, :, None]
    # torch.nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True), from its manual.
    expected = [
        [1.0000, 1.3333, 1.6667, 2.0000],
        [1.6667, 2.0000, 2.3333, 2.6667],
        [2.3333, 2.6667, 3.0000, 3.3333],
        [3.0000, 3.3333, 3.6667, 4.0000],
    ]
    np.testing.assert_allclose(upsample_bilinear(x, (4, 4))[0, :, :, 0], expected, atol=1e-4)


@given(h=st.integers(1, 6), w=st.integers(1, 6), new_h=st.integers(1, 12), new_w=st.integers(1, 12))
def test_bilinear_is_linear_interpolation_between_end_points(h, w, new_h, new_w):
    x = image(1, h, w, 1)
    rows = np.linspace(0, h - 1, new_h)
    columns = np.linspace(0, w - 1, new_w)
    by_row = np.stack([np.interp(rows, np.arange(h), x[0, :, i, 0]) for i in range(w)], axis=1)
    expected = np.stack([np.interp(columns, np.arange(w), row) for row in by_row])
    np.testing.assert_allclose(
        upsample_bilinear(x, (new_h, new_w))[0, :, :, 0], expected, atol=1e-5
    )


def test_nearest_repeats_pixels():
    x = image(2, 3, 4, 5)
    expected = x.repeat(4, axis=1).repeat(4, axis=2)
    np.testing.assert_array_equal(upsample_nearest(x, 4), expected)


@pytest.mark.parametrize("size", [(2, 2), (2, 5), (4, 3)])
def test_reflection_padding(size):
    x = image(2, *size, 3)
    expected = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(reflect_pad(x), expected)


@given(h=st.integers(1, 5), w=st.integers(1, 5), seed=st.integers(0, 9))
def test_a_convolution_of_repeated_pixels_needs_not_repeat_them(h, w, seed):
    images, variables = drawn(seed, h, w, channels=4)
    plain = ConvElu(3).apply(variables, upsample_nearest(images, 2))
    found = UpConvElu(3).apply(variables, images)
    assert found.shape == plain.shape == (2, 2 * h, 2 * w, 3)
    np.testing.assert_allclose(found, plain, atol=1e-5)


def test_its_derivative_is_the_same():
    images, variables = drawn(0, 3, 4, channels=4)

    def loss(layer, variables, images):
        return jnp.sum(jnp.sin(layer.apply(variables, images)))

    def repeated(variables, images):
        return loss(ConvElu(3), variables, upsample_nearest(images, 2))

    found = jax.grad(partial(loss, UpConvElu(3)), (0, 1))(variables, images)
    expected = jax.grad(repeated, (0, 1))(variables, images)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), found, expected)


def drawn(seed, h, w, channels):
    """Images [2, h, w, channels], and the variables of a block with 3 features."""
    images = jax.random.normal(jax.random.key(seed), (2, h, w, channels))
    return images, UpConvElu(3).init(jax.random.key(seed + 1), images)
