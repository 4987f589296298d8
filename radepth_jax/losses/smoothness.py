"""Edge-aware smoothness of disparity (Godard et al., CVPR 2017, equation 3)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.losses.region import Region, masked_mean


def smoothness(
    disparity: Float[Array, "H W 1"],
    image: Float[Array, "H W 3"],
    *,
    region: Region | None = None,
) -> Float[Array, ""]:
    """Mean gradient of mean-normalised disparity, less where the image has edges.

    `mean |d_x d*| exp(-|d_x I|) + mean |d_y d*| exp(-|d_y I|)` with `d* = d / mean(d)`, which keeps
    the loss from shrinking disparity (Wang et al., CVPR 2018).

    Args:
      disparity: [H, W, 1].
      image: [H, W, 3] of the same view.
      region: the only pixels that count; all by default.

    Returns:
      The loss, a scalar.
    """
    inside = None if region is None else region.mask(disparity.shape[:2])[..., None]
    normalised = disparity / (masked_mean(disparity, inside) + 1e-7)
    total = jnp.zeros(())
    for axis in (0, 1):
        edges = jnp.mean(jnp.abs(jnp.diff(image, axis=axis)), axis=-1, keepdims=True)
        slopes = jnp.abs(jnp.diff(normalised, axis=axis)) * jnp.exp(-edges)
        # A difference counts where both of its pixels do.
        both = None
        if inside is not None:
            both = inside[1:] & inside[:-1] if axis == 0 else inside[:, 1:] & inside[:, :-1]
        total += masked_mean(slopes, both)
    return total
