"""How high a camera is over the ground, estimated from its depth map alone.

Xue et al., "Toward Hierarchical Self-Supervised Monocular Absolute Depth Estimation for Autonomous
Driving Applications" (DNet), IROS 2020, section III-C, dense geometrical constraints.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from radepth_jax.geometry.camera import back_project
from radepth_jax.geometry.median import masked_median


def ground_height(
    depth: Float[Array, "H W"],
    intrinsics: Float[Array, "3 3"],
    size: Int[Array, "2"],
    *,
    max_angle: float = 5.0,
) -> tuple[Float[Array, ""], Int[Array, ""]]:
    """The height of the camera over the ground that a depth map shows.

    Every pixel whose surface faces straight up is taken as ground. Each gives a height, which is
    its point's length along its normal, and the median counts. The camera must be level, up to
    `max_angle`.

    Args:
      depth: [H, W] in any unit. 0 or less means unknown.
      intrinsics: [3, 3] in this map's pixels.
      size: int32 [2], the true (h, w) inside the canvas.
      max_angle: the largest angle, in degrees, between the normal of a ground pixel and the
        camera's vertical.

    Returns:
      (height, ground). The height [] is in the unit of `depth`, and NaN if there is no ground.
      `ground` [] is the number of pixels that are ground.
    """
    rows, columns = (jnp.arange(side) for side in depth.shape)
    # A pixel needs all four neighbours. Rolling wraps around, so the border is left out.
    inner = ((rows > 0) & (rows < size[0] - 1))[:, None]
    inner &= ((columns > 0) & (columns < size[1] - 1))[None, :]
    known = depth > 0
    points = back_project(jnp.where(known, depth, 1.0)[..., None], intrinsics)

    steps = ((0, 1), (1, 0), (0, -1), (-1, 0))  # right, down, left, up
    around = []
    for step in steps:
        shift = (-step[0], -step[1])
        around.append(jnp.roll(points, shift, (0, 1)) - points)
        inner &= jnp.roll(known, shift, (0, 1))
    # On the ground, right x down points down, and so do the other three quarters.
    quarters = [_unit(jnp.cross(around[i], around[(i + 1) % 4])) for i in range(4)]
    normal = _unit(jnp.sum(jnp.stack(quarters), 0))
    height = jnp.sum(points * normal, axis=-1)
    upright = normal[..., 1] > jnp.cos(jnp.deg2rad(max_angle))
    ground = inner & known & upright & (height > 0)
    return masked_median(height, ground), ground.sum()


def _unit(vectors: Float[Array, "... 3"]) -> Float[Array, "... 3"]:
    """Vectors [..., 3] scaled to length 1. Zero stays zero."""
    squared = jnp.sum(vectors**2, axis=-1, keepdims=True)
    return vectors * jax.lax.rsqrt(jnp.maximum(squared, 1e-30))
