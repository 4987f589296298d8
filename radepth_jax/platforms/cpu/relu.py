"""A ReLU that XLA's CPU backend does not fuse across.

That backend copies elementwise producers into the kernel of every consumer. In a residual network a
block's result is a sum with all results before it, so the kernels grow with the depth: up to 320
operations in HRNet-18, three times the compile time and 1.5 times the run time. An optimisation
barrier does not help, because the backend removes it before it fuses. A call that may not be
inlined does (experiments/cpu_notes.md).
"""

import jax
import jax.numpy as jnp
from jax.experimental.xla_metadata import set_xla_metadata
from jaxtyping import Array, Float


@jax.custom_vjp
def uninlined_relu(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """max(x, 0) as a separate call. Its derivative is a separate call, too."""
    with set_xla_metadata(inlineable="false"):
        return _relu(x)


def _forward(x: Array) -> tuple[Array, Array]:
    y = uninlined_relu(x)
    return y, y


def _backward(y: Array, cotangent: Array) -> tuple[Array]:
    with set_xla_metadata(inlineable="false"):
        return (_relu_derivative(y, cotangent),)


uninlined_relu.defvjp(_forward, _backward)


@jax.jit
def _relu(x: Array) -> Array:
    return jax.lax.max(x, jnp.zeros_like(x))


@jax.jit
def _relu_derivative(y: Array, cotangent: Array) -> Array:
    return jax.lax.select(y > 0, cotangent, jnp.zeros_like(cotangent))
