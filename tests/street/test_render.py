"""The ray caster against independent geometry, and against the warp it is to supervise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.street import make_world, render_frames, texture
from radepth_jax.street.frames import CHUNK
from radepth_jax.street.intersect import FAR, enter_box
from radepth_jax.street.render import render
from radepth_jax.street.shade import GROUND, SKY
from radepth_jax.street.solids import Solid, Solids, pack

SIZE = (40, 120)  # no multiple of the tiles
GREY = (0.5, 0.5, 0.5)
FRAMES = 12


@pytest.fixture(scope="module")
def shot():
    return render_frames(make_world((0, 0, 3), FRAMES), range(FRAMES), size=(64, 192))


def _pose() -> np.ndarray:
    """A camera 1.5 m up, turned a little about every axis."""
    yaw, pitch, roll = 0.1, -0.05, 0.03
    about_y = [[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]]
    about_x = [[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    pose = np.eye(4)
    pose[:3, :3] = np.array(about_y) @ np.array(about_x) @ np.array(about_z)
    pose[:3, 3] = [0.4, -1.5, 2.0]
    return pose


def _render(boxes: list[Solid], rounds: list[Solid]):
    packed = zip(pack(boxes, 4), pack(rounds, 4), strict=True)
    solids = Solids(*(np.concatenate(pair)[None] for pair in packed))
    world = make_world((0, 0, 0), 3)
    out = render(
        world.road,
        solids,
        _pose()[None].astype(np.float32),
        world.variety.intrinsics(SIZE),
        world.appearance,
        size=SIZE,
        boxes=4,
    )
    return jax.tree.map(lambda leaf: np.asarray(leaf)[0], out)


def _pixel_rays(pose: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """World directions [h, w, 3] of the pixel centres, with unit advance along the optical axis."""
    K = make_world((0, 0, 0), 3).variety.intrinsics(size).astype(np.float64)
    v, u = np.mgrid[: size[0], : size[1]]
    pixels = np.stack([u, v, np.ones_like(u)], -1)
    return pixels @ np.linalg.inv(K).T @ pose[:3, :3].T


def _to_triangles(origin: np.ndarray, rays: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Depth of the nearest triangle [N, 3, 3], inf where there is none (Moeller, Trumbore 1997)."""
    best = np.full(rays.shape[:-1], np.inf)
    for a, b, c in triangles:
        p = np.cross(rays, c - a)
        det = p @ (b - a)
        with np.errstate(divide="ignore", invalid="ignore"):
            u = p @ (origin - a) / det
            q = np.cross(origin - a, b - a)
            v = rays @ q / det
            t = (c - a) @ q / det
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
        best = np.where(hit & (t < best), t, best)
    return best


def _box_triangles(solid: Solid) -> np.ndarray:
    w, h, length = solid.size
    triangles = []
    for axis in range(3):
        for sign in (-1, 1):
            square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
            quad = np.insert(square, axis, sign, axis=1) * np.array([w, h, length]) / 2
            c, s = np.cos(solid.yaw), np.sin(solid.yaw)
            turn = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])  # z towards x
            x, z = solid.position
            quad = quad @ turn.T + np.array([x, -solid.lift - h / 2, z])
            triangles += [quad[[0, 1, 2]], quad[[0, 2, 3]]]
    return np.array(triangles)


def test_depth_of_plane_and_boxes_against_triangles():
    boxes = [
        Solid((3.0, 12.0), (2.0, 3.0, 4.0), 0.4, GREY, 1),
        Solid((-2.0, 9.0), (1.0, 1.2, 1.0), -0.9, GREY, 2),
        Solid((-1.0, 30.0), (9.0, 0.5, 3.0), 0.0, GREY, 3, lift=2.0),
    ]
    out = _render(boxes, [])
    pose = _pose()
    rays = _pixel_rays(pose, SIZE)
    distances = [_to_triangles(pose[:3, 3], rays, _box_triangles(solid)) for solid in boxes]
    with np.errstate(divide="ignore"):
        ground = np.where(rays[..., 1] > 0, 1.5 / rays[..., 1], np.inf)
    ground[ground > 2000] = np.inf  # render.FAR
    every = np.stack([*distances, ground])
    expected = every.min(0)
    which = np.array([0, 1, 2, GROUND])[every.argmin(0)]
    which[np.isinf(expected)] = SKY
    expected[np.isinf(expected)] = 0.0
    # A ray that grazes an edge may fall on either side of it in float32.
    assert np.mean(out.hit != which) < 1e-3
    same = out.hit == which
    assert set(np.unique(which)) == {0, 1, 2, GROUND, SKY}
    np.testing.assert_allclose(out.depth[same], expected[same], rtol=2e-5)


