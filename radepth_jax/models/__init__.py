"""The networks: pure Linen modules, built by name from a configuration."""

from radepth_jax.models.build import (
    Networks,
    Variables,
    build,
    init_network,
    init_variables,
    portable,
    variable_shapes,
)

__all__ = [
    "Networks",
    "Variables",
    "build",
    "init_network",
    "init_variables",
    "portable",
    "variable_shapes",
]
