import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.geometry import sampling

RNG = np.random.default_rng(0)
IMAGE = jnp.array(RNG.random((7, 11, 3)), jnp.float32)
K = jnp.array([[6.0, 0.0, 5.2], [0.0, 7.0, 2.9], [0.0, 0.0, 1.0]])


def by_hand(image, u, v):
    """Bilinear value with clamped borders, one pixel at a time."""
    h, w, _ = image.shape
    u, v = min(max(u, 0), w - 1), min(max(v, 0), h - 1)
    x, y = min(int(u), w - 2), min(int(v), h - 2)
    a, b = u - x, v - y
    return (
        image[y, x] * (1 - a) * (1 - b)
        + image[y, x + 1] * a * (1 - b)
        + image[y + 1, x] * (1 - a) * b
        + image[y + 1, x + 1] * a * b
    )


@given(u=st.floats(-30, 30, width=32), v=st.floats(-30, 30, width=32))
def test_sample_is_bilinear_with_clamped_borders(u, v):
    got = sampling.sample(IMAGE, jnp.array([u, v], jnp.float32))
    np.testing.assert_allclose(got, by_hand(np.asarray(IMAGE), u, v), atol=1e-5)


def test_a_valid_part_samples_as_if_cropped():
    coordinates = jnp.array(RNG.uniform(-3, 14, (50, 2)), jnp.float32)
    cropped = sampling.sample(IMAGE[:5, :8], coordinates)
    part = jax.jit(lambda size: sampling.sample(IMAGE, coordinates, size=size))(jnp.array([5, 8]))
    np.testing.assert_allclose(part, cropped, atol=1e-6)


def test_gradient_is_the_local_slope_inside_and_zero_outside():
    def value(point):
        return sampling.sample(IMAGE, point)[0]

    slope = jax.grad(value)(jnp.array([3.3, 2.6]))
    step = 1e-2
    for axis in range(2):
        move = step * jnp.eye(2)[axis]
        numeric = (value(jnp.array([3.3, 2.6]) + move) - value(jnp.array([3.3, 2.6]) - move)) / 0.02
        np.testing.assert_allclose(slope[axis], numeric, rtol=1e-3)
    np.testing.assert_array_equal(jax.grad(value)(jnp.array([-2.0, 9.0])), [0, 0])
    np.testing.assert_array_equal(jax.grad(lambda i: sampling.sample(i, slope).sum())(IMAGE), 0)


@given(seed=st.integers(0, 1000), exponent=st.floats(-1, 2))
def test_identity_warps_an_image_onto_itself_at_any_depth(seed, exponent):
    depth = 10**exponent * np.random.default_rng(seed).uniform(0.5, 2, (7, 11, 1))
    warped = sampling.warp(IMAGE, jnp.array(depth, jnp.float32), K, jnp.eye(4))
    np.testing.assert_allclose(warped, IMAGE, atol=1e-5)


def test_gradients_stay_finite_for_points_at_and_behind_the_camera():
    def loss(depth, transform):
        return sampling.warp(IMAGE, depth, K, transform).sum()

    depth = jnp.ones((7, 11, 1))
    for back in (-1.0, -1.0 - 1e-7, -3.0):
        transform = jnp.eye(4).at[2, 3].set(back)
        for gradient in jax.grad(loss, argnums=(0, 1))(depth, transform):
            assert np.isfinite(gradient).all()
