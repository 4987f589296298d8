import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.losses.region import Region
from radepth_jax.losses.ssim import ssim, window_mean

RNG = np.random.default_rng(0)
A = jnp.array(RNG.random((9, 12, 3)), jnp.float32)
B = jnp.array(RNG.random((9, 12, 3)), jnp.float32)


def by_hand(a, b):
    """One channel, window by window, on reflected borders."""
    a, b = (np.pad(np.asarray(x, np.float64), 1, mode="reflect") for x in (a, b))
    value = np.empty((a.shape[0] - 2, a.shape[1] - 2))
    for y, x in np.ndindex(value.shape):
        p, q = a[y : y + 3, x : x + 3].ravel(), b[y : y + 3, x : x + 3].ravel()
        covariance = np.mean(p * q) - p.mean() * q.mean()
        value[y, x] = (2 * p.mean() * q.mean() + 1e-4) * (2 * covariance + 9e-4)
        value[y, x] /= (p.mean() ** 2 + q.mean() ** 2 + 1e-4) * (p.var() + q.var() + 9e-4)
    return value


def test_ssim_is_its_definition():
    got = ssim(A, B)
    for channel in range(3):
        np.testing.assert_allclose(
            got[..., channel], by_hand(A[..., channel], B[..., channel]), atol=1e-4
        )


def test_equal_images_have_similarity_one():
    np.testing.assert_allclose(ssim(A, A), 1, atol=1e-5)


@given(top=st.integers(0, 6), left=st.integers(0, 9), h=st.integers(2, 9), w=st.integers(2, 12))
def test_a_traced_region_is_as_if_cropped(top, left, h, w):
    h, w = min(h, 9 - top), min(w, 12 - left)
    got = jitted(A, B, Region(top, left, h, w))
    rows, columns = slice(top, top + h), slice(left, left + w)
    expected = by_hand(A[rows, columns, 0], B[rows, columns, 0])
    np.testing.assert_allclose(got[rows, columns, 0], expected, atol=1e-4)
    assert np.isfinite(got).all()


@jax.jit
def jitted(a, b, region):
    return ssim(a, b, region=region)


@given(top=st.integers(0, 6), left=st.integers(0, 9), h=st.integers(2, 9), w=st.integers(2, 12))
def test_the_derivative_is_the_transpose(top, left, h, w):
    """The window's mean is linear: <mean(a), b> = <a, transposed(b)>, and `jvp` gives mean(b)."""
    region = Region(top, left, min(h, 9 - top), min(w, 12 - left))
    a, b = A[..., 0], B[..., 0]
    mean, transposed, tangent, expected = jitted_window(a, b, region)
    np.testing.assert_allclose(jnp.sum(mean * b), jnp.sum(a * transposed), rtol=1e-5)
    np.testing.assert_allclose(tangent, expected, atol=1e-6)


@jax.jit
def jitted_window(a, b, region):
    def of(x):
        return window_mean(x, region=region)

    mean, derivative = jax.vjp(of, a)
    return mean, derivative(b)[0], jax.jvp(of, (a,), (b,))[1], of(b)


def test_leading_axes_broadcast():
    got = ssim(jnp.stack([A, B]), B[None])
    np.testing.assert_allclose(got[0], ssim(A, B), atol=1e-6)
