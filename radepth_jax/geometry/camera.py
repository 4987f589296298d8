"""Pinhole cameras: intrinsics of edited images, depth, back-projection and projection.

Integer pixel coordinates are pixel centres, `u` is the column and `v` the row. Intrinsics are
`[[fx, skew, cx], [0, fy, cy], [0, 0, 1]]`. Formulas: Hartley & Zisserman, Multiple View Geometry,
2nd ed., chapter 6. They are written elementwise rather than as matrix products, so that XLA fuses
them and no accelerator rounds pixel coordinates to fewer than float32's digits.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

# A point closer to the camera's plane is projected as if it were this far from it, so that its
# gradient is finite. It is outside the image either way.
_MIN_DISTANCE = 1e-4


def resize_intrinsics(
    intrinsics: Float[Array, "3 3"], input_size: Any, output_size: Any
) -> Float[Array, "3 3"]:
    """Intrinsics after the image is resized: `u' = (u + 0.5) s - 0.5` in each axis.

    Args:
      intrinsics: [3, 3] of the image before.
      input_size: (h, w) before, static or traced.
      output_size: (h, w) after, static or traced.

    Returns:
      [3, 3] intrinsics of the resized image.
    """
    scale_y = jnp.asarray(output_size[0], jnp.float32) / input_size[0]
    scale_x = jnp.asarray(output_size[1], jnp.float32) / input_size[1]
    u, v, one = intrinsics
    return jnp.stack(
        [
            scale_x * u + 0.5 * (scale_x - 1) * one,
            scale_y * v + 0.5 * (scale_y - 1) * one,
            one,
        ]
    )


def crop_intrinsics(intrinsics: Float[Array, "3 3"], offset: Any) -> Float[Array, "3 3"]:
    """Intrinsics [3, 3] of a crop whose first pixel is `offset` (y, x) of the image."""
    u, v, one = intrinsics
    return jnp.stack([u - offset[1] * one, v - offset[0] * one, one])


def flip_intrinsics(intrinsics: Float[Array, "3 3"], width: Any) -> Float[Array, "3 3"]:
    """Intrinsics [3, 3] after a horizontal flip of an image `width` pixels wide.

    The scene is mirrored with the image, so focal lengths stay positive: `cx' = width - 1 - cx`.
    """
    (fx, skew, cx), v, one = intrinsics
    return jnp.stack([jnp.stack([fx, -skew, width - 1 - cx]), v, one])


def centred_intrinsics(focal: Any, size: Any) -> Float[Array, "3 3"]:
    """Intrinsics [3, 3] of square pixels and a principal point in the middle.

    Args:
      focal: [] the focal length, in widths of the image.
      size: (h, w) of the image, static or traced.
    """
    height, width = size[0], size[1]
    length, one = jnp.asarray(focal * width, jnp.float32), jnp.float32(1)
    zero = jnp.zeros_like(length)
    rows = ((length, zero, (width - 1) / 2), (zero, length, (height - 1) / 2), (zero, zero, one))
    return jnp.stack([jnp.stack([jnp.asarray(x, jnp.float32) for x in row]) for row in rows])


def depth_from_disparity(disparity: Array, *, min_depth: float, max_depth: float) -> Array:
    """Depth of a sigmoid disparity in (0, 1): `1 / (1/max + (1/min - 1/max) disparity)`."""
    smallest, largest = 1 / max_depth, 1 / min_depth
    return 1 / (smallest + (largest - smallest) * disparity)


def back_project(
    depth: Float[Array, "H W 1"], intrinsics: Float[Array, "3 3"]
) -> Float[Array, "H W 3"]:
    """Points seen by each pixel.

    Args:
      depth: [H, W, 1] distance along the optical axis (z).
      intrinsics: [3, 3] of this image.

    Returns:
      [H, W, 3] points in camera coordinates, in the unit of `depth`.
    """
    height, width, _ = depth.shape
    u = jnp.arange(width, dtype=depth.dtype)[None, :, None]
    v = jnp.arange(height, dtype=depth.dtype)[:, None, None]
    (fx, skew, cx), (_, fy, cy) = intrinsics[0], intrinsics[1]
    y = (v - cy) / fy
    x = (u - cx - skew * y) / fx
    return jnp.concatenate([x * depth, y * depth, depth], axis=-1)


def transform_points(
    dst_T_src: Float[Array, "4 4"], points: Float[Array, "... 3"]
) -> Float[Array, "... 3"]:
    """`points` [..., 3] in `src` coordinates, taken to `dst` coordinates."""
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    return jnp.stack([row[0] * x + row[1] * y + row[2] * z + row[3] for row in dst_T_src[:3]], -1)


def project(
    points: Float[Array, "... 3"], intrinsics: Float[Array, "3 3"]
) -> Float[Array, "... 2"]:
    """Pixel coordinates at which points appear.

    Args:
      points: [..., 3] in camera coordinates.
      intrinsics: [3, 3].

    Returns:
      [..., 2] pixel coordinates (u, v). A point behind the camera projects through its centre, as
      in the published training, and nothing marks it.
    """
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    nearest = jnp.where(z < 0, -_MIN_DISTANCE, _MIN_DISTANCE)
    inverse = 1 / jnp.where(jnp.abs(z) < _MIN_DISTANCE, nearest, z)
    x, y = x * inverse, y * inverse
    (fx, skew, cx), (_, fy, cy) = intrinsics[0], intrinsics[1]
    return jnp.stack([fx * x + skew * y + cx, fy * y + cy], axis=-1)
