"""Initial variables of networks, without compiling them.

Linen's `init` of HRNet compiles a random generator for each of its hundreds of kernels, which
takes a minute. `draw_variables` only traces the network, to learn its leaves, and draws them in
NumPy from the same distributions.
"""

import zlib
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.models.build import Networks
from radepth_jax.models.depth import check_resolution
from radepth_jax.models.init import Constant

Variables = dict[str, dict[str, Any]]


def init_variables(networks: Networks, key: jax.Array, resolution: tuple[int, int]) -> Variables:
    """Draw initial variables: `{"depth": {"params", "batch_stats"}, "pose": {...}}`, float32.

    The networks are traced but not compiled.

    Args:
        networks: from `build`.
        key: typed PRNG key.
        resolution: (width, height) of the images the networks are meant for; checked against
            the depth network's stride. The variables do not depend on it.

    Raises:
        UserError: the resolution does not fit the depth network.
    """
    return {name: init_network(networks, name, key, resolution) for name in Networks._fields}


def init_network(
    networks: Networks, name: str, key: jax.Array, resolution: tuple[int, int]
) -> dict[str, Any]:
    """One network's part of `init_variables` ("depth" or "pose"), with the same key."""
    own_key = jax.random.split(key)[Networks._fields.index(name)]
    return draw_variables(getattr(networks, name), own_key, _inputs(networks, resolution)[name])


def variable_shapes(networks: Networks, resolution: tuple[int, int]) -> Variables:
    """As `init_variables`, but only shapes and types (`jax.ShapeDtypeStruct`)."""
    key = jax.random.key(0)
    return {
        name: jax.eval_shape(getattr(networks, name).init, key, images)
        for name, images in _inputs(networks, resolution).items()
    }


def _inputs(networks: Networks, resolution: tuple[int, int]) -> dict[str, jax.ShapeDtypeStruct]:
    """Shape and type of each network's input, for images of (width, height)."""
    check_resolution(resolution, networks.depth.stride)
    width, height = resolution
    return {
        name: jax.ShapeDtypeStruct((1, height, width, channels), jnp.float32)
        for name, channels in (("depth", 3), ("pose", 6))
    }


def draw_variables(
    network: nn.Module, key: jax.Array, images: jax.ShapeDtypeStruct
) -> dict[str, Any]:
    """Initial variables of a network whose layers use the initialisers of this module.

    Args:
        network: of convolutions and linear layers; its other leaves are BatchNorm's: `scale` and
            `var` start at 1, `bias` and `mean` at 0.
        key: typed PRNG key. Each leaf's draw depends on it, the leaf's path and its shape only.
        images: shape and type of an input.

    Returns:
        `{"params", "batch_stats"}` (the latter where the network has BatchNorm), float32.
    """
    initializers: dict[tuple[str, ...], Any] = {}

    def record(call, args, kwargs, context):
        if isinstance(context.module, nn.Conv | nn.Dense):
            path = context.module.path
            initializers[(*path, "kernel")] = context.module.kernel_init
            initializers[(*path, "bias")] = context.module.bias_init
        return call(*args, **kwargs)

    # Without `jit`, so that each of several equal blocks is seen.
    with nn.intercept_methods(record), jax.disable_jit():
        leaves = jax.eval_shape(network.init, key, images)

    seed = np.asarray(jax.random.key_data(key))

    def draw(path, leaf):
        names = tuple(part.key for part in path)
        constant = Constant(1.0 if names[-1] in ("scale", "var") else 0.0)
        initializer = initializers.get(names[1:], constant)
        rng = np.random.default_rng([*seed, zlib.crc32("/".join(names).encode())])
        return jnp.asarray(initializer.draw(rng, leaf.shape))

    return jax.tree_util.tree_map_with_path(draw, leaves)
