"""Resampling, padding and convolutions against NumPy, PyTorch's printed values and plain JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.models.blocks import reflect_pad, upsample_bilinear, upsample_nearest
from radepth_jax.models.convolve import convolve


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


@pytest.mark.parametrize(("kernel", "pad"), [(1, 0), (3, 1), (7, 3), (3, 0), (4, 0)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("features", [3, 16, 40, 64])
def test_convolution_and_derivative_are_the_library_s(kernel, pad, stride, features):
    x = image(2, 6, 8, 4)
    weights = image(kernel, kernel, 4, features, seed=1)
    padding = ((pad, pad),) * 2

    def library(x, weights):
        return jax.lax.conv_general_dilated(
            x, weights, (stride, stride), padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def ours(x, weights):
        return convolve(x, weights, (stride, stride), padding)

    found, back = jax.vjp(ours, x, weights)
    expected, expected_back = jax.vjp(library, x, weights)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    cotangent = image(*expected.shape, seed=2)
    for a, b in zip(back(cotangent), expected_back(cotangent), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
def test_without_padding_only_a_cpu_computes_a_row_more(platform):
    def program(**options):
        x, weights = jnp.zeros((1, 8, 10, 4)), jnp.zeros((3, 3, 4, 16))
        form = jax.jit(lambda x, weights: convolve(x, weights, (1, 1), ((0, 0),) * 2, **options))
        return form.trace(x, weights).lower(lowering_platforms=(platform,)).as_text()

    assert ("tensor<1x7x8x16xf32>" in program()) == (platform == "cpu")
    assert "tensor<1x7x8x16xf32>" not in program(portable=True)
