"""The networks: pure Linen modules, built by name from a configuration."""

from radepth_jax.models.build import (
    Networks,
    Variables,
    build,
    init_network,
    init_variables,
    variable_shapes,
    without_fences,
)

__all__ = [
    "Networks",
    "Variables",
    "build",
    "init_network",
    "init_variables",
    "variable_shapes",
    "without_fences",
]
