"""Initialisers that draw from a JAX key or from a NumPy generator."""

import math
from dataclasses import dataclass
from typing import Any

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
