"""Arbitrary-scale augmentation (AS-Aug) on the device: native frames to low, middle, high views."""

from radepth_jax.views.augment import network_images
from radepth_jax.views.make import make_views
from radepth_jax.views.options import ViewOptions
from radepth_jax.views.view import View, Views

__all__ = ["View", "ViewOptions", "Views", "make_views", "network_images"]
