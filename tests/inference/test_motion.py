import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax import models
from radepth_jax.data import open_dataset
from radepth_jax.errors import UserError
from radepth_jax.evaluation import odometry
from radepth_jax.geometry import camera, se3
from radepth_jax.geometry.alignment import align
from radepth_jax.inference.disparity import network_input
from radepth_jax.inference.motion import (
    alignment_of,
    check_pose_network,
    motions_along,
    predict_motions,
)
from radepth_jax.runs.saved_model import Model
from radepth_jax.training.motions import predict_poses
from radepth_jax.views import ViewOptions, make_views

RESOLUTION = (64, 32)


@pytest.fixture(scope="module")
def network(reference_config):
    networks = models.build(reference_config.model)
    return networks, models.init_variables(networks, jax.random.key(0), RESOLUTION)


@pytest.fixture(scope="module")
def images(street_dir):
    dataset = open_dataset("street/tiny", street_dir)
    return [dataset.image(position)[0] for position in range(5)]


def test_motions_are_what_training_would_predict(network, images):
    """The middle view of training, through training's own ordering and inversion."""
    networks, variables = network
    options = ViewOptions(resolution=RESOLUTION, names=("middle",), flip=0.0)

    @jax.jit
    def as_trained(frames):  # target first, then the earlier and the later source
        size = jnp.array(frames.shape[1:3])
        views = make_views(jax.random.key(0), frames, size, jnp.eye(3), options=options)

        def apply_pose(pairs, groups):
            return networks.pose.apply(variables["pose"], pairs, train=False), None

        return predict_poses(apply_pose, views["middle"].images[None], (0, -1, 1), None)[0][0]

    axisangle, translation = motions_along(
        variables, images, networks=networks, resolution=RESOLUTION, canvas=(32, 96), batch_size=4
    )
    later_T_earlier = odometry.motions(axisangle, translation)
    assert np.abs(translation).max() > 1e-5
    for i in (1, 3):
        earlier_T_target, later_T_target = as_trained(
            jnp.stack([images[i], images[i - 1], images[i + 1]])
        )
        np.testing.assert_allclose(later_T_target, later_T_earlier[i], atol=1e-6)
        np.testing.assert_allclose(
            earlier_T_target, odometry.invert(later_T_earlier[i - 1]), atol=1e-6
        )


@pytest.mark.parametrize("batch_size", [1, 3])
def test_batches_change_nothing(network, images, batch_size):
    networks, variables = network
    settings = {"networks": networks, "resolution": RESOLUTION, "canvas": (32, 96)}
    expected = motions_along(variables, images, batch_size=4, **settings)
    got = motions_along(variables, iter(images), batch_size=batch_size, **settings)
    for ours, theirs in zip(got, expected, strict=True):
        assert ours.shape == (4, 3)
        np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_recordings_of_all_lengths_and_sizes_share_one_compilation(network, images):
    networks, variables = network
    before = predict_motions._cache_size()
    for frames in (images, images[:2], [image[:30, :90] for image in images[:3]], images[:1]):
        axisangle, _ = motions_along(
            variables,
            frames,
            networks=networks,
            resolution=RESOLUTION,
            canvas=(32, 96),
            batch_size=2,
        )
        assert len(axisangle) == len(frames) - 1
    assert predict_motions._cache_size() == before + 1


def test_a_pose_network_must_be_trained(network, reference_config):
    networks, variables = network
    config = reference_config.copy_and_resolve_references()
    model = Model("run", networks, variables, config, step=0)
    with pytest.raises(UserError, match=r"runs/x: .* never trained \(it is as it was first drawn"):
        check_pose_network(model, "runs/x")
    trained = variables | {"pose": jax.tree.map(lambda leaf: leaf * 1.001, variables["pose"])}
    check_pose_network(dataclasses.replace(model, variables=trained), "runs/x")
    config.data.frame_offsets = (0, "s")
    with pytest.raises(UserError, match=r"runs/x: .* \(data.frame_offsets is \(0, 's'\)\)"):
        check_pose_network(dataclasses.replace(model, variables=trained), "runs/x")


def test_alignment_goes_on_from_the_networks_answer(network, images, reference_config):
    networks, variables = network
    intrinsics = np.array([[60.0, 0, 47], [0, 60, 15], [0, 0, 1]], np.float32)
    config = reference_config.copy_and_resolve_references()
    model = Model("run", networks, variables, config, step=0)
    assert alignment_of(model, intrinsics) is None
    config.pose.align = (2, 1, 1)
    assert alignment_of(model, np.full((3, 3), np.nan)) is None
    settings = {"networks": networks, "resolution": RESOLUTION, "canvas": (32, 96)}
    plain = motions_along(variables, images, **settings)
    aligned = motions_along(
        variables, images, alignment=alignment_of(model, intrinsics), **settings
    )
    assert np.abs(aligned[1] - plain[1]).max() > 1e-4

    # One pair by hand.
    height, width = images[1].shape[:2]
    small = [
        network_input(jnp.asarray(image), jnp.array([height, width]), RESOLUTION)
        for image in images[1:3]
    ]
    disparity = networks.depth.apply(variables["depth"], small[0][None], train=False)[0][0]
    depth = camera.depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
    resized = camera.resize_intrinsics(jnp.array(intrinsics), (height, width), RESOLUTION[::-1])
    start = se3.transform_from_pose(*(jnp.array(part[1]) for part in plain))
    expected = align(*small, depth, resized, start, factors=(2, 1, 1))
    got = odometry.motions(*(part[1:2] for part in aligned))[0]
    np.testing.assert_allclose(got, expected, atol=1e-4)
