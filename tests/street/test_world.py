"""Street worlds: the same seed gives the same world, and the drive stays on a free road."""

import dataclasses

import hypothesis
import hypothesis.strategies as st
import jax
import numpy as np
import pytest

from radepth_jax.street import RANGES, make_world
from radepth_jax.street.frames import CHUNK
from radepth_jax.street.road import beside, centre_line
from radepth_jax.street.site import Site
from radepth_jax.street.traffic import vehicle
from radepth_jax.street.world import MAX_BOXES, MAX_ROUNDS, scene

CAMERA_HEIGHT = 1.65
FRAMES = 24
VARIED = RANGES["varied"]
seeds = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 200))


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
def test_same_seed_same_world_and_another_seed_another(ranges):
    first, again, other = (
        make_world(seed, FRAMES, ranges) for seed in [(0, 1, 2), (0, 1, 2), (0, 2, 2)]
    )
    assert first.solids == again.solids
    assert first.variety == again.variety
    assert first.solids != other.solids
    np.testing.assert_array_equal(first.world_T_camera, again.world_T_camera)
    jax.tree.map(np.testing.assert_array_equal, first.appearance, again.appearance)
    jax.tree.map(np.testing.assert_array_equal, first.road, again.road)
    jax.tree.map(np.testing.assert_array_equal, scene(first, 7), scene(again, 7))


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


@pytest.mark.parametrize("ranges", RANGES.values(), ids=RANGES)
@hypothesis.given(seeds)
def test_nothing_floats(ranges, seed):
    """Whatever is above the ground touches something below it, or hangs across a highway."""
    world = make_world(seed, CHUNK, ranges)
    # Boards hang from their beams.
    lifted = [s for s in world.solids if s.lift > 0.5 and not s.motion and s.size[2] != 0.15]
    for solid in lifted:
        reach = max(solid.size[0], solid.size[2]) / 2 + 0.05
        below = [
            other
            for other in world.solids
            if other is not solid and other.lift < solid.lift <= other.lift + other.size[1] + 0.3
        ]
        gaps = [
            np.hypot(*np.subtract(solid.position, other.position))
            - max(other.size[0], other.size[2]) / 2
            for other in below
        ]
        boxes = sum(s.shape == "box" for s in world.solids)
        full = boxes == MAX_BOXES or len(world.solids) - boxes == MAX_ROUNDS  # some are left out
        assert full or min(gaps, default=99) <= reach, solid


@hypothesis.given(seeds)
def test_varied_poses_are_rigid_and_move_at_the_worlds_speed(seed):
    world = make_world(seed, CHUNK, VARIED)
    rotation, position = world.world_T_camera[:, :3, :3], world.world_T_camera[:, :3, 3]
    assert np.isfinite(world.world_T_camera).all()
    unit = np.tile(np.eye(3), (CHUNK, 1, 1))
    np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), unit, atol=1e-12)
    np.testing.assert_allclose(-position[:, 1], world.variety.height, atol=0.021)
    step = np.linalg.norm(np.diff(position, axis=0), axis=1)
    assert step.min() > 0.8 * world.variety.speed
    assert step.max() < 1.4 * world.variety.speed + 0.05
    # The camera looks up by no more than its mounting and its bounce say.
    up = np.degrees(np.arcsin(-rotation[:, 1, 2]))
    assert np.abs(up + world.variety.pitch).max() <= world.variety.bounce + 1e-6


@hypothesis.given(seeds)
def test_a_varied_camera_is_in_no_solid(seed):
    world = make_world(seed, CHUNK, VARIED)
    assert len(world.solids) <= MAX_BOXES + MAX_ROUNDS
    for frame in range(CHUNK):
        solids, moving = scene(world, frame)
        assert moving.shape == solids.yaw.shape == (MAX_BOXES + MAX_ROUNDS,)
        x, y, z = (world.world_T_camera[frame, :3, 3] - solids.centre).T
        c, s = np.cos(solids.yaw), np.sin(solids.yaw)
        own = np.stack([c * x - s * z, y, s * x + c * z], 1)
        gap = np.linalg.norm(np.maximum(np.abs(own) - solids.half, 0), axis=1)
        assert gap.min() > 0.1


@hypothesis.given(seeds, st.floats(0, 80), st.floats(-6, 6))
def test_beside_is_perpendicular_to_the_centre_line(seed, z, d):
    road = make_world(seed, 3).road
    point, heading = beside(road, z, d)
    x, slope = centre_line(road, np.float64(z))
    assert np.arctan(slope) == pytest.approx(heading)
    offset = point - np.array([x, z])
    assert offset @ np.array([np.sin(heading), np.cos(heading)]) == pytest.approx(0, abs=1e-9)
    # Bends are wider than 6 m, so the foot of the perpendicular is the nearest point.
    near = np.arange(z - 30, z + 30, 0.5)
    gaps = np.hypot(point[0] - centre_line(road, near)[0], point[1] - near)
    assert gaps.min() == pytest.approx(abs(d), abs=0.26)


@pytest.mark.parametrize("speed", [0.0, 0.7, -0.7])
def test_parts_of_a_vehicle_stay_together(speed):
    world = make_world((0, 0, 1), 3)
    site = Site(np.random.default_rng(2), world.variety, world.road, None, 100.0, 3.0)
    parts = vehicle(site, 30.0, 1.5, speed=speed)
    at, _ = beside(world.road, 30.0, 1.5)
    away = [np.hypot(*np.subtract(part.position, at)) for part in parts]
    assert max(away) < 3.5
    assert {part.motion.speed if part.motion else 0.0 for part in parts} == {speed}


def test_solids_are_immutable():
    world = make_world((0, 0, 0), 3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        world.solids[0].yaw = 1.0
