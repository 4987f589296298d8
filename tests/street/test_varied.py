"""Varied street worlds: each its own camera, place and weather, and a free way ahead."""

import dataclasses
import typing

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.data import open_dataset, schema
from radepth_jax.data.street import Street, world_seed
from radepth_jax.street import make_world, render_frames, weather
from radepth_jax.street.appearance import draw_appearance, draw_surface
from radepth_jax.street.frames import CHUNK
from radepth_jax.street.intersect import Rays
from radepth_jax.street.road import beside
from radepth_jax.street.solids import Solid, Solids, pack
from radepth_jax.street.varied import make_varied_world
from radepth_jax.street.variety import PLACES, SEASONS, draw_variety
from radepth_jax.street.vehicles import vehicle
from radepth_jax.street.world import MAX_BOXES, VARIED_ROUNDS, scene

VARIED = next(config for config in Street.BUILDER_CONFIGS if config.name == "varied")
FRAMES = CHUNK
SIZE = (48, 128)
seeds = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2000))


@pytest.fixture(scope="module")
def shots():
    worlds = [make_varied_world((5, 0, i), FRAMES) for i in range(12)]
    return [render_frames(world, range(FRAMES), size=SIZE) for world in worlds]


@hypothesis.given(seeds)
def test_variety_is_in_range(seed):
    variety = draw_variety(seed)
    assert variety.place in PLACES
    assert variety.season in SEASONS
    assert 45 <= variety.field_of_view <= 100
    assert np.abs(variety.principal).max() < 0.08
    assert 1.1 <= variety.height <= 2.2
    assert -4 <= variety.pitch <= 6
    assert abs(variety.roll) <= 2
    assert 0 <= variety.swing <= 2.5
    assert 0 <= variety.bounce <= 1.2
    assert 0.2 <= variety.speed <= 2.0


def test_every_place_and_season_is_drawn():
    drawn = [draw_variety((0, 0, i)) for i in range(60)]
    assert {v.place for v in drawn} == set(PLACES)
    assert {v.season for v in drawn} == set(SEASONS)
    assert np.ptp([v.field_of_view for v in drawn]) > 40
    assert np.ptp([v.height for v in drawn]) > 0.8
    assert np.ptp([v.speed for v in drawn]) > 1.2


@hypothesis.given(seeds)
def test_pixels_are_square_and_the_view_is_as_wide_as_it_says(seed):
    variety = draw_variety(seed)
    K = variety.intrinsics((192, 512)).astype(np.float64)
    assert K[0, 0] == K[1, 1]
    assert np.degrees(2 * np.arctan(256 / K[0, 0])) == pytest.approx(variety.field_of_view)
    assert K[0, 2] == pytest.approx((0.5 + variety.principal[0]) * 512 - 0.5)
    assert K[1, 2] == pytest.approx((0.5 + variety.principal[1]) * 192 - 0.5)


def test_same_seed_same_world_and_another_seed_another():
    first, again, other = (make_varied_world((0, 1, i), FRAMES) for i in (2, 2, 3))
    assert first.solids == again.solids
    assert first.variety == again.variety
    np.testing.assert_array_equal(first.world_T_camera, again.world_T_camera)
    for one, two in (
        (first.appearance, again.appearance),
        (first.appearance.surface, again.appearance.surface),
    ):
        for name in set(one._fields) - {"surface"}:
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))
    assert first.solids != other.solids


@hypothesis.given(seeds)
def test_look_is_finite_and_in_range(seed):
    appearance = make_varied_world(seed, 3).appearance
    for leaf in (*appearance.surface, *appearance[1:]):
        assert np.isfinite(leaf).all()
    assert np.linalg.norm(appearance.sun) == pytest.approx(1.0, abs=1e-6)
    assert appearance.sun[1] < 0  # above the horizon: y points down
    assert 0 <= appearance.blur <= 0.25
    assert 0 <= appearance.noise <= 0.02
    assert 0.5 < appearance.gamma < 1.5
    assert 1e-4 < appearance.haze < 1 / 50


