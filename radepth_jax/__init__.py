"""Self-supervised monocular depth that works at any resolution, in JAX."""

__version__ = "0.2.0.dev0"
