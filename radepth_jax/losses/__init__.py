"""Losses: elementwise maps, reduced once, in one objective that names its terms."""

from radepth_jax.losses.objective import LossOptions, objective

__all__ = ["LossOptions", "objective"]
