"""Rigid motions as 4x4 matrices: `dst_T_src` takes a point from `src` to `dst` coordinates."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

HIGHEST = jax.lax.Precision.HIGHEST

# Below this squared angle the series is more accurate in float32 than the closed forms.
_SMALL_SQUARED_ANGLE = 1e-2


def rotation_from_axisangle(axisangle: Float[Array, "3"]) -> Float[Array, "3 3"]:
    """Rotation matrix of an axis-angle vector (Rodrigues' formula).

    `R = I + sin(a)/a [w] + (1 - cos(a))/a^2 [w]^2`, Hartley & Zisserman, Multiple View Geometry,
    2nd ed., A4.9. Differentiable everywhere, the zero vector included, which is where pose
    networks start.

    Args:
      axisangle: [3] rotation axis times angle in radians.

    Returns:
      [3, 3] rotation matrix.
    """
    squared = jnp.sum(axisangle**2)
    small = squared < _SMALL_SQUARED_ANGLE
    # Both branches are evaluated: the unused one must not see an angle of zero, or its gradient
    # (NaN) would leak through the selection.
    safe = jnp.where(small, 1.0, squared)
    angle = jnp.sqrt(safe)
    first = jnp.where(small, 1 - squared / 6 * (1 - squared / 20), jnp.sin(angle) / angle)
    second = jnp.where(
        small, 0.5 - squared / 24 * (1 - squared / 30), 2 * jnp.sin(angle / 2) ** 2 / safe
    )
    x, y, z = axisangle
    zero = jnp.zeros_like(x)
    cross = jnp.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    # [w]^2 = w w^T - |w|^2 I
    cross_squared = axisangle[:, None] * axisangle[None, :] - squared * jnp.eye(3)
    return jnp.eye(3) + first * cross + second * cross_squared


def transform_from_pose(
    axisangle: Float[Array, "3"], translation: Float[Array, "3"]
) -> Float[Array, "4 4"]:
    """`dst_T_src` that rotates by `axisangle` (radians), then moves by `translation`.

    Args:
      axisangle: [3] rotation axis times angle in radians.
      translation: [3] in the unit of the scene.

    Returns:
      [4, 4] rigid transform.
    """
    return _assemble(rotation_from_axisangle(axisangle), translation)


def invert(dst_T_src: Float[Array, "4 4"]) -> Float[Array, "4 4"]:
    """`src_T_dst` of a rigid `dst_T_src` [4, 4], by transposing the rotation."""
    rotation = dst_T_src[:3, :3].T
    translation = -jnp.matmul(rotation, dst_T_src[:3, 3], precision=HIGHEST)
    return _assemble(rotation, translation)


def mirror(dst_T_src: Float[Array, "4 4"], mirrored: Bool[Array, ""]) -> Float[Array, "4 4"]:
    """The same motion seen in horizontally flipped images: `x` changes sign in both cameras.

    Args:
      dst_T_src: [4, 4] rigid transform between cameras whose images were not flipped.
      mirrored: scalar, whether the images were flipped; unchanged where False.

    Returns:
      [4, 4] `diag(-1, 1, 1, 1) dst_T_src diag(-1, 1, 1, 1)`.
    """
    sign = jnp.where(mirrored, jnp.array([-1.0, 1, 1, 1]), jnp.ones(4))
    return sign[:, None] * dst_T_src * sign[None, :]


def refocus(dst_T_src: Float[Array, "4 4"], factor: Float[Array, ""]) -> Float[Array, "4 4"]:
    """The small motion that moves an image's middle as before, seen with another focal length.

    There, pixels move by the focal length times the turns about x and y, and by the focal length
    over the depth times the steps along x and y. So these are divided by the factor.

    Args:
      dst_T_src: [4, 4] rigid transform with a small rotation.
      factor: [] the new focal length over the old one.

    Returns:
      [4, 4] rigid transform; the same one for a factor of 1.
    """
    rotation = dst_T_src[:3, :3]
    turns = 0.5 * jnp.stack([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0]])
    change = jnp.concatenate([(1 / factor - 1) * turns, jnp.zeros(1)])
    turned = jnp.matmul(rotation, rotation_from_axisangle(change), precision=HIGHEST)
    return _assemble(turned, dst_T_src[:3, 3] * jnp.stack([1 / factor, 1 / factor, 1.0]))


def _assemble(rotation: Float[Array, "3 3"], translation: Float[Array, "3"]) -> Array:
    top = jnp.concatenate([rotation, translation[:, None]], axis=1)
    return jnp.concatenate([top, jnp.array([[0.0, 0, 0, 1]])], axis=0)
