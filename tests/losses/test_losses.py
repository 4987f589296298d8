import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.losses.consistency import (
    consistency,
    overlap,
    round_ratio,
)
from radepth_jax.losses.photometric import minimum_reprojection, photometric_error
from radepth_jax.losses.region import Region, masked_mean
from radepth_jax.losses.smoothness import smoothness
from radepth_jax.losses.ssim import ssim

H, W = 16, 24
RNG = np.random.default_rng(1)
IMAGES = jnp.array(RNG.random((4, H, W, 3)), jnp.float32)
ALL = jnp.ones((H, W), bool)


def test_photometric_error_is_its_formula():
    a, b = IMAGES[0], IMAGES[1]
    l1 = np.abs(a - b).mean(-1)
    dissimilarity = np.clip((1 - np.asarray(ssim(a, b))) / 2, 0, 1).mean(-1)
    np.testing.assert_allclose(photometric_error(a, b), 0.85 * dissimilarity + 0.15 * l1, atol=1e-6)
    np.testing.assert_allclose(photometric_error(a, b, ssim_weight=0.0), l1, atol=1e-6)
    np.testing.assert_allclose(photometric_error(a, a), 0, atol=1e-5)


def test_the_best_source_of_each_pixel_counts():
    target, other = IMAGES[0], IMAGES[1]
    half = (jnp.arange(W) < W // 2)[None, :, None]
    warped = jnp.stack([jnp.where(half, target, other), jnp.where(half, other, target)])
    best = minimum_reprojection(
        target, warped, warped, jax.random.key(0), automask=False, ssim_weight=0.0
    )
    np.testing.assert_allclose(best.error, 0, atol=1e-6)
    np.testing.assert_array_equal(best.source[:, : W // 2], 0)
    np.testing.assert_array_equal(best.source[:, W // 2 :], 1)
    assert best.warped_won.all()


def test_pixels_that_an_unwarped_source_explains_are_masked():
    target, other = IMAGES[0], IMAGES[1]
    key = jax.random.key(0)
    still = minimum_reprojection(target, target[None], other[None], key)
    assert not still.warped_won.any()
    moving = minimum_reprojection(target, other[None], target[None], key)
    assert moving.warped_won.all()
    # A tie goes to the unwarped source without noise, to either with it.
    tie = minimum_reprojection(target, other[None], other[None], key, noise=0)
    assert not tie.warped_won.any()
    tie = minimum_reprojection(target, other[None], other[None], key)
    assert 0.3 < tie.warped_won.mean() < 0.7


def test_masked_pixels_have_no_gradient():
    def loss(warped):
        best = minimum_reprojection(IMAGES[0], IMAGES[:1], warped, jax.random.key(0))
        return best.error.sum()

    np.testing.assert_array_equal(jax.grad(loss)(IMAGES[1:2]), 0)


def test_smoothness_of_a_ramp():
    # d* = u / mean(u), mean |d_x d*| = 1 / mean(u); a flat image has no edges.
    ramp = jnp.broadcast_to(1.0 + jnp.arange(W)[None, :, None], (H, W, 1))
    flat = jnp.ones((H, W, 3))
    np.testing.assert_allclose(smoothness(ramp, flat), 1 / np.mean(1.0 + np.arange(W)), rtol=1e-5)
    steep = jnp.broadcast_to(jnp.arange(W)[None, :, None], (H, W, 3)) * 1.0
    np.testing.assert_allclose(
        smoothness(ramp, steep), np.exp(-1) / np.mean(1.0 + np.arange(W)), rtol=1e-5
    )


def test_smoothness_of_a_region_is_as_if_cropped():
    disparity = IMAGES[2, ..., :1]
    region = Region(0, 0, jnp.int32(11), jnp.int32(17))
    np.testing.assert_allclose(
        smoothness(disparity, IMAGES[0], region=region),
        smoothness(disparity[:11, :17], IMAGES[0, :11, :17]),
        rtol=1e-5,
    )


def test_masked_mean():
    values = jnp.array([1.0, 2.0, jnp.nan])
    assert masked_mean(values, jnp.array([True, True, False])) == 1.5
    assert masked_mean(values, jnp.zeros(3, bool)) == 0


@given(numerator=st.integers(0, 10_000), denominator=st.integers(1, 3000))
def test_ratios_round_as_in_python(numerator, denominator):
    got = round_ratio(jnp.int32(numerator), jnp.int32(denominator))
    assert got == round(numerator / denominator)


def scene(rows, columns):
    """A smooth disparity as a function of position, both in [0, 1]."""
    wave = np.sin(5 * rows)[:, None] + np.cos(7 * columns)[None, :]
    return jnp.array(0.3 + 0.1 * wave, jnp.float32)[..., None]


def centres(length, size, offset=0):
    return (np.arange(length) + offset + 0.5) / size


@given(h=st.integers(18, 32), w=st.integers(27, 48), y=st.floats(0, 1), x=st.floats(0, 1))
def test_views_that_agree_have_no_consistency_loss(h, w, y, x):
    offset = (round(y * (h - H)), round(x * (w - W)))
    middle = scene(centres(H, H), centres(W, W))
    high = scene(centres(H, h, offset[0]), centres(W, w, offset[1]))
    shared = jitted_overlap(jnp.array([h, w]), jnp.array(offset))
    agreeing = jitted_consistency(middle, high, ALL, shared)
    # The overlap is rounded to whole pixels (METHOD, section 5), so agreement is not exact.
    opposite = jitted_consistency(middle, 0.6 - high, ALL, shared)
    assert agreeing < 0.03
    assert agreeing < 0.1 * opposite


@given(h=st.integers(11, 15), w=st.integers(16, 22))
def test_low_views_that_agree_have_no_consistency_loss(h, w):
    middle = scene(centres(H, H), centres(W, W))
    low = np.full((H, W, 1), 0.9, np.float32)  # the filler must not matter
    low[:h, :w] = scene(centres(h, h), centres(w, w))
    shared = overlap((H, W), jnp.array([h, w]), jnp.zeros(2, jnp.int32))
    assert jitted_consistency(middle, jnp.array(low), ALL, shared) < 0.01


@jax.jit
def jitted_overlap(size, offset):
    return overlap((H, W), size, offset)


jitted_consistency = jax.jit(consistency)


def test_overlap_and_resize_are_methods():
    """METHOD section 5 by hand, on static sizes."""
    h, w, y, x = 21, 37, 3, 9
    middle, high = IMAGES[0, ..., :1], IMAGES[1, ..., :1]
    top, left = round(H * y / h), round(W * x / w)
    rows, columns = round(H * H / h), round(W * W / w)
    resized = jax.image.resize(high, (rows, columns, 1), "linear", antialias=False)
    crop = middle[top : top + rows, left : left + columns]
    mask = jnp.array(RNG.random((H, W)) < 0.5)
    inside = mask[top : top + rows, left : left + columns]
    expected = photometric_error(crop, resized)[inside].mean()
    shared = overlap((H, W), jnp.array([h, w]), jnp.array([y, x]))
    np.testing.assert_allclose(consistency(middle, high, mask, shared), expected, rtol=1e-4)


def test_consistency_reaches_both_sides():
    shared = overlap((H, W), jnp.array([12, 18]), jnp.zeros(2, jnp.int32))
    gradients = jax.grad(consistency, argnums=(0, 1))(
        IMAGES[0, ..., :1], IMAGES[1, ..., :1], ALL, shared
    )
    for gradient in gradients:
        assert np.abs(gradient).max() > 0
    np.testing.assert_array_equal(gradients[1][12:], 0)
    np.testing.assert_array_equal(gradients[1][:, 18:], 0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_consistency_without_any_pixel_is_zero_and_finite(share):
    mask = jnp.full((H, W), share > 0)
    shared = overlap((H, W), jnp.array([H, W]), jnp.array([0, 0]))
    value, gradient = jax.value_and_grad(consistency)(
        IMAGES[0, ..., :1], IMAGES[1, ..., :1], mask, shared
    )
    assert np.isfinite(gradient).all()
    assert (value > 0) == (share > 0)
