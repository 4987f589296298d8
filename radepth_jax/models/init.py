"""Initialisers, and initial variables without compiling a network.

Linen's `init` of HRNet compiles a random generator for each of its hundreds of kernels, which
takes a minute. `draw_variables` only traces the network, to learn its leaves, and draws them in
NumPy from the same distributions.
"""

import math
import zlib
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np


@dataclass(frozen=True)
class HeNormal:
    """Normal with variance 2 / fan_out (He et al., Delving Deep into Rectifiers, ICCV 2015)."""

    def spread(self, shape: tuple[int, ...]) -> float:
        """Standard deviation for a kernel of `shape` [h, w, in, out]."""
        return math.sqrt(2.0 / (math.prod(shape[:-2]) * shape[-1]))

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """A Linen initialiser."""
        return self.spread(shape) * jax.random.normal(key, shape, dtype)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """The same distribution, from a NumPy generator."""
        return np.float32(self.spread(shape)) * rng.standard_normal(shape, np.float32)


@dataclass(frozen=True)
class UniformFanIn:
    """Uniform in +-1/sqrt(fan_in): PyTorch's default for a convolution's kernel and bias."""

    fan_in: int

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """A Linen initialiser."""
        bound = 1.0 / math.sqrt(self.fan_in)
        return jax.random.uniform(key, shape, dtype, -bound, bound)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """The same distribution, from a NumPy generator."""
        bound = np.float32(1.0 / math.sqrt(self.fan_in))
        return bound * (2.0 * rng.random(shape, np.float32) - 1.0)


@dataclass(frozen=True)
class Constant:
    """One value."""

    value: float

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        """A Linen initialiser."""
        del key
        return jnp.full(shape, self.value, dtype)

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """The same value."""
        del rng
        return np.full(shape, self.value, np.float32)


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

    with nn.intercept_methods(record):
        leaves = jax.eval_shape(network.init, key, images)

    seed = np.asarray(jax.random.key_data(key))

    def draw(path, leaf):
        names = tuple(part.key for part in path)
        constant = Constant(1.0 if names[-1] in ("scale", "var") else 0.0)
        initializer = initializers.get(names[1:], constant)
        rng = np.random.default_rng([*seed, zlib.crc32("/".join(names).encode())])
        return jnp.asarray(initializer.draw(rng, leaf.shape))

    return jax.tree_util.tree_map_with_path(draw, leaves)
