"""Light, ground and weather of the worlds, and the pictures that come of them."""

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.street import RANGES, make_world, render_frames
from radepth_jax.street import light as lighting
from radepth_jax.street.appearance import draw_appearance
from radepth_jax.street.frames import CHUNK
from radepth_jax.street.ground import ground_colour
from radepth_jax.street.intersect import Rays
from radepth_jax.street.road import Lanes
from radepth_jax.street.solids import Solid, Solids, pack
from radepth_jax.street.variety import draw_variety

VARIED = RANGES["varied"]
FRAMES = CHUNK
SIZE = (48, 128)
seeds = st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 2000))


@pytest.fixture(scope="module")
def shots():
    worlds = [make_world((5, 0, i), FRAMES, VARIED) for i in range(12)]
    return [render_frames(world, range(FRAMES), size=SIZE) for world in worlds]


@hypothesis.given(seeds)
def test_look_is_finite_and_in_range(seed):
    appearance = make_world(seed, 3, VARIED).appearance
    for leaf in (*appearance.surface, *appearance[1:]):
        assert np.isfinite(leaf).all()
    assert np.linalg.norm(appearance.sun) == pytest.approx(1.0, abs=1e-6)
    assert appearance.sun[1] < 0  # above the horizon: y points down
    assert 0 <= appearance.blur <= 0.25
    assert 0 <= appearance.noise <= 0.02
    assert 0.5 < appearance.gamma < 1.5
    assert 1e-4 < appearance.haze < 1 / 50


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
        render_frames(make_world((5, 0, 3), FRAMES, VARIED), range(FRAMES), size=SIZE)
        for _ in range(2)
    )
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


def _solids(*boxes: Solid) -> Solids:
    packed = zip(pack(boxes, 4), pack([], 4), strict=True)
    return Solids(*(np.concatenate(pair) for pair in packed))


def test_a_box_shades_what_the_sun_would_light_through_it():
    appearance = make_world((0, 0, 0), 3).appearance._replace(
        sun=np.array([0.6, -0.8, 0.0], np.float32)
    )
    solids = jax.tree.map(
        jnp.asarray, _solids(Solid((0.0, 10.0), (2.0, 3.0, 2.0), 0.0, (0.5, 0.5, 0.5), 1))
    )
    # The sun stands right of the box, so its shadow falls to the left, 3 / 0.8 * 0.6 m long.
    x = jnp.array([-1.2, -3.2, -3.3, 1.1, -1.2])
    z = jnp.array([10.0, 10.0, 10.0, 10.0, 12.0])
    zero = jnp.zeros(5)
    lit = lighting.in_sun(
        appearance, solids, 4, (x, zero, z), (zero, zero - 1, zero), zero + 0.1, zero > 0
    )
    np.testing.assert_array_equal(lit, [0, 0, 1, 1, 1])


def test_haze_hides_by_the_length_of_the_ray():
    appearance = make_world((0, 0, 0), 3, VARIED).appearance._replace(haze=np.float32(0.01))
    black = jnp.zeros((3, 3))
    rays = Rays(jnp.array([0.0, 0.0, 0.75]), jnp.zeros(3), jnp.ones(3))
    seen = lighting.through_air(appearance, black, rays, jnp.array([0.0, 100.0, 80.0]))
    share = np.asarray(seen)[0] / (0.9 * appearance.horizon[0])
    np.testing.assert_allclose(share, [0, 1 - np.exp(-1), 1 - np.exp(-1)], atol=1e-6)


def lanes() -> Lanes:
    return Lanes(((-4.0, 4.0),), ((2.0, False),), (2.0,), (-2.0,), (), 1.8, 3.6, 1.0)


def test_lines_are_where_the_surface_says():
    ranges = {**VARIED, "place": "highway", "weather": "clear"}
    appearance = draw_appearance(np.random.default_rng(0), draw_variety((0,), ranges), lanes())
    surface = appearance.surface._replace(
        wear=np.float32(1),
        line_colour=np.ones_like(appearance.surface.line_colour),
        kerb=np.float32(0),
    )
    crossings = np.full((3, 2), -1e6, np.float32)
    d, fine = jnp.array([2.0, 1.0, 4.5, 9.0, 11.0]), jnp.full(5, 1e-3)
    z = jnp.array([5.0, 5.0, 5.0, 5.0, 9.0])
    appearance = appearance._replace(surface=surface)
    colour = np.asarray(ground_colour(appearance, crossings, d, z, fine, fine)).T
    np.testing.assert_allclose(colour[0], 1.0, atol=1e-3)
    assert colour[1].max() < 0.8  # asphalt
    assert np.abs(colour[1] - colour[2]).max() > 1e-3  # the shoulder
    assert np.abs(colour[3] - colour[4]).max() > 1e-3  # grass, in patches
    assert np.ptp(colour[3]) > 0.01


def test_only_wet_ground_mirrors_the_sky_and_most_far_away():
    appearance = make_world((0, 0, 0), 3).appearance
    rays = Rays(jnp.zeros(3), jnp.array([1.0, 0.1, 0.01]), jnp.ones(3))
    black, pixel = jnp.zeros((3, 3)), jnp.full(3, 0.01)
    dry, wet = (
        np.asarray(lighting.mirrored(appearance._replace(wet=share), black, rays, pixel)).sum(0)
        for share in (np.float32(0), np.float32(1))
    )
    assert dry.max() == 0
    assert 0 < wet[0] < wet[1] < wet[2]


def test_headlights_light_what_is_near():
    night = {**VARIED, "weather": "night"}
    appearance = make_world((0, 0, 0), 3, night).appearance
    zero, towards = jnp.zeros(2), Rays(jnp.zeros(2), jnp.zeros(2), jnp.ones(2))
    near, far = np.asarray(
        lighting.light(appearance, (zero, zero, zero - 1), zero, towards, jnp.array([5.0, 80.0]))
    ).sum(0)
    assert near > 2 * far > 0


@pytest.mark.parametrize("weather", [*VARIED["weather"]])
def test_the_exposure_suits_the_light(weather):
    rng = np.random.default_rng(0)
    variety = draw_variety((0, 0, 0), {**VARIED, "weather": weather})
    down = Rays(jnp.zeros(1), jnp.full(1, 0.2), jnp.ones(1))
    shown = []
    for _ in range(200):
        appearance = draw_appearance(rng, variety, lanes())
        normal = (jnp.zeros(1), -jnp.ones(1), jnp.zeros(1))
        up = lighting.light(appearance, normal, jnp.ones(1), down, jnp.full(1, 8.0))
        shown.append(float(np.mean(np.asarray(up)[:, 0] * appearance.exposure)))
    low, high = np.percentile(shown, [5, 95])
    assert 0.5 < low < high < 2.5
