"""Losses: elementwise maps, reduced once, as named terms of one objective."""

from radepth_jax.losses.filters import FILTERS
from radepth_jax.losses.focal import LearnedFocal
from radepth_jax.losses.objective import check_names, objective
from radepth_jax.losses.options import LossOptions
from radepth_jax.losses.scene import Scene
from radepth_jax.losses.terms import TERMS, Term

__all__ = [
    "FILTERS",
    "TERMS",
    "LearnedFocal",
    "LossOptions",
    "Scene",
    "Term",
    "check_names",
    "objective",
]