def test_rounds_are_entered_where_they_begin():
    size, look = (2.0, 1.6, 3.0), dict(contrast=0.2, shape="ellipsoid")  # no leaves, so smooth
    tree = Solid((1.5, 10.0), size, 0.5, GREY, 1, lift=1.0, **look)
    post = Solid((-1.0, 8.0), (0.8, 4.0, 0.8), 0.0, GREY, 2, shape="cylinder")
    out = _render([], [tree, post])
    pose = _pose()
    rays = _pixel_rays(pose, SIZE)
    for index, solid in ((4, tree), (5, post)):
        c, s = np.cos(solid.yaw), np.sin(solid.yaw)
        turn = np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
        x, z = solid.position
        centre = np.array([x, -solid.lift - solid.size[1] / 2, z])

        def outside(points, solid=solid, turn=turn, centre=centre):
            """Above one outside the solid, one on its surface."""
            p = (points - centre) @ turn.T / (np.array(solid.size) / 2)
            if solid.shape == "cylinder":
                return np.maximum(np.hypot(p[..., 0], p[..., 2]), np.abs(p[..., 1]))
            return np.linalg.norm(p, axis=-1)

        seen = out.hit == index
        assert seen.sum() > 50
        depth = out.depth[seen]
        surface = pose[:3, 3] + depth[:, None] * rays[seen]
        np.testing.assert_allclose(outside(surface), 1.0, atol=1e-4)
        # Nothing of it is nearer, and rays that show something else miss it or meet it later.
        share = np.linspace(0.5, 0.999, 200)[:, None, None]
        assert outside(pose[:3, 3] + share * depth[:, None] * rays[seen]).min() > 1.0
        free = out.hit == SKY
        far = np.linspace(5, 15, 400)[:, None, None]
        assert outside(pose[:3, 3] + far * rays[free]).min() > 0.999


def test_film_is_deterministic_and_chunks_do_not_matter(shot):
    again = render_frames(make_world((0, 0, 3), FRAMES), range(FRAMES), size=(64, 192))
    for a, b in zip(shot, again, strict=True):
        np.testing.assert_array_equal(a, b)
    some = [CHUNK - 1, CHUNK, 2]
    part = render_frames(make_world((0, 0, 3), FRAMES), some, size=(64, 192))
    np.testing.assert_array_equal(part.image, shot.image[some])
    np.testing.assert_array_equal(part.depth, shot.depth[some])


def _warp(shot, target: int, source_image, source_depth, target_T_world, world_T_source):
    """The source seen from the target through the target's depth, and where it is trustworthy.

    Plain NumPy, bilinear, by docs/conventions.md: target pixel -> camera -> source -> pixel.
    """
    h, w = shot.depth.shape[1:]
    K = shot.intrinsics.astype(np.float64)
    v, u = np.mgrid[:h, :w]
    rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T
    points = rays * shot.depth[target][..., None]
    source_T_target = np.linalg.inv(world_T_source) @ np.linalg.inv(target_T_world)
    points = points @ source_T_target[:3, :3].T + source_T_target[:3, 3]
    z = np.maximum(points[..., 2], 1e-3)
    x, y = (points @ K.T)[..., 0] / z, (points @ K.T)[..., 1] / z
    inside = (x >= 0) & (x < w - 1) & (y >= 0) & (y < h - 1) & (shot.depth[target] > 0)
    x, y = np.clip(x, 0, w - 1.001), np.clip(y, 0, h - 1.001)
    i, j = y.astype(int), x.astype(int)
    a, b = (y - i)[..., None], (x - j)[..., None]
    image = source_image / 255.0
    top = image[i, j] * (1 - b) + image[i, j + 1] * b
    low = image[i + 1, j] * (1 - b) + image[i + 1, j + 1] * b
    nearest = source_depth[np.rint(y).astype(int), np.rint(x).astype(int)]
    visible = np.abs(nearest / z - 1) < 0.05
    return top * (1 - a) + low * a, inside & visible


