import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from radepth_jax import models
from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.inference.disparity import (
    disparity_at,
    merge_mirrored,
    network_input,
    predict_disparity,
)


@pytest.fixture
def source(street_dir):
    return EvaluationSource(open_dataset("street/tiny", street_dir), "test")


def test_the_networks_input_is_pillows_lanczos(source):
    sample = source[0]
    h, w = sample["size"]
    expected = Image.fromarray(sample["image"][:h, :w]).resize((64, 32), Image.Resampling.LANCZOS)
    got = network_input(jnp.asarray(sample["image"]), jnp.asarray(sample["size"]), (64, 32))
    assert np.abs(np.asarray(got) * 255 - np.asarray(expected)).mean() < 1


@pytest.mark.parametrize("resolution", [(64, 32), None])
def test_floats_are_taken_as_they_are(micro_config, resolution):
    """Levels divided by 255 beforehand give the same; finer values than levels are kept."""
    networks = models.build(micro_config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    levels = np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), np.uint8)

    @jax.jit
    def predict(images):
        return predict_disparity(
            variables, images, jnp.array([[32, 64]]), networks=networks, resolution=resolution
        )

    floats = jnp.asarray(levels / np.float32(255))
    np.testing.assert_allclose(predict(floats), predict(jnp.asarray(levels)), atol=1e-6)
    finer = jnp.clip(floats + 0.4 / 255, 0, 1)
    assert np.abs(predict(finer) - predict(floats)).max() > 1e-5
    if resolution:
        np.testing.assert_allclose(
            network_input(finer[0], jnp.array([32, 64]), resolution), finer[0], atol=1e-6
        )


def test_disparity_is_resized_bilinearly_to_the_true_size():
    disparity = np.random.default_rng(0).random((32, 64), dtype=np.float32)
    expected = Image.fromarray(disparity).resize((90, 47), Image.Resampling.BILINEAR)
    got = disparity_at(jnp.asarray(disparity)[..., None], (50, 96), jnp.array([47, 90]))
    assert got.shape == (50, 96)
    # Float32 coordinates near 64 are exact to 4e-6.
    np.testing.assert_allclose(got[:47, :90], np.asarray(expected), atol=1e-5)


def test_native_resolution_is_the_network_on_the_edge_padded_image(micro_config):
    networks = models.build(micro_config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    images = np.random.default_rng(0).integers(0, 256, (1, 30, 50, 3), np.uint8)
    padded = np.pad(images, ((0, 0), (0, 2), (0, 14), (0, 0)), mode="edge") / np.float32(255)
    expected = networks.depth.apply(variables["depth"], jnp.asarray(padded))[0][:, :30, :50, 0]
    got = predict_disparity(
        variables,
        jnp.asarray(images),
        jnp.array([[30, 50]]),
        networks=networks,
        resolution=None,
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_disparity_lands_on_the_ground_truths_canvas(micro_config):
    """Also from the network at the image's own size, whose canvas reaches beyond the image."""
    networks = models.build(micro_config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    images = jnp.asarray(np.random.default_rng(0).integers(0, 256, (1, 32, 64, 3), np.uint8))
    sizes, targets = jnp.array([[30, 50]]), jnp.array([[47, 90]])

    def predict(resolution, **target):
        options = {"networks": networks, "resolution": resolution}
        return np.asarray(predict_disparity(variables, images, sizes, **options, **target))[0]

    for resolution, region in (((64, 32), (32, 64)), (None, (30, 50))):
        full = networks.depth.apply(
            variables["depth"],
            network_input(images[0], sizes[0], resolution)[None] if resolution else images / 255.0,
        )[0][0, : region[0], : region[1], 0]
        expected = Image.fromarray(np.asarray(full)).resize((90, 47), Image.Resampling.BILINEAR)
        got = predict(resolution, canvas=(50, 96), output_sizes=targets)
        assert got.shape == (50, 96)
        np.testing.assert_allclose(got[:47, :90], np.asarray(expected), atol=1e-5)
        same = predict(resolution, canvas=(32, 64), output_sizes=sizes)
        np.testing.assert_allclose(same[:30, :50], predict(resolution)[:30, :50], atol=1e-6)


def test_flipping_commutes_with_mirroring_the_image(micro_config, source):
    networks = models.build(micro_config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))

    @jax.jit
    def predict(image):
        size = jnp.asarray(source[0]["size"])[None]
        return predict_disparity(
            variables, image[None], size, networks=networks, resolution=(64, 32), flip=True
        )[0]

    image = jnp.asarray(source[0]["image"])
    np.testing.assert_allclose(predict(image[:, ::-1])[:, ::-1], predict(image), atol=1e-5)


def test_merging_takes_each_border_from_the_side_that_saw_past_it():
    plain, mirrored = jnp.zeros((1, 1, 101, 1)), jnp.ones((1, 1, 101, 1))
    merged = merge_mirrored(plain, mirrored)[0, 0, :, 0]
    np.testing.assert_allclose(merged[:6], 1)
    np.testing.assert_allclose(merged[11:90], 0.5)
    np.testing.assert_allclose(merged[95:], 0)
