"""Metric scale without ground truth, from the camera's height over the estimated ground plane."""

import jax

from radepth_jax.geometry.ground import ground_height


def ground_scale(
    depth: jax.Array, intrinsics: jax.Array, size: jax.Array, *, camera_height: float
) -> jax.Array:
    """Metres per unit of `depth` [], from the known camera height. NaN if no ground is seen.

    Args:
        depth: [H, W] in any unit.
        intrinsics: [3, 3] in this map's pixels.
        size: int32 [2], the true (h, w) inside the canvas.
        camera_height: in metres.
    """
    return camera_height / ground_height(depth, intrinsics, size)[0]
