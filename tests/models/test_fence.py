import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.models import build, portable, presets
from radepth_jax.models.fence import fenced_relu


def test_values_and_derivative_are_those_of_relu():
    x = jnp.array([-2.0, -0.0, 0.0, 1e-30, 3.0])
    np.testing.assert_array_equal(fenced_relu(x), jax.nn.relu(x))
    slopes = [jax.grad(lambda x, f=f: jnp.sum(2 * f(x)))(x) for f in (fenced_relu, jax.nn.relu)]
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
def test_on_a_cpu_kernels_do_not_grow_with_depth():
    assert largest_kernel(fenced_relu, 8) == largest_kernel(fenced_relu, 3)
    assert largest_kernel(jax.nn.relu, 8) > largest_kernel(fenced_relu, 8)


def test_elsewhere_it_is_part_of_the_program_around_it():
    lower = jax.jit(fenced_relu).trace(jnp.ones(3)).lower
    assert "inlineable" in lower(lowering_platforms=("cpu",)).as_text()
    assert "inlineable" not in lower(lowering_platforms=("cuda",)).as_text()


def test_exports_have_none():
    depth = build(presets.tiny()).depth
    images = jnp.zeros((1, 32, 64, 3))
    variables = jax.eval_shape(depth.init, jax.random.key(0), images)
    for network, there in ((depth, True), (portable(depth), False)):
        text = jax.jit(network.apply).lower(variables, images).as_text()
        assert ("inlineable" in text) == there
