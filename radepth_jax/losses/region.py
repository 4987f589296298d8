"""The part of a canvas a loss looks at: the canvas's size is static, the region may be traced."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool


class Region(NamedTuple):
    """A rectangle of pixels, `[top, top + height) x [left, left + width)`; ints, static or traced.

    At least two pixels wide and high, since SSIM reflects at its borders.
    """

    top: Any
    left: Any
    height: Any
    width: Any

    def mask(self, size: Sequence[int]) -> Bool[Array, "H W"]:
        """Which pixels of a canvas of `size` (h, w) are inside."""
        rows, columns = jnp.arange(size[0]), jnp.arange(size[1])
        inside_rows = (rows >= self.top) & (rows < self.top + self.height)
        inside_columns = (columns >= self.left) & (columns < self.left + self.width)
        return inside_rows[:, None] & inside_columns[None, :]


def masked_mean(values: Array, mask: Array | None) -> Array:
    """Mean of `values` where `mask` (same shape) is set, 0 where it is nowhere; None is all."""
    if mask is None:
        return jnp.mean(values)
    total = jnp.sum(jnp.where(mask, values, 0))
    return total / jnp.maximum(jnp.sum(mask), 1)
