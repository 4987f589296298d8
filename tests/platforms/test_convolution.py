"""The CPU's convolution against the library's: values, derivatives, and what is left to it."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.platforms.cpu.convolution import convolve


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


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


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_dilation": 2},
        {"feature_group_count": 2},
        {"padding": "SAME"},
        {"padding": ((1, 0), (0, 2))},
        {"kernel_size": (1, 1), "padding": 1},
    ],
)
def test_any_convolution_of_linen_is_the_library_s(options):
    x = image(2, 6, 8, 4)
    options = {"kernel_size": (3, 3)} | options
    plain = nn.Conv(6, **options)
    ours = nn.Conv(6, **options, conv_general_dilated=convolve)
    variables = plain.init(jax.random.key(0), jnp.asarray(x))
    np.testing.assert_allclose(ours.apply(variables, x), plain.apply(variables, x), atol=1e-5)


def test_without_padding_it_computes_a_row_more():
    x, weights = jnp.zeros((1, 8, 10, 4)), jnp.zeros((3, 3, 4, 16))
    program = jax.jit(lambda x, weights: convolve(x, weights, (1, 1), ((0, 0),) * 2))
    assert "tensor<1x7x8x16xf32>" in program.lower(x, weights).as_text()
