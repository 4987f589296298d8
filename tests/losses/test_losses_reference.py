"""Parity with the published PyTorch losses.

`losses_N.npz` holds one sample each: three views of three random smooth frames, disparities, poses,
and what the published PyTorch code of RA-Depth made of them, without tie-breaking noise: warped
images, every loss term, and the gradient of their total by each disparity. `geometry.npz` holds its
SSIM and smoothness on random images.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from radepth_jax.geometry import camera
from radepth_jax.geometry.camera import crop_intrinsics, depth_from_disparity
from radepth_jax.geometry.sampling import warp
from radepth_jax.losses import LossOptions, objective
from radepth_jax.losses.consistency import consistency, overlap
from radepth_jax.losses.photometric import minimum_reprojection, photometric_error
from radepth_jax.losses.smoothness import smoothness
from radepth_jax.losses.ssim import ssim
from radepth_jax.views import Views

REFERENCE = Path(__file__).parent.parent / "reference"
LETTERS = {"high": "H", "middle": "M", "low": "L"}
OFFSETS = (0, -1, 1)
OPTIONS = LossOptions(noise=0)


def load(name):
    with np.load(REFERENCE / f"{name}.npz") as file:
        return {key: file[key].astype(np.float32) for key in file.files}


@pytest.fixture(scope="module", params=[0, 1, 2])
def sample(request):
    return load(f"losses_{request.param}")


def build(sample):
    """Views, disparities and transforms of a reference sample."""
    size = {
        "high": sample["high_size_wh"][::-1],
        "middle": np.array([64, 192]),
        "low": sample["low_size_wh"][::-1],
    }
    arrays, disparities = [], []
    for name, letter in LETTERS.items():
        offset = sample["high_crop_xy"][::-1] if name == "high" else np.zeros(2)
        intrinsics = jnp.array(sample[f"intrinsics_{letter}"][0, :3, :3])
        arrays.append(
            {
                "images": jnp.stack([sample[f"image_{letter}_{i}"][0] for i in OFFSETS]),
                # The published code adds the crop to pixel coordinates instead.
                "intrinsics": crop_intrinsics(intrinsics, offset),
                "size": jnp.array(size[name], jnp.int32),
                "offset": jnp.array(offset, jnp.int32),
            }
        )
        disparities.append(jnp.array(sample[f"disp_{letter}"][0]))
    views = Views(tuple(LETTERS), **jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays))
    transforms = jnp.stack([sample[f"target_to_source_{i}"][0] for i in OFFSETS[1:]])
    return views, jnp.stack(disparities), transforms


@jax.jit
def judge(views, disparities, transforms):
    def loss(disparities):
        total, terms, pictures = objective(
            views,
            (disparities,),
            transforms,
            jax.random.key(0),
            options=OPTIONS,
        )
        return total, (terms, pictures["automask"])

    return jax.value_and_grad(loss, has_aux=True)(disparities)


def published_reprojection(sample, letter):
    """Errors [4, H, W] of the published warped images and of the unwarped ones, and what won."""
    images = jnp.stack([sample[f"image_{letter}_{i}"][0] for i in OFFSETS])
    warped = jnp.stack([sample[f"warped_{letter}_{i}"][0] for i in OFFSETS[1:]])
    errors = photometric_error(jnp.concatenate([warped, images[1:]]), images[:1])
    best = minimum_reprojection(images[0], images[1:], warped, jax.random.key(0), noise=0)
    return np.asarray(errors), np.asarray(best.warped_won)


def tie_gap(errors):
    """How far apart the two smallest errors of each pixel are, [H, W]."""
    smallest, second = np.sort(errors, axis=0)[:2]
    return second - smallest


def test_terms(sample):
    (total, (terms, mask)), _ = judge(*build(sample))
    np.testing.assert_allclose(total, sample["total"], rtol=1e-4)
    for name, letter in LETTERS.items():
        got = (
            terms[f"photometric_{name}"]
            + OPTIONS.weights["smoothness"] * terms[f"smoothness_{name}"]
        )
        np.testing.assert_allclose(
            got, sample[f"photometric_plus_smoothness_{letter}"], rtol=1e-4, err_msg=name
        )
    # Rounding may decide whether a pixel belongs to the mask, but only where two errors are equal.
    errors, published_mask = published_reprojection(sample, "M")
    flipped = np.asarray(mask) != published_mask
    assert (tie_gap(errors)[flipped] < 1e-5).all()
    assert flipped.sum() <= 1
    for name in ("high", "low"):
        expected = sample[f"consistency_{LETTERS[name]}"]
        rtol = 3e-4 if flipped.any() else 1e-4  # a pixel is 1/12,288 of the mean
        np.testing.assert_allclose(terms[f"consistency_{name}"], expected, rtol=rtol, err_msg=name)


def test_consistency_with_the_published_mask(sample):
    views, disparities, _ = build(sample)
    _, mask = published_reprojection(sample, "M")
    by_name = dict(zip(views.names, disparities, strict=True))
    middle, high, low = by_name["middle"], views["high"], views["low"]
    shared = overlap((64, 192), high.size, high.offset)
    got = consistency(middle, by_name["high"], mask, shared)
    np.testing.assert_allclose(got, sample["consistency_H"], rtol=1e-5)
    shared = overlap((64, 192), low.size, low.offset)
    got = consistency(middle, by_name["low"], mask, shared)
    np.testing.assert_allclose(got, sample["consistency_L"], rtol=1e-5)


def at_kinks(sample, name):
    """Pixels where the loss has a kink within rounding, bool [H, W].

    There, two errors in the pixel's SSIM window are equal, or it samples a source at a pixel's
    centre; which side's gradient it gets is a matter of rounding, in either implementation.
    """
    errors, _ = published_reprojection(sample, LETTERS[name])
    tie = scipy.ndimage.minimum_filter(tie_gap(errors), size=3) < 1e-5
    views, disparities, transforms = build(sample)
    disparity = disparities[views.names.index(name)]
    depth = depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
    points = camera.back_project(depth, views[name].intrinsics)
    for transform in transforms:
        moved = camera.transform_points(transform, points)
        coordinates = np.asarray(camera.project(moved, views[name].intrinsics))
        tie |= np.abs(coordinates - np.round(coordinates)).min(axis=-1) < 5e-5
    return tie


def test_gradients(sample):
    (_, (_, mask)), gradients = judge(*build(sample))
    # A pixel that rounding moves into the mask or out of it moves the consistency's gradients.
    flipped = (np.asarray(mask) != published_reprojection(sample, "M")[1]).any()
    for (name, letter), gradient in zip(LETTERS.items(), gradients, strict=True):
        expected = sample[f"grad_disp_{letter}"][0, ..., 0]
        difference = np.asarray(gradient)[..., 0] - expected
        norm, kinks = np.linalg.norm(expected), at_kinks(sample, name)
        limit = 1e-2 if flipped and name != "middle" else 1e-3
        assert np.linalg.norm(difference[~kinks]) < limit * norm, name
        assert kinks.mean() < 0.01, name
        assert np.linalg.norm(difference) < 2e-2 * norm, name


def test_warped_images(sample):
    views, disparities, transforms = build(sample)
    for (name, letter), disparity in zip(LETTERS.items(), disparities, strict=True):
        depth = depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
        rebuild = jax.vmap(partial(warp, depth=depth, intrinsics=views[name].intrinsics))
        warped = rebuild(views[name].images[1:], source_T_target=transforms)
        for index, offset in enumerate(OFFSETS[1:]):
            expected = sample[f"warped_{letter}_{offset}"][0]
            difference = np.abs(warped[index] - expected)
            assert difference.mean() < 2e-6, name
            # Points almost on the camera's plane are ill-conditioned.
            assert difference.max() < 2e-4, name


def test_ssim():
    reference = load("geometry")
    got = jnp.clip((1 - ssim(reference["ssim_a"], reference["ssim_b"])) / 2, 0, 1)
    np.testing.assert_allclose(got, reference["ssim_loss"], atol=1e-5)


def test_smoothness():
    reference = load("geometry")
    got = jax.vmap(smoothness)(reference["smooth_disp"], reference["ssim_a"])
    np.testing.assert_allclose(
        got.mean(), reference["smooth_loss_of_mean_normalised_disp"], rtol=1e-5
    )
