"""The ReLU that is not inlined: values, derivative, and what XLA makes of it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.platforms.cpu.relu import uninlined_relu


def test_values_and_derivative_are_those_of_relu():
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0])
    np.testing.assert_array_equal(uninlined_relu(x), jax.nn.relu(x))
    slopes = [jax.grad(lambda x, f=f: jnp.sum(2 * f(x)))(x) for f in (uninlined_relu, jax.nn.relu)]
    np.testing.assert_array_equal(*slopes)


def largest_kernel(relu, blocks: int) -> int:
    """Operations of the largest fused kernel of so many residual blocks and their derivative."""

    def chain(x, weights):
        for weight in weights:
            x = relu(x + jnp.tanh(x @ weight) * 0.5)
        return jnp.sum(x**2)

    arguments = jnp.ones((64, 64)), jnp.ones((blocks, 64, 64))
    text = jax.jit(jax.grad(chain)).lower(*arguments).compile().as_text()
    bodies = re.findall(r"^%?fused_computation\S* .*?^}", text, re.MULTILINE | re.DOTALL)
    return max((body.count(" = ") for body in bodies), default=0)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="needs the CPU backend")
def test_kernels_do_not_grow_with_depth():
    assert largest_kernel(uninlined_relu, 8) == largest_kernel(uninlined_relu, 3)
    assert largest_kernel(jax.nn.relu, 8) > largest_kernel(uninlined_relu, 8)
