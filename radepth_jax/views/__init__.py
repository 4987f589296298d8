"""Arbitrary-scale augmentation on the device: native frames to low, middle and high views."""

from radepth_jax.views.augment import network_image
from radepth_jax.views.make import make_views
from radepth_jax.views.options import ViewOptions
from radepth_jax.views.view import View

__all__ = ["View", "ViewOptions", "make_views", "network_image"]
