import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.geometry import camera, se3

# Exponents rather than values, so that angles near zero are drawn as often as large ones.
directions = st.tuples(*[st.floats(-1, 1, width=32)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)
magnitudes = st.floats(-12, 0.5)


@given(direction=directions, exponent=magnitudes)
def test_rotations_are_orthonormal_at_every_magnitude(direction, exponent):
    rotation = se3.rotation_from_axisangle(jnp.array(direction, jnp.float32) * 10**exponent)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=2e-6)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=2e-6)


@given(direction=directions, exponent=magnitudes)
def test_angle_and_axis_are_recovered(direction, exponent):
    vector = np.array(direction, np.float64) * 10**exponent
    angle = np.linalg.norm(vector)
    rotation = np.asarray(se3.rotation_from_axisangle(jnp.array(vector, jnp.float32)), np.float64)
    assert abs((np.trace(rotation) - 1) / 2 - np.cos(angle)) < 2e-6
    np.testing.assert_allclose(rotation @ vector, vector, atol=2e-6 * max(angle, 1e-6))


def test_series_meets_the_closed_form():
    axis = np.array([0.36, -0.48, 0.8])
    for angle in (0.0999, 0.1001):
        cross = np.cross(np.eye(3), axis)
        exact = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        got = se3.rotation_from_axisangle(jnp.array(axis * angle, jnp.float32))
        np.testing.assert_allclose(got, exact, atol=1e-7)


def test_gradient_at_zero_is_the_generator():
    jacobian = jax.jacobian(se3.rotation_from_axisangle)(jnp.zeros(3))
    generator_x = [[0, 0, 0], [0, 0, -1], [0, 1, 0]]
    np.testing.assert_array_equal(jacobian[:, :, 0], generator_x)
    assert np.isfinite(jacobian).all()


def test_invert_undoes():
    transform = se3.transform_from_pose(jnp.array([0.3, -0.2, 0.5]), jnp.array([1.0, -2.0, 0.5]))
    np.testing.assert_allclose(transform @ se3.invert(transform), np.eye(4), atol=1e-6)


def test_mirror_changes_the_sign_of_x_in_both_cameras():
    transform = se3.transform_from_pose(jnp.array([0.3, -0.2, 0.5]), jnp.array([1.0, -2.0, 0.5]))
    point = jnp.array([0.7, 0.1, 3.0, 1.0])
    flip = jnp.array([-1.0, 1, 1, 1])
    mirrored = se3.mirror(transform, jnp.array(True))
    np.testing.assert_allclose(mirrored @ (flip * point), flip * (transform @ point), atol=1e-6)
    np.testing.assert_array_equal(se3.mirror(transform, jnp.array(False)), transform)


def test_a_refocused_motion_moves_the_images_middle_alike():
    """And its margins otherwise: that is what tells the focal length of a camera that turns."""
    motion = se3.transform_from_pose(jnp.array([0.01, -0.02, 0.03]), jnp.array([0.1, -0.2, 0.3]))
    np.testing.assert_allclose(se3.refocus(motion, jnp.float32(1)), motion, atol=1e-7)

    def moved(focal, x, y, motion):
        K = camera.centred_intrinsics(jnp.float32(focal), (101, 101))
        pixel = jnp.array([50 + 101 * x, 50 + 101 * y])
        point = jnp.array([x / focal, y / focal, 1.0]) * 5
        return camera.project(camera.transform_points(motion, point), K) - pixel

    factor = 1.5
    refocused = se3.refocus(motion, jnp.float32(factor))
    middle, there = (moved(f, 0.0, 0.0, m) for f, m in ((0.6, motion), (0.9, refocused)))
    np.testing.assert_allclose(there, middle, atol=0.02)
    held = moved(0.9, 0.0, 0.0, motion)
    assert np.abs(held - middle).max() > 0.3 * np.abs(middle).max()
    margin, there = (moved(f, 0.5, 0.1, m) for f, m in ((0.6, motion), (0.9, refocused)))
    assert np.abs(there - margin).max() > 0.2
