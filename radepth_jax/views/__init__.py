"""Arbitrary-scale augmentation (AS-Aug) on the device: native frames to low, middle, high views."""

from radepth_jax.views.augment import AUGMENTATIONS, check_augmentations, network_images
from radepth_jax.views.make import make_views
from radepth_jax.views.options import ViewOptions
from radepth_jax.views.view import View, Views

__all__ = [
    "AUGMENTATIONS",
    "View",
    "ViewOptions",
    "Views",
    "check_augmentations",
    "make_views",
    "network_images",
]
