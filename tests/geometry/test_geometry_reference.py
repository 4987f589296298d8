"""Parity with the published PyTorch geometry.

`geometry.npz` holds what the published PyTorch code of RA-Depth computed on random inputs.
"""

from pathlib import Path

import jax
import numpy as np
import pytest

from radepth_jax.geometry import camera, sampling, se3


@pytest.fixture(scope="module")
def reference():
    with np.load(Path(__file__).parent.parent / "reference" / "geometry.npz") as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def test_pose_vectors(reference):
    transform = jax.vmap(se3.transform_from_pose)(
        reference["axisangle"][:, 0], reference["translation"][:, 0]
    )
    np.testing.assert_allclose(transform, reference["pose"], atol=1e-5)
    np.testing.assert_allclose(
        jax.vmap(se3.invert)(transform), reference["pose_inverted"], atol=1e-5
    )


def test_depth_from_disparity(reference):
    depth = camera.depth_from_disparity(reference["smooth_disp"], min_depth=0.1, max_depth=100.0)
    np.testing.assert_allclose(depth, reference["depth_from_disp"], rtol=1e-5)


@pytest.fixture(scope="module")
def intrinsics(reference):
    """The published code adds the crop offset to pixel coordinates; here it moves cx, cy."""
    x, y = reference["crop_offset_xy"].T
    return jax.vmap(camera.crop_intrinsics)(reference["intrinsics"][:, :3, :3], np.stack([y, x], 1))


def test_projection(reference, intrinsics):
    points = jax.vmap(camera.back_project)(reference["depth"], intrinsics)
    np.testing.assert_allclose(points, reference["camera_points"], rtol=1e-5, atol=1e-5)
    moved = jax.vmap(camera.transform_points)(reference["target_to_source"], points)
    pixels = jax.vmap(camera.project)(moved, intrinsics)
    height, width = points.shape[1:3]
    grid = 2 * np.asarray(pixels) / np.array([width - 1, height - 1]) - 1
    np.testing.assert_allclose(grid, reference["sample_grid"], rtol=1e-5, atol=1e-5)


def test_warp(reference, intrinsics):
    warped = jax.vmap(sampling.warp)(
        reference["image"], reference["depth"], intrinsics, reference["target_to_source"]
    )
    # The image is white noise and float32 knows coordinates near 100 to about 1e-5 of a pixel, so a
    # few colours may differ by a little more than that.
    difference = np.abs(warped - reference["warped"])
    assert np.quantile(difference, 0.99) < 1e-5
    assert difference.max() < 3e-5
