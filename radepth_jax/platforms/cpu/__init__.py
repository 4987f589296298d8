"""What a CPU needs: other forms of the networks' operations, and settings of the allocator."""

from radepth_jax.platforms.cpu.convolution import convolve
from radepth_jax.platforms.cpu.norm import normalise
from radepth_jax.platforms.cpu.relu import uninlined_relu
from radepth_jax.platforms.operations import Operations

OPERATIONS = Operations(conv=convolve, relu=uninlined_relu, normalise=normalise)
"""The values of `PLAIN`, for reverse-mode differentiation alone."""
