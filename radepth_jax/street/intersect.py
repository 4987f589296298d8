"""Rays, and where they enter boxes, upright cylinders and ellipsoids, in closed form."""

from typing import NamedTuple

import jax.numpy as jnp
from jax import Array

from radepth_jax.street.solids import Solids

NEAR = 0.05  # metres; nothing nearer is seen
FAR = 2000.0  # metres; ground beyond this is drawn as sky
Vector = tuple[Array, Array, Array]


class Rays(NamedTuple):
    """World directions [S] that advance by 1 along the optical axis, so that distance is depth."""

    x: Array
    y: Array
    z: Array


def local(solid: Solids, eye: Array | Vector, rays: Rays) -> tuple[Vector, Vector]:
    """Origin and direction of the rays in the solid's own axes."""
    c, s = jnp.cos(solid.yaw), jnp.sin(solid.yaw)
    x, y, z = (eye[i] - solid.centre[i] for i in range(3))
    return (c * x - s * z, y, s * x + c * z), (
        c * rays.x - s * rays.z,
        rays.y,
        s * rays.x + c * rays.z,
    )


def enter_box(half: Array, origin: Vector, direction: Vector) -> tuple[Array, Array]:
    """Depth [S] where rays enter a box (4 FAR if they miss), and across which axis (0, 1 or 2)."""
    near, far = [], []
    for i in range(3):
        # For a ray along the face, a slope that is too small to matter avoids infinity in the sums.
        slope = jnp.where(jnp.abs(direction[i]) < 1e-9, 1e-9, direction[i])
        inverse = 1.0 / slope
        reach = jnp.abs(inverse) * half[i]
        near.append(-origin[i] * inverse - reach)
        far.append(-origin[i] * inverse + reach)
    t = jnp.maximum(jnp.maximum(near[0], near[1]), near[2])
    leave = jnp.minimum(jnp.minimum(far[0], far[1]), far[2])
    axis = jnp.where(t == near[0], 0, jnp.where(t == near[1], 1, 2))
    return jnp.where((t <= leave) & (t > NEAR), t, 4 * FAR), axis


def enter_round(half: Array, ellipsoid: Array, origin: Vector, direction: Vector) -> Array:
    """Depth [S] where rays enter an upright cylinder or an ellipsoid, 4 FAR where they miss.

    Cylinders have no lids, because their tops are above the camera.
    """
    o = [origin[i] / half[i] for i in range(3)]
    d = [direction[i] / half[i] for i in range(3)]
    a = d[0] * d[0] + ellipsoid * d[1] * d[1] + d[2] * d[2]
    b = o[0] * d[0] + ellipsoid * o[1] * d[1] + o[2] * d[2]
    c = o[0] * o[0] + ellipsoid * o[1] * o[1] + o[2] * o[2] - 1.0
    inside = b * b - a * c
    t = (-b - jnp.sqrt(jnp.maximum(inside, 0.0))) / a
    ok = (inside > 0) & (t > NEAR) & (jnp.abs(o[1] + t * d[1]) <= 1.0)
    return jnp.where(ok, t, 4 * FAR)
