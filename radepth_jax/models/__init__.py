"""The networks: pure Linen modules, built by name from a configuration."""

from radepth_jax.models.build import Networks, build
from radepth_jax.models.contract import check_own_networks
from radepth_jax.models.policy import Policy
from radepth_jax.models.variables import (
    Variables,
    init_network,
    init_variables,
    network_shapes,
    variable_shapes,
)

__all__ = [
    "Networks",
    "Policy",
    "Variables",
    "build",
    "check_own_networks",
    "init_network",
    "init_variables",
    "network_shapes",
    "variable_shapes",
]
