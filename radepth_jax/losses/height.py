"""Depth in metres: its common factor follows the known height of the camera over the road.

The images leave one factor of the depth open. The depth itself shows the ground, so the camera's
height over it tells that factor (GroCo, Cecille et al., ECCV 2024; DNet does it after training).
Depth should be near metres from the start, because a large factor is learned at the cost of the
depth.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.geometry.ground import ground_height

_LEAST_GROUND = 0.01  # If fewer of the pixels are ground, the height is not known.
_ROUND = 0.1  # Below this, the error is rounded off.


def height_error(
    depth: Float[Array, "H W 1"], intrinsics: Float[Array, "3 3"], camera_height: float
) -> Float[Array, ""]:
    """How far the camera's height over the ground of a depth map is from the known one.

    It is |log(height / known height)|, rounded off at 0. Only the common factor of the depths gets
    a gradient, so the shape of the scene is not bent to fit.

    Args:
      depth: [H, W, 1], positive.
      intrinsics: [3, 3] in its pixels.
      camera_height: in metres, the known one.

    Returns:
      [] error; 0 where hardly any ground is seen.
    """
    constant, K = jax.lax.stop_gradient((depth[..., 0], intrinsics))
    height, ground = ground_height(constant, K, jnp.array(constant.shape, jnp.int32))
    seen = ground > _LEAST_GROUND * constant.size
    factor = jnp.mean(jnp.log(depth))
    ratio = jnp.log(jnp.where(seen, height, camera_height) / camera_height)
    ratio += factor - jax.lax.stop_gradient(factor)
    return jnp.where(seen, jnp.sqrt(jnp.square(ratio) + _ROUND**2) - _ROUND, 0.0)
