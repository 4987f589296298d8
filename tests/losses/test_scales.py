"""The objective of disparities at several scales (Monodepth2)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.losses import LossOptions, objective
from radepth_jax.views import ViewOptions, make_views

H, W = 32, 64
RNG = np.random.default_rng(1)
OPTIONS = LossOptions()


@pytest.fixture(scope="module")
def sample():
    """All three views of random frames, four scales of disparity each, a small motion."""
    views = make_views(
        jax.random.key(4),
        jnp.array(RNG.integers(0, 256, (2, 48, 96, 3), np.uint8)),
        jnp.array([48, 96]),
        jnp.array([[90.0, 0, 48], [0, 90.0, 24], [0, 0, 1]]),
        options=ViewOptions(resolution=(W, H)),
    )
    disparities = tuple(
        jnp.array(RNG.uniform(0.05, 0.3, (3, H >> scale, W >> scale, 1)), jnp.float32)
        for scale in range(4)
    )
    return views, disparities, jnp.eye(4).at[0, 3].set(0.05)[None]


@jax.jit
def judge(views, disparities, transforms):
    return objective(views, disparities, transforms, jax.random.key(0), options=OPTIONS)


def enlarge(disparity):
    return jax.image.resize(disparity, (3, H, W, 1), "linear", antialias=False)


def test_photometric_is_the_mean_over_scales_brought_to_full_size(sample):
    views, disparities, transforms = sample
    _, together, _ = judge(views, disparities, transforms)
    alone = [judge(views, (enlarge(disparity),), transforms)[1] for disparity in disparities]
    for name in views.names:
        term = f"photometric_{name}"
        expected = np.mean([terms[term] for terms in alone])
        np.testing.assert_allclose(together[term], expected, rtol=1e-5)


def test_smoothness_is_measured_at_each_scale_and_halved(sample):
    views, disparities, transforms = sample
    _, terms, _ = judge(views, disparities, transforms)

    def smoothness(disparity, image):
        normalised = disparity / (disparity.mean() + 1e-7)
        total = 0.0
        for axis in (0, 1):
            edges = np.abs(np.diff(image, axis=axis)).mean(-1, keepdims=True)
            total += (np.abs(np.diff(normalised, axis=axis)) * np.exp(-edges)).mean()
        return total

    middle = views.names.index("middle")
    target = np.asarray(views["middle"].images[0])
    expected = 0.0
    for scale, disparity in enumerate(disparities):
        size = 2**scale
        small = target.reshape(H // size, size, W // size, size, 3).mean((1, 3))
        expected += smoothness(np.asarray(disparity[middle]), small) / size / 4
    np.testing.assert_allclose(terms["smoothness_middle"], expected, rtol=1e-4)


def test_consistency_and_pictures_are_of_the_finest_scale(sample):
    views, disparities, transforms = sample
    _, terms, pictures = judge(views, disparities, transforms)
    _, expected, expected_pictures = judge(views, disparities[:1], transforms)
    for name in ("consistency_high", "consistency_low", "disparity_mean_middle", "automasked"):
        np.testing.assert_allclose(terms[name], expected[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(pictures["warped"], expected_pictures["warped"], atol=1e-6)


def test_every_scale_has_a_gradient(sample):
    views, disparities, transforms = sample
    gradients = jax.jit(jax.grad(lambda d: judge(views, d, transforms)[0]))(disparities)
    for gradient in jax.tree.leaves(gradients):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).max() > 0