@hypothesis.given(seeds)
def test_poses_are_rigid_and_move_at_the_worlds_speed(seed):
    world = make_varied_world(seed, FRAMES)
    rotation, position = world.world_T_camera[:, :3, :3], world.world_T_camera[:, :3, 3]
    assert np.isfinite(world.world_T_camera).all()
    unit = np.tile(np.eye(3), (FRAMES, 1, 1))
    np.testing.assert_allclose(rotation @ rotation.swapaxes(1, 2), unit, atol=1e-12)
    np.testing.assert_allclose(-position[:, 1], world.variety.height, atol=0.021)
    step = np.linalg.norm(np.diff(position, axis=0), axis=1)
    assert step.min() > 0.8 * world.variety.speed
    assert step.max() < 1.4 * world.variety.speed + 0.05
    # The camera looks up by no more than its mounting and its bounce say.
    up = np.degrees(np.arcsin(-rotation[:, 1, 2]))
    assert np.abs(up + world.variety.pitch).max() <= world.variety.bounce + 1e-6


@hypothesis.given(seeds)
def test_the_camera_is_in_no_solid(seed):
    world = make_varied_world(seed, FRAMES)
    assert len(world.solids) <= MAX_BOXES + VARIED_ROUNDS
    for frame in range(FRAMES):
        solids, moving = scene(world, frame)
        assert moving.shape == solids.yaw.shape == (MAX_BOXES + VARIED_ROUNDS,)
        x, y, z = (world.world_T_camera[frame, :3, 3] - solids.centre).T
        c, s = np.cos(solids.yaw), np.sin(solids.yaw)
        own = np.stack([c * x - s * z, y, s * x + c * z], 1)
        gap = np.linalg.norm(np.maximum(np.abs(own) - solids.half, 0), axis=1)
        assert gap.min() > 0.1


def test_depth_is_positive_where_it_is_not_sky(shots):
    sky = []
    for shot in shots:
        assert np.isfinite(shot.depth).all()
        shown = shot.depth[shot.depth > 0]
        assert shown.min() > 0.8
        assert shown.max() < 2000  # intersect.FAR
        sky.append(np.mean(shot.depth == 0))
        # The road is seen at the bottom of every picture.
        assert np.mean(shot.depth[:, -1] > 0) == 1.0
        assert shot.image.std() > 10
    assert 0.05 < np.median(sky) < 0.45


def test_depth_agrees_from_frame_to_frame(shots):
    for shot in shots:
        h, w = SIZE
        v, u = np.mgrid[:h, :w]
        K = shot.intrinsics.astype(np.float64)
        rays = np.stack([u, v, np.ones_like(u)], -1) @ np.linalg.inv(K).T
        points = rays * shot.depth[1][..., None]
        next_T_this = np.linalg.inv(shot.world_T_camera[2]) @ shot.world_T_camera[1]
        points = points @ next_T_this[:3, :3].T + next_T_this[:3, 3]
        z = np.maximum(points[..., 2], 1e-3)
        x, y = np.rint((points @ K.T)[..., :2] / z[..., None]).astype(int).transpose(2, 0, 1)
        seen = (shot.depth[1] > 0) & ~shot.moving[1] & (x >= 0) & (x < w) & (y >= 0) & (y < h)
        found = shot.depth[2][y[seen], x[seen]]
        # Less what is now hidden or seen across an edge.
        assert np.median(np.abs(found / z[seen] - 1)) < 0.03


def test_worlds_look_different(shots):
    means = np.array([shot.image.reshape(-1, 3).mean(0) for shot in shots])
    assert means.std(0).min() > 10
    assert len({shot.intrinsics[0, 0] for shot in shots}) == len(shots)


