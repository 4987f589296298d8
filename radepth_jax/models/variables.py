"""Initial variables of networks, without compiling them.

Linen's `init` of HRNet compiles a random generator for each of its hundreds of kernels, which
takes a minute. `draw_variables` only traces the network, to learn its leaves, and draws the leaves
of the package's own initialisers in NumPy from the same distributions. Linen's `init` makes all
other leaves, such as those of a network from outside the package.
"""

import zlib
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.models.build import Networks
from radepth_jax.models.depth import check_resolution
from radepth_jax.models.init import Constant
from radepth_jax.models.norm import BatchNorm, Shift

Variables = dict[str, dict[str, Any]]

COLLECTIONS = ("params", "batch_stats")


def init_variables(networks: Networks, key: jax.Array, resolution: tuple[int, int]) -> Variables:
    """Draw initial variables: `{"depth": {"params", "batch_stats"}, "pose": {...}}`, float32.

    The networks are traced but not compiled.

    Args:
        networks: from `build`.
        key: typed PRNG key.
        resolution: (width, height) of the images that the networks are meant for. It is checked
            against the depth network's stride. The variables do not depend on it.

    Raises:
        UserError: The resolution does not fit the depth network, or a network has variables that
            a run cannot hold (see `draw_variables`).
    """
    return {name: init_network(networks, name, key, resolution) for name in Networks._fields}


def init_network(
    networks: Networks, name: str, key: jax.Array, resolution: tuple[int, int]
) -> dict[str, Any]:
    """One network's part of `init_variables` ("depth" or "pose"), with the same key."""
    own_key = jax.random.split(key)[Networks._fields.index(name)]
    return draw_variables(
        getattr(networks, name), own_key, network_inputs(networks, resolution)[name]
    )


def variable_shapes(networks: Networks, resolution: tuple[int, int]) -> Variables:
    """The shapes and types of `init_variables` (`jax.ShapeDtypeStruct`)."""
    return {name: network_shapes(networks, name, resolution) for name in Networks._fields}


def network_shapes(networks: Networks, name: str, resolution: tuple[int, int]) -> dict[str, Any]:
    """One network's part of `variable_shapes`."""
    return _trace(
        getattr(networks, name), jax.random.key(0), network_inputs(networks, resolution)[name]
    )


def network_inputs(
    networks: Networks, resolution: tuple[int, int]
) -> dict[str, jax.ShapeDtypeStruct]:
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
    """Initial variables of any network.

    Args:
        network: a network that is called with images.
        key: typed PRNG key. Each leaf's draw depends on it, the leaf's path and its shape only.
        images: the shape and type of an input.

    Returns:
        `{"params"}`, and `"batch_stats"` if the network has statistics, float32.

    Raises:
        UserError: The network has no parameters, or variables of another type or collection.
    """
    # Maps a leaf's path to its initialiser of `models.init` and the number of axes that this is
    # made for. The leaves of a lifted module (`nn.scan`) have one more, and are left to Linen.
    ours: dict[str, tuple[Any, int]] = {}

    def record(call, args, kwargs, context):
        module = context.module
        if isinstance(module, nn.Conv | nn.Dense):
            kernel = (module.kernel_init, 2 if isinstance(module, nn.Dense) else 4)
            leaves = {"params/kernel": kernel, "params/bias": (module.bias_init, 1)}
        elif isinstance(module, BatchNorm | Shift):
            zero, one = (Constant(0.0), 1), (Constant(1.0), 1)
            leaves = {"params/scale": one, "params/bias": zero}
            leaves |= {"batch_stats/mean": zero, "batch_stats/var": one}
        else:
            leaves = {}
        for name, (initializer, axes) in leaves.items():
            if hasattr(initializer, "draw"):
                collection, leaf = name.split("/")
                ours["/".join((collection, *module.path, leaf))] = (initializer, axes)
        return call(*args, **kwargs)

    # Without `jit`, so that each of several equal blocks is seen.
    with nn.intercept_methods(record), jax.disable_jit():
        shapes = _trace(network, key, images)
    leaves, structure = jax.tree_util.tree_flatten_with_path(shapes)
    drawn_here = [
        (name := _name(path)) in ours and leaf.ndim == ours[name][1] for path, leaf in leaves
    ]

    @jax.jit  # Before it compiles, it drops what the chosen leaves do not depend on.
    def others(key: jax.Array) -> list[jax.Array]:
        variables = _init(network, key, jnp.zeros(images.shape, images.dtype))
        values = jax.tree.leaves(variables)
        return [value for value, ours in zip(values, drawn_here, strict=True) if not ours]

    by_linen = iter([] if all(drawn_here) else others(key))
    seed = np.asarray(jax.random.key_data(key))

    def draw(name: str, shape: tuple[int, ...]) -> jax.Array:
        rng = np.random.default_rng([*seed, zlib.crc32(name.encode())])
        return jnp.asarray(ours[name][0].draw(rng, shape))

    return jax.tree.unflatten(
        structure,
        [
            draw(_name(path), leaf.shape) if here else next(by_linen)
            for (path, leaf), here in zip(leaves, drawn_here, strict=True)
        ],
    )


def _init(network: nn.Module, key: jax.Array, images: jax.Array) -> dict[str, Any]:
    """Linen's `init`, without the boxes that some modules put around their variables."""
    return nn.meta.unbox(network.init(key, images))


def _trace(network: nn.Module, key: jax.Array, images: jax.ShapeDtypeStruct) -> dict[str, Any]:
    """The shapes of a network's variables. A UserError if a run cannot hold them."""
    shapes = jax.eval_shape(partial(_init, network), key, images)
    name = type(network).__name__
    if "params" not in shapes:
        raise UserError(f"{name} has no parameters; expected a network that can be trained")
    for path, leaf in jax.tree_util.tree_leaves_with_path(shapes):
        if path[0].key not in COLLECTIONS:
            raise UserError(
                f"{name} has the variable {_name(path)}: a run holds the collections params and "
                "batch_stats alone; put what training changes without a gradient in batch_stats"
            )
        if leaf.dtype != jnp.float32:
            raise UserError(
                f"{name}'s variable {_name(path)} is {leaf.dtype}: expected float32, whatever type "
                "the network computes in"
            )
    return shapes


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
