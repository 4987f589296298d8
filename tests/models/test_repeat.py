"""Loops over equal blocks and modules: the same numbers as one after the other."""

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.models.hrnet import HRNet
from radepth_jax.models.init import draw_variables

SIZES = {"width": 4, "branches": 3, "modules": (1, 2), "blocks": 2, "stem_width": 4}


def test_values_gradients_and_statistics_are_those_without_loops():
    images = jnp.array(np.random.default_rng(0).random((2, 32, 32, 3)), jnp.float32)
    shape = jax.ShapeDtypeStruct(images.shape, images.dtype)

    def train(scan):
        network = HRNet(**SIZES, bottlenecks=1, scan=scan)
        variables = draw_variables(network, jax.random.key(0), shape)

        @jax.jit
        def run(params):
            def loss(params):
                features, updates = network.apply(
                    variables | {"params": params},
                    images,
                    train=True,
                    groups=2,
                    mutable=["batch_stats"],
                )
                return sum(jnp.sum(jnp.sin(x)) for x in features), updates

            return jax.value_and_grad(loss, has_aux=True)(params)

        return run(variables["params"])

    plain, loops = train(False), train(True)
    assert jax.tree.structure(plain) == jax.tree.structure(loops)
    for expected, got in zip(jax.tree.leaves(plain), jax.tree.leaves(loops), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