def _errors(shot, target, warped, ok, source_image):
    truth = shot.image[target] / 255.0
    error = np.abs(warped - truth).mean(-1)[ok].mean()
    unwarped = np.abs(source_image / 255.0 - truth).mean(-1)[ok].mean()
    return error, unwarped


def test_next_frame_warps_onto_this_one(shot):
    errors = []
    for t in range(FRAMES - 1):
        warped, ok = _warp(
            shot,
            t,
            shot.image[t + 1],
            shot.depth[t + 1],
            np.linalg.inv(shot.world_T_camera[t]),
            shot.world_T_camera[t + 1],
        )
        errors.append(_errors(shot, t, warped, ok & ~shot.moving[t], shot.image[t + 1]))
    warped_error, unwarped_error = np.mean(errors, axis=0)
    # Measured: 0.0076 warped, 0.0585 unwarped.
    assert warped_error < 0.012
    assert warped_error < 0.25 * unwarped_error


def test_right_camera_is_the_baseline_to_the_right(shot):
    right = render_frames(make_world((0, 0, 3), FRAMES), [4], size=(64, 192), right=0.54)
    left_T_right = np.linalg.inv(shot.world_T_camera[4]) @ right.world_T_camera[0]
    expected = np.eye(4)
    expected[0, 3] = 0.54
    np.testing.assert_allclose(left_T_right, expected, atol=1e-12)
    warped, ok = _warp(
        shot,
        4,
        right.image[0],
        right.depth[0],
        np.linalg.inv(shot.world_T_camera[4]),
        right.world_T_camera[0],
    )
    # Moving cars are filmed at the same instant, so they warp too.
    error, unwarped = _errors(shot, 4, warped, ok, right.image[0])
    assert error < 0.02
    assert error < 0.3 * unwarped


def test_pulse_is_the_mean_over_the_footprint():
    x = np.array([0.0, 0.4, 1.3, -2.2, 7.9])
    for step in (0.01, 0.5, 3.7):
        fine = x[:, None] + step * (np.arange(20000) / 20000 - 0.5)
        expected = (np.mod(fine, 1.5) < 0.6).mean(1)
        found = texture.pulse(jnp.array(x), 1.5, 0.6, jnp.full(5, step))
        np.testing.assert_allclose(found, expected, atol=2e-3 / min(step, 1))


def test_noise_has_contrast_near_and_none_beyond_its_coarsest_cell():
    u, v = (jnp.array(a, jnp.float32) for a in np.random.default_rng(0).uniform(0, 99, (2, 4000)))
    cell, seed = jnp.full(4000, 2.0), jnp.full(4000, 5)
    spread = []
    for step in (0.02, 0.3, 2.5):
        steps = jnp.full(4000, step)
        spread.append(float(texture.layered_noise(u, v, cell, seed, steps, steps).std()))
    assert spread[0] > spread[1] > 0.3
    assert spread[2] == 0.0


def test_ray_along_a_box_axis_meets_its_front():
    ahead = tuple(jnp.array([c], jnp.float32) for c in (0.0, 0.0, 1.0))
    start = tuple(jnp.array([c], jnp.float32) for c in (0.5, -0.5, -10.0))
    half = jnp.ones((3, 1), jnp.float32)
    depth, axis = enter_box(half, start, ahead)
    assert (depth[0], axis[0]) == (9.0, 2)
    past = (start[0] + 1.0, *start[1:])
    assert enter_box(half, past, ahead)[0][0] > FAR
