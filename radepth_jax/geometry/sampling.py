"""Bilinear sampling at pixel coordinates, and view synthesis with it."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.geometry import camera


def sample(
    image: Float[Array, "H W C"], coordinates: Float[Array, "... 2"], *, size: Any = None
) -> Float[Array, "... C"]:
    """Bilinear samples; outside the image, the value at the nearest border point.

    Gradients flow to `coordinates` only. The image is taken as constant: its gradient would be a
    scatter, the slowest operation of the whole training step, and nothing asks for it.

    Args:
      image: [H, W, C].
      coordinates: [..., 2] pixel coordinates (u, v).
      size: (h, w) of the valid top-left part of `image`, static or traced; all of it by default.

    Returns:
      [..., C] samples.
    """
    height, width, channels = image.shape
    rows, columns = (height, width) if size is None else (size[0], size[1])
    flat = jax.lax.stop_gradient(image).reshape(height * width, channels)

    u = jnp.clip(coordinates[..., 0], 0, columns - 1)
    v = jnp.clip(coordinates[..., 1], 0, rows - 1)
    # The corner is held one pixel inside, so that its right and lower neighbours exist; on the
    # last column the weight is then 1 instead of 0, which is the same value.
    left = jnp.clip(jnp.floor(u), 0, jnp.maximum(columns - 2, 0))
    top = jnp.clip(jnp.floor(v), 0, jnp.maximum(rows - 2, 0))
    right_weight = (u - left)[..., None]
    bottom_weight = (v - top)[..., None]
    corner = top.astype(jnp.int32) * width + left.astype(jnp.int32)
    step_right = min(1, width - 1)
    step_down = width * min(1, height - 1)

    def at(index: Array) -> Array:
        return jnp.take(flat, index, axis=0, mode="clip")

    upper_left, upper_right = at(corner), at(corner + step_right)
    lower_left, lower_right = at(corner + step_down), at(corner + step_down + step_right)
    upper = upper_left + right_weight * (upper_right - upper_left)
    lower = lower_left + right_weight * (lower_right - lower_left)
    return upper + bottom_weight * (lower - upper)


def warp(
    source_image: Float[Array, "H W C"],
    depth: Float[Array, "H W 1"],
    intrinsics: Float[Array, "3 3"],
    source_T_target: Float[Array, "4 4"],
    *,
    size: Any = None,
) -> Float[Array, "H W C"]:
    """The target view, rebuilt from a source image (Zhou et al., CVPR 2017, equation 2).

    Args:
      source_image: [H, W, C].
      depth: [H, W, 1] of the target view.
      intrinsics: [3, 3], of both views.
      source_T_target: [4, 4].
      size: (h, w) of the valid top-left part of the source image; all of it by default.

    Returns:
      [H, W, C] the source's colours at each target pixel; differentiable in depth, intrinsics and
      transform, not in the source image.
    """
    points = camera.transform_points(source_T_target, camera.back_project(depth, intrinsics))
    return sample(source_image, camera.project(points, intrinsics), size=size)
