import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.geometry import se3
from radepth_jax.geometry.carry import carry, in_front, log_difference, sample_depth

K = jnp.array([[20.0, 0, 11.5], [0, 20.0, 7.5], [0, 0, 1]])
SIZE = (16, 24)


def plane(normal, distance):
    """The depth [H, W] of the plane `normal . x = distance`."""
    v, u = jnp.meshgrid(jnp.arange(16.0), jnp.arange(24.0), indexing="ij")
    x, y = (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]
    return distance / (normal[0] * x + normal[1] * y + normal[2])


def sideways(x):
    return jnp.eye(4).at[0, 3].set(x)


def test_a_step_forward_brings_points_nearer_by_the_step():
    """By hand: at z = 4, one unit ahead, pixel 8.5 right of the middle is seen at 8.5 * 4 / 3."""
    carried = carry(jnp.full(SIZE, 4.0), K, jnp.eye(4).at[2, 3].set(-1.0))
    np.testing.assert_allclose(carried.depth, 3.0, rtol=1e-6)
    np.testing.assert_allclose(carried.place[7, 20], [11.5 + 8.5 * 4 / 3, 7.5 - 0.5 * 4 / 3])
    u = 11.5 + (np.arange(24) - 11.5) * 4 / 3
    v = 7.5 + (np.arange(16) - 7.5) * 4 / 3
    expected = ((v >= 0) & (v <= 15))[:, None] & ((u >= 0) & (u <= 23))[None]
    np.testing.assert_array_equal(carried.inside, expected)


def test_what_is_behind_the_camera_or_beyond_the_true_size_is_outside():
    behind = carry(jnp.full(SIZE, 4.0), K, jnp.eye(4).at[2, 3].set(-5.0))
    assert not behind.inside.any()
    part = carry(jnp.full(SIZE, 4.0), K, jnp.eye(4), size=jnp.array([10, 7]))
    np.testing.assert_array_equal(part.inside.sum(), 70)


@given(seed=st.integers(0, 1000), scale=st.floats(0.1, 50))
def test_a_plane_agrees_with_itself_after_any_motion(seed, scale):
    rng = np.random.default_rng(seed)
    normal = jnp.array([*rng.uniform(-0.3, 0.3, 2), 1.0])
    motion = se3.transform_from_pose(
        jnp.array(rng.normal(0, 0.05, 3), jnp.float32),
        jnp.array(scale * rng.normal(0, 0.2, 3), jnp.float32),
    )
    # x' = R x + t turns `n . x = d` into `R n . x' = d + R n . t`.
    turned = motion[:3, :3] @ normal
    distance = 3.0 * scale
    before = plane(normal, distance)
    after = plane(turned, distance + turned @ motion[:3, 3])
    carried = carry(before, K, motion)
    assert carried.inside.mean() > 0.2
    assert jnp.abs(log_difference(carried, after)).max() < 2e-5
    np.testing.assert_array_equal(log_difference(carried, after)[~carried.inside], 0)


@given(factor=st.floats(0.5, 2))
def test_a_later_frame_of_another_scale_differs_by_the_logarithm_of_the_scale(factor):
    carried = carry(plane(jnp.array([0.1, 0.2, 1]), 3.0), K, jnp.eye(4))
    later = factor * plane(jnp.array([0.1, 0.2, 1]), 3.0)
    inside = np.asarray(carried.inside)
    assert inside.any()
    difference = np.asarray(log_difference(carried, later))[inside]
    np.testing.assert_allclose(difference, -np.log(factor), atol=2e-5)


def test_inverse_depth_is_what_is_interpolated():
    depth = jnp.array([[1.0, 3.0], [1.0, 3.0]])
    got = sample_depth(depth, jnp.array([[[0.5, 0.5]]]))
    np.testing.assert_allclose(got, 1 / (0.5 * (1 + 1 / 3)), rtol=1e-6)


def test_a_near_post_hides_what_its_parallax_covers():
    """The post at z = 2 moves 3.9 pixels left, and the wall at z = 8 about one pixel.

    The post's columns 12 to 15 come to 8 to 11. With one more on each side, 7 to 12 are covered, so
    the wall's columns 8 to 13 would be hidden, of which 12 and 13 are the post's own.
    """
    depth = jnp.full(SIZE, 8.0).at[:, 12:16].set(2.0)
    visible = in_front(carry(depth, K, sideways(-0.39)))
    columns = np.flatnonzero(~np.asarray(visible)[8])
    # Column 0 leaves the image.
    np.testing.assert_array_equal(columns, [0, 8, 9, 10, 11])


def test_a_surface_does_not_hide_itself():
    depth = plane(jnp.array([0.2, 0.3, 1]), 3.0)
    carried = carry(depth, K, sideways(-0.2))
    np.testing.assert_array_equal(in_front(carried), carried.inside)


def test_flicker_of_the_later_frame_hides_nothing():
    """`in_front` is not told the later depth; a jump of the whole earlier frame hides nothing."""
    carried = carry(jnp.full(SIZE, 8.0), K, sideways(-0.4))
    np.testing.assert_array_equal(in_front(carried), carried.inside)
    difference = log_difference(carried, jnp.full(SIZE, 16.0))
    np.testing.assert_allclose(difference[carried.inside], -np.log(2), rtol=1e-5)
