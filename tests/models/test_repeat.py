"""Modules traced once: the same numbers as traced each by itself."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.models.blocks import BasicBlock, residual_layers
from radepth_jax.models.init import draw_variables
from radepth_jax.models.repeat import repeat

NAMES = ("first", "second", "third")


class Chain(nn.Module):
    together: bool
    make: Any

    @nn.compact
    def __call__(self, x):
        if self.together:
            return repeat(self, NAMES, self.make, x)
        for name in NAMES:
            x = self.make(name=name)(x)
        return x


@pytest.mark.parametrize("train", [True, False])
def test_values_gradients_and_statistics_are_the_same(train):
    images = jnp.array(np.random.default_rng(0).random((2, 8, 8, 4)), jnp.float32)
    layers = residual_layers(train=train, groups=2, axis_name=None, dtype=jnp.float32)
    mutable = ["batch_stats"] if train else []
    make = partial(BasicBlock, 4, layers)
    shape = jax.ShapeDtypeStruct(images.shape, images.dtype)

    def run(together):
        network = Chain(together, make)
        variables = draw_variables(network, jax.random.key(0), shape)

        @jax.jit
        def run(params):
            def loss(params):
                y, updates = network.apply(variables | {"params": params}, images, mutable=mutable)
                return jnp.sum(jnp.sin(y)), (y, updates)

            return jax.value_and_grad(loss, has_aux=True)(params)

        return run(variables["params"])

    expected, found = run(False), run(True)
    assert jax.tree.structure(expected) == jax.tree.structure(found)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_a_module_is_traced_once():
    traced = []

    class Block(nn.Module):
        @nn.compact
        def __call__(self, x):
            traced.append(self.name)
            return nn.Dense(3)(x)

    network = Chain(True, Block)
    x = jnp.ones((2, 3))
    variables = jax.eval_shape(network.init, jax.random.key(0), x)
    traced.clear()
    gradient = jax.grad(lambda variables: jnp.sum(network.apply(variables, x)))
    jax.jit(gradient).lower(variables)
    assert len(traced) == 1
