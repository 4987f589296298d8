import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.geometry import camera

K = jnp.array([[100.0, 0.5, 63.0], [0.0, 110.0, 20.0], [0.0, 0.0, 1.0]])
POINTS = jnp.array([[0.3, -0.2, 2.0], [-1.0, 0.5, 7.0]])


def test_project_matches_the_matrix():
    homogeneous = np.asarray(POINTS) @ np.asarray(K).T
    np.testing.assert_allclose(
        camera.project(POINTS, K), homogeneous[:, :2] / homogeneous[:, 2:], rtol=1e-6
    )


@given(
    h=st.integers(8, 400), w=st.integers(8, 1300), y=st.integers(-20, 20), x=st.integers(-20, 20)
)
def test_resized_and_cropped_intrinsics_move_pixels_as_the_image(h, w, y, x):
    before = np.asarray(camera.project(POINTS, K))
    resized = camera.resize_intrinsics(K, (64, 128), (h, w))
    after = camera.project(POINTS, camera.crop_intrinsics(resized, (y, x)))
    expected = (before + 0.5) * np.array([w / 128, h / 64]) - 0.5 - np.array([x, y])
    np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-3)


def test_flipped_intrinsics_see_the_mirrored_scene():
    u, v = np.asarray(camera.project(POINTS, K)).T
    mirrored = camera.project(POINTS * jnp.array([[-1.0, 1, 1]]), camera.flip_intrinsics(K, 128))
    np.testing.assert_allclose(mirrored, np.stack([127 - u, v], 1), rtol=1e-6)


def test_back_project_undoes_project():
    depth = jnp.linspace(1, 50, 6 * 9).reshape(6, 9, 1)
    pixels = camera.project(camera.back_project(depth, K), K)
    np.testing.assert_allclose(pixels[..., 0], np.tile(np.arange(9), (6, 1)), atol=1e-4)
    np.testing.assert_allclose(pixels[..., 1], np.tile(np.arange(6)[:, None], (1, 9)), atol=1e-4)


def test_depth_spans_its_range():
    depth = camera.depth_from_disparity(jnp.array([0.0, 1.0]), min_depth=0.1, max_depth=100.0)
    np.testing.assert_allclose(depth, [100, 0.1], rtol=1e-6)


def test_points_on_the_cameras_plane_land_outside():
    pixels = camera.project(jnp.array([[0.5, 0.5, 0.0], [0.5, 0.5, 1e-9]]), K)
    assert (pixels > 1e4).all()
    assert np.isfinite(pixels).all()


def test_a_centred_camera():
    K = camera.centred_intrinsics(0.5, (48, 96))
    np.testing.assert_array_equal(K, [[48, 0, 47.5], [0, 48, 23.5], [0, 0, 1]])