def test_film_is_deterministic():
    first, again = (
        render_frames(make_varied_world((5, 0, 3), FRAMES), range(FRAMES), size=SIZE)
        for _ in range(2)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def _solids(*boxes: Solid) -> Solids:
    packed = zip(pack(boxes, 4), pack([], 4), strict=True)
    return Solids(*(np.concatenate(pair) for pair in packed))


def test_a_box_shades_what_the_sun_would_light_through_it():
    appearance = make_varied_world((0, 0, 0), 3).appearance._replace(
        sun=np.array([0.6, -0.8, 0.0], np.float32)
    )
    solids = jax.tree.map(
        jnp.asarray, _solids(Solid((0.0, 10.0), (2.0, 3.0, 2.0), 0.0, (0.5, 0.5, 0.5), 1))
    )
    # The sun stands right of the box, so its shadow falls to the left, 3 / 0.8 * 0.6 m long.
    x = jnp.array([-1.2, -3.2, -3.3, 1.1, -1.2])
    z = jnp.array([10.0, 10.0, 10.0, 10.0, 12.0])
    zero = jnp.zeros(5)
    lit = weather.in_sun(
        appearance, solids, 4, (x, zero, z), (zero, zero - 1, zero), zero + 0.1, zero > 0
    )
    np.testing.assert_array_equal(lit, [0, 0, 1, 1, 1])


def test_haze_hides_by_the_length_of_the_ray():
    appearance = make_varied_world((0, 0, 0), 3).appearance._replace(haze=np.float32(0.01))
    black = jnp.zeros((3, 3))
    rays = Rays(jnp.array([0.0, 0.0, 0.75]), jnp.zeros(3), jnp.ones(3))
    seen = weather.through_air(appearance, black, rays, jnp.array([0.0, 100.0, 80.0]))
    share = np.asarray(seen)[0] / (0.9 * appearance.horizon[0])
    np.testing.assert_allclose(share, [0, 1 - np.exp(-1), 1 - np.exp(-1)], atol=1e-6)


def test_lines_are_where_the_surface_says():
    rng, variety = np.random.default_rng(0), draw_variety((0, 0, 0))
    variety = dataclasses.replace(variety, place="highway")
    surface = draw_surface(rng, variety, [(-4.0, 4.0)], [(2.0, False)], (1.8, 3.6), 1.0)
    surface = surface._replace(
        wear=np.float32(1), line_colour=np.ones_like(surface.line_colour), kerb=np.float32(0)
    )
    road = make_world((0, 0, 0), 3).road
    road = road._replace(crossings=np.full_like(road.crossings, -1e6))
    d, fine = jnp.array([2.0, 1.0, 4.5, 9.0]), jnp.full(4, 1e-3)
    colour = np.asarray(weather.surface_colour(surface, road, d, jnp.full(4, 5.0), fine, fine)).T
    np.testing.assert_allclose(colour[0], 1.0, atol=1e-3)
    assert colour[1].max() < 0.8  # asphalt
    assert np.abs(colour[1] - colour[2]).max() > 1e-3  # the shoulder
    assert np.ptp(colour[3]) > 0.01  # grass


def test_parts_of_a_vehicle_stay_together():
    road = make_world((0, 0, 1), 3).road
    for speed in (0.0, 0.7, -0.7):
        parts = vehicle(np.random.default_rng(2), road, 30.0, 1.5, speed=speed)
        at, _ = beside(road, 30.0, 1.5)
        away = [np.hypot(*(np.array(part.position) - at)) for part in parts]
        assert max(away) < 3.5
        assert {part.motion.speed if part.motion else 0.0 for part in parts} == {speed}


def test_overcast_or_clear_the_exposure_suits_the_light():
    rng = np.random.default_rng(0)
    variety = draw_variety((0, 0, 0))
    surface = draw_surface(rng, variety, [(-4.0, 4.0)], [], (2.0, 4.0), 1.0)
    shown = []
    for _ in range(200):
        appearance = draw_appearance(rng, surface)
        up = weather.light(appearance, (jnp.zeros(1), -jnp.ones(1), jnp.zeros(1)), jnp.ones(1))
        shown.append(float(np.mean(np.asarray(up)[:, 0] * appearance.exposure)))
    low, high = np.percentile(shown, [5, 95])
    assert 0.5 < low < high < 2.5


def test_varied_is_prepared_as_the_others(tmp_path):
    options: dict[str, typing.Any] = dict(train=2, validation=1, test=1, width=64, height=32)
    config = dataclasses.replace(VARIED, name="some", **options)
    Street(config=config, data_dir=tmp_path).download_and_prepare()
    dataset = open_dataset("street/some", tmp_path)
    assert dataset.splits == {"train": 8, "validation": 4, "test": 4}
    assert dataset.metadata.prepared_from["varied"] is True
    world = make_varied_world(world_seed(config, "test", 0), FRAMES)
    shot = render_frames(world, range(FRAMES), size=(32, 64))
    for row, position in enumerate(dataset.targets("test")):
        _, intrinsics = dataset.image(position)
        np.testing.assert_array_equal(intrinsics, shot.intrinsics)
        depth = schema.decode_depth(dataset.record("test", row)["depth"])
        np.testing.assert_array_equal(depth, shot.depth[row + 1])
