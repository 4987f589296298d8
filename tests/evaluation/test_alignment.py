import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from radepth_jax.evaluation.alignment import ALIGNMENTS, align, umeyama
from radepth_jax.evaluation.odometry import chain, motions

seeds = st.integers(0, 10_000)


def drive(seed: int, frames: int = 12) -> np.ndarray:
    random = np.random.default_rng(seed)
    steps = random.normal([0, 0, -1], [0.1, 0.05, 0.3], (frames - 1, 3))
    return chain(motions(random.normal(0, 0.1, (frames - 1, 3)), steps))


def elsewhere(seed: int) -> np.ndarray:
    random = np.random.default_rng([seed, 1])
    return motions(random.normal(size=(1, 3)), random.normal(0, 30, (1, 3)))


@given(seeds)
def test_umeyama_recovers_a_similarity(seed):
    random = np.random.default_rng(seed)
    points = random.normal(size=(12, 3))
    R = Rotation.random(random_state=seed).as_matrix()
    scale, t = random.uniform(0.1, 10), random.normal(0, 10, 3)
    got = umeyama(points, scale * points @ R.T + t)
    assert got[0] == pytest.approx(scale)
    np.testing.assert_allclose(got[1], R, atol=1e-9)
    np.testing.assert_allclose(got[2], t, atol=1e-9)


@given(seeds, st.booleans())
def test_umeyama_rotates_as_scipy_does(seed, mirrored):
    random = np.random.default_rng(seed)
    source = random.normal(size=(9, 3))
    target = source + random.normal(0, 0.3, (9, 3))
    if mirrored:  # no rotation fits: the best one is still a rotation
        target[:, 0] *= -1
    scale, R, t = umeyama(source, target)
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    expected = Rotation.align_vectors(b, a)[0].as_matrix()
    np.testing.assert_allclose(R, expected, atol=1e-6)
    rotated = a @ expected.T
    assert scale == pytest.approx((b * rotated).sum() / (rotated**2).sum(), rel=1e-6)
    np.testing.assert_allclose(t, target.mean(axis=0) - scale * R @ source.mean(axis=0), atol=1e-9)


def test_umeyama_without_scale_keeps_the_size():
    random = np.random.default_rng(0)
    points = random.normal(size=(12, 3))
    R = Rotation.random(random_state=0).as_matrix()
    scale, got, t = umeyama(points, 3 * points @ R.T + 5, with_scale=False)
    assert scale == 1
    np.testing.assert_allclose(got, R, atol=1e-9)
    np.testing.assert_allclose(t, 5 + 2 * R @ points.mean(axis=0), atol=1e-9)
    scale, got, t = umeyama(np.ones((3, 3)), points[:3], with_scale=False)
    np.testing.assert_allclose(np.ones(3) + t, points[:3].mean(axis=0))


@given(seeds, st.sampled_from(list(ALIGNMENTS)))
def test_the_world_of_a_prediction_does_not_matter(seed, alignment):
    truth, predicted = elsewhere(seed) @ drive(seed), drive(seed + 1)
    one, scale = align(predicted, truth, alignment)
    other, other_scale = align(elsewhere(seed + 1) @ predicted, truth, alignment)
    assert other_scale == pytest.approx(scale, rel=1e-6)
    np.testing.assert_allclose(one, other, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(one[:, :3, :3]), 1)


@given(seeds, st.sampled_from(["scale", "7dof"]))
def test_the_scale_of_a_prediction_is_found(seed, alignment):
    truth = elsewhere(seed) @ drive(seed)
    predicted = drive(seed)
    predicted[:, :3, 3] /= 20
    aligned, scale = align(predicted, truth, alignment)
    assert scale == pytest.approx(20)
    np.testing.assert_allclose(aligned, truth, atol=1e-8)


@pytest.mark.parametrize("alignment", ["origin", "6dof"])
def test_rigid_alignments_keep_the_scale(alignment):
    predicted = drive(0)
    predicted[:, :3, 3] /= 20
    aligned, scale = align(predicted, drive(0), alignment)
    assert scale == 1
    size = np.linalg.norm(aligned[-1, :3, 3] - aligned[0, :3, 3])
    assert size == pytest.approx(np.linalg.norm(predicted[-1, :3, 3]))


def test_what_each_alignment_makes_smallest():
    truth, predicted = elsewhere(0) @ drive(0), drive(1)

    def error(alignment):
        return np.sum((align(predicted, truth, alignment)[0] - truth)[:, :3, 3] ** 2)

    assert error("7dof") < min(error("6dof"), error("scale"))
    assert max(error("6dof"), error("scale")) < error("origin")
    np.testing.assert_allclose(align(predicted, truth, "origin")[0][0], truth[0], atol=1e-9)
    np.testing.assert_allclose(align(predicted, truth, "scale")[0][0], truth[0], atol=1e-9)


def test_a_camera_that_never_moved_has_scale_zero():
    still = np.tile(np.eye(4), (12, 1, 1))
    for alignment in ("scale", "7dof"):
        aligned, scale = align(still, drive(0), alignment)
        assert scale == 0
        assert np.isfinite(aligned).all()
