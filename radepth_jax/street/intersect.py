"""Rays, and where they enter boxes, upright cylinders and ellipsoids, in closed form."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array

from radepth_jax.street.solids import Solids

NEAR = 0.05  # metres; nothing nearer is seen
LEAFY = 0.3  # ellipsoids whose texture has more contrast than this are leaves
UNROLL = 4  # how many solids a step of a search has
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


def fold_reached(
    visit: Callable[[Array, Array, Array], Array],
    first: Array,
    solids: Solids,
    boxes: int,
    reach: Array,
    eye: Array | Vector,
    rays: Rays,
) -> Array:
    """Folds `visit(so far [S], depth [S], index)` over the solids in reach [N], from `first` [S].

    The `boxes` come first, and then come the cylinders and ellipsoids. The crowns among these have
    a ragged outline.
    """

    def search(found: Array, start: int, stop: int, enter: Callable[[Solids], Array]) -> Array:
        order = start + jnp.argsort(~reach[start:stop])
        order = jnp.concatenate([order, jnp.full((UNROLL,), start)])

        def body(step: Array, found: Array) -> Array:
            for k in range(UNROLL):
                i = order[step * UNROLL + k]
                found = visit(found, enter(jax.tree.map(lambda leaf, i=i: leaf[i], solids)), i)
            return found

        return jax.lax.fori_loop(0, (reach[start:stop].sum() + UNROLL - 1) // UNROLL, body, found)

    def box(solid: Solids) -> Array:
        return enter_box(solid.half, *local(solid, eye, rays))[0]

    def rounded(solid: Solids) -> Array:
        own = local(solid, eye, rays)
        t = enter_round(solid.half, solid.ellipsoid, *own)
        crown = (solid.ellipsoid > 0) & (solid.contrast > LEAFY) & (solid.half[0] < 15.0)
        ragged = lambda: jnp.where(_between_leaves(solid, *own), 4 * FAR, t)  # noqa: E731
        return jax.lax.cond(crown, ragged, lambda: t)

    found = search(first, 0, boxes, box)
    return search(found, boxes, reach.shape[0], rounded)


def _between_leaves(solid: Solids, origin: Vector, direction: Vector) -> Array:
    """Which rays [S] pass between the leaves at the edge of a crown, which is an ellipsoid.

    The point of a ray that is nearest to the middle decides, so the outline stays the same while
    the camera moves.
    """
    o = [origin[i] / solid.half[i] for i in range(3)]
    d = [direction[i] / solid.half[i] for i in range(3)]
    t = -(o[0] * d[0] + o[1] * d[1] + o[2] * d[2]) / (d[0] ** 2 + d[1] ** 2 + d[2] ** 2)
    m = [a + t * b for a, b in zip(o, d, strict=True)]
    radius = m[0] ** 2 + m[1] ** 2 + m[2] ** 2
    phase = solid.seed.astype(jnp.float32) * 0.01
    waves = jnp.zeros_like(t)
    for k in (1.0, 2.6):
        step = k * jnp.clip(solid.half / 0.35, 3.0, 9.0)
        waves += jnp.sin(step[0] * m[0] + 1.7 * m[1] + phase) + jnp.sin(step[1] * m[1] + phase * k)
        waves += jnp.sin(step[2] * m[2] - 1.3 * m[0] + 2.0 * phase)
    edge = 0.72 + 0.07 * waves
    return radius > edge
