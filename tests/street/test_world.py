"""Street worlds: the same seed gives the same world, and the drive stays on a free road."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from radepth_jax.street.road import beside, centre_line, clearance
from radepth_jax.street.world import (
    CAMERA_HEIGHT,
    MAX_BOXES,
    MAX_ROUNDS,
    make_world,
    scene,
    street_intrinsics,
)

FRAMES = 24
seeds = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 200))


def test_same_seed_same_world_and_another_seed_another():
    first, again, other = (make_world(seed, FRAMES) for seed in [(0, 1, 2), (0, 1, 2), (0, 2, 2)])
    assert first.solids == again.solids
    np.testing.assert_array_equal(first.world_T_camera, again.world_T_camera)
    for a, b in zip(scene(first, 7)[0], scene(again, 7)[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert first.solids != other.solids


@hypothesis.given(seeds)
def test_drive_moves_forward_gently(seed):
    poses = make_world(seed, FRAMES).world_T_camera
    rotation, position = poses[:, :3, :3], poses[:, :3, 3]
    np.testing.assert_allclose(
        rotation @ rotation.swapaxes(1, 2), np.tile(np.eye(3), (FRAMES, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(rotation), 1.0)
    np.testing.assert_allclose(-position[:, 1], CAMERA_HEIGHT, atol=0.02)
    step = np.linalg.norm(np.diff(position, axis=0), axis=1)
    assert step.max() < 1.45  # 1.2 m along z, on a bend of at most 30 degrees
    assert np.count_nonzero(step < 0.02) <= 4
    # The camera looks where it goes (within its mounting's pitch and the bounce)...
    ahead = position[2:] - position[:-2]
    ahead = ahead[np.linalg.norm(ahead, axis=1) > 0.4]
    middle = rotation[1:-1, :, 2][np.linalg.norm(position[2:] - position[:-2], axis=1) > 0.4]
    cosine = np.sum(ahead * middle, 1) / np.linalg.norm(ahead, axis=1)
    assert cosine.min() > np.cos(np.radians(4))
    # ... and never turns by more than 3 degrees a frame.
    heading = np.arctan2(rotation[:, 0, 2], rotation[:, 2, 2])
    assert np.abs(np.diff(heading)).max() < np.radians(3)


@hypothesis.given(seeds)
def test_nothing_stands_in_the_way(seed):
    world = make_world(seed, FRAMES)
    path = world.world_T_camera[:, [0, 2], 3]
    for frame in range(FRAMES):
        solids, moving = scene(world, frame)
        away = path[frame] - solids.centre[:, [0, 2]]
        c, s = np.cos(solids.yaw), np.sin(solids.yaw)
        own = np.stack([c * away[:, 0] - s * away[:, 1], s * away[:, 0] + c * away[:, 1]], 1)
        outside = np.maximum(np.abs(own) - solids.half[:, [0, 2]], 0)
        gap = np.linalg.norm(outside, axis=1)
        # Crowns of trees may reach over the road; they hang above the camera.
        low = solids.centre[:, 1] + solids.half[:, 1] > -CAMERA_HEIGHT - 0.3
        assert gap[low].min() > 0.4
        assert gap[low & moving].min(initial=np.inf) > 0.4


@hypothesis.given(seeds)
def test_scene_fits_and_marks_the_moving(seed):
    world = make_world(seed, FRAMES)
    first, moving = scene(world, 0)
    assert moving.shape == (MAX_BOXES + MAX_ROUNDS,)
    assert moving.sum() == sum(s.motion is not None for s in world.solids)
    assert len([s for s in world.solids if s.shape == "box"]) <= MAX_BOXES
    later, still_moving = scene(world, 5)
    key = lambda solids, keep: {  # noqa: E731
        (int(n), *c) for n, c in zip(solids.seed[keep], solids.centre[keep].tolist(), strict=True)
    }
    assert key(first, ~moving) == key(later, ~still_moving)
    assert not key(first, moving) & key(later, still_moving)


@hypothesis.given(seeds)
def test_trees_keep_their_crowns(seed):
    solids = make_world(seed, FRAMES).solids
    trunks = {s.position for s in solids if s.shape == "cylinder" and s.cell < 0.7}
    assert {s.position for s in solids if s.shape == "ellipsoid"} == trunks


@hypothesis.given(seeds, st.floats(0, 80), st.floats(-6, 6))
def test_beside_is_perpendicular_to_the_centre_line(seed, z, d):
    road = make_world(seed, 3).road
    point, heading = beside(road, z, d)
    x, slope = centre_line(road, np.float64(z))
    assert np.arctan(slope) == pytest.approx(heading)
    offset = point - np.array([x, z])
    assert offset @ np.array([np.sin(heading), np.cos(heading)]) == pytest.approx(0, abs=1e-9)
    # Bends are wider than 6 m, so the foot of the perpendicular is the nearest point.
    assert clearance(road, point[None])[0] == pytest.approx(abs(d), abs=0.26)


def test_intrinsics_are_kittis_in_shape():
    # KITTI (2011_09_26, camera 2, 1242x375): fx 721.5, fy 721.5, that is 0.58 W and 1.92 H.
    np.testing.assert_allclose(
        street_intrinsics((128, 384)),
        [[222.72, 0, 191.5], [0, 245.76, 63.5], [0, 0, 1]],
        rtol=1e-6,
    )


def test_solids_are_immutable():
    world = make_world((0, 0, 0), 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        world.solids[0].yaw = 1.0
