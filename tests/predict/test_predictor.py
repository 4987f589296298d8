import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from radepth_jax.errors import UserError
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.inference.depth import depth_of_batch
from radepth_jax.inference.disparity import predict_disparity
from radepth_jax.predict import load
from radepth_jax.predict.predictor import NATIVE_PIXELS, RESIZED_PIXELS


def picture(h, w, seed=0):
    return np.random.default_rng([seed, h, w]).integers(0, 256, (h, w, 3), np.uint8)


def test_one_picture_is_the_networks_depth_at_its_size(predictor):
    image = picture(45, 90)
    disparity = predict_disparity(
        predictor.model.variables,
        jnp.asarray(image)[None],
        jnp.array([[45, 90]]),
        networks=predictor.model.networks,
        resolution=(64, 32),
    )[0]
    expected = depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
    depth = predictor(image)
    assert depth.shape == (45, 90)
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_arrays_lists_and_paths_agree(predictor, tmp_path):
    images = np.stack([picture(40, 70, seed) for seed in range(3)])
    together = predictor(images)
    assert together.shape == (3, 40, 70)
    Image.fromarray(images[2]).save(tmp_path / "2.png")
    listed = predictor([images[0], images[1], tmp_path / "2.png"])
    np.testing.assert_array_equal(np.stack(listed), together)
    np.testing.assert_allclose(predictor(str(tmp_path / "2.png")), together[2], rtol=1e-5)
    np.testing.assert_allclose(predictor(jnp.asarray(images[0])), together[0], rtol=1e-5)


def test_arrays_of_jax_come_out_where_they_are_asked_for(predictor):
    images = np.stack([picture(40, 70, seed) for seed in range(2)])
    for given in (images, images[0], [images[0], images[1]]):
        expected, found = predictor(given), predictor(given, as_jax=True)
        assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(found))
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_floats_are_pictures_too(predictor, tmp_path):
    levels = np.stack([picture(40, 70, seed) for seed in range(3)])
    floats = levels / np.float32(255)
    expected = predictor(levels)
    np.testing.assert_allclose(predictor(floats), expected, rtol=1e-4)
    np.testing.assert_allclose(predictor(floats[0].astype(np.float64)), expected[0], rtol=1e-4)
    np.save(tmp_path / "1.npy", floats[1])
    depth_of_batch.clear_cache()
    mixed = predictor([levels[0], tmp_path / "1.npy", levels[2]])
    assert depth_of_batch._cache_size() == 1
    np.testing.assert_allclose(np.stack(mixed), expected, rtol=1e-4)


def test_what_would_not_fit_into_memory_is_refused(run_folder):
    native = load(run_folder, resolution="native")
    for h, w in ((1, 40_000), (40_000, 16), (8000, 8000)):
        with pytest.raises(UserError, match=rf"{w}x{h}: at native .* at most; give a resolution"):
            native(np.broadcast_to(np.uint8(0), (h, w, 3)))
    for text in ("320x400000", "8192x8192"):
        with pytest.raises(UserError, match=f"resolution {text}: .* at most"):
            load(run_folder, resolution=text)


def test_native_resolution_pads_and_crops(run_folder):
    native = load(run_folder, resolution="native")
    images = [picture(45, 90), picture(33, 65), picture(10, 12), picture(47, 81)]
    depths = native(images)
    for image, depth in zip(images, depths, strict=True):
        h, w = image.shape[:2]
        stride = native.model.networks.depth.stride
        below, right = (max(2 * stride, -(-side // stride) * stride) - side for side in (h, w))
        padded = np.pad(image, ((0, below), (0, right), (0, 0)), mode="edge") / np.float32(255)
        disparity = native.model.networks.depth.apply(
            native.model.variables["depth"], jnp.asarray(padded)[None]
        )[0][0, :h, :w, 0]
        expected = depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
        np.testing.assert_allclose(depth, expected, rtol=1e-5)


def test_a_program_serves_all_sizes_and_batches(predictor):
    sizes = [(40, 70), (33, 90), (61, 64), (20, 100), (64, 128)]
    depth_of_batch.clear_cache()
    predictor([picture(h, w) for h, w in sizes] * 2)
    assert depth_of_batch._cache_size() == 1
    predictor([picture(h, w) for h, w in sizes[1:]] * 3)  # 12: a ragged last batch of 8
    assert depth_of_batch._cache_size() == 1


def test_native_resolution_has_a_program_for_each_padded_size(run_folder):
    native = load(run_folder, resolution="native")
    sizes = [(40, 70), (33, 66), (48, 80), (40, 90)]  # stride 16: 48x80 three times, 48x96
    depth_of_batch.clear_cache()
    native([picture(h, w) for h, w in sizes])
    assert native.model.networks.depth.stride == 16
    assert depth_of_batch._cache_size() == 2


def test_scale_multiplies_depth_and_replaces_the_stored_one(run_folder, predictor):
    image = picture(40, 70)
    scaled = load(run_folder, scale=2.5)
    assert (predictor.metres_per_unit, scaled.metres_per_unit) == (None, 2.5)
    np.testing.assert_allclose(scaled(image), 2.5 * predictor(image), rtol=1e-6)


def test_flipping_commutes_with_mirroring(run_folder):
    flipping = load(run_folder, flip=True)
    image = picture(40, 70)
    mirrored = flipping(np.ascontiguousarray(image[:, ::-1]))[:, ::-1]
    np.testing.assert_allclose(mirrored, flipping(image), rtol=1e-4)


def test_large_pictures_come_in_smaller_batches(run_folder, predictor):
    assert predictor.batch_for((64, 128)) == 8
    assert predictor.batch_for((64, 128), 3) == 3
    assert predictor.batch_for((4096, 4096)) == RESIZED_PIXELS // 4096**2 == 2
    assert predictor.batch_for((9000, 9000)) == 1
    native = load(run_folder, resolution="native")
    assert native.batch_for((1088, 1920)) == NATIVE_PIXELS // (1088 * 1920) == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (np.zeros((4, 4, 3), np.int32), r"int32 \[4, 4, 3\]: expected uint8 \[H, W, 3\], or fl"),
        (np.full((4, 4, 3), 255.0), r"float64 \[4, 4, 3\] from 255 to 255: expected .* \[0, 1\]"),
        (np.full((4, 4, 3), np.nan), "with NaN in it: expected"),
        (np.zeros((4, 4), np.uint8), r"uint8 \[4, 4\]"),
        (np.zeros((0, 4, 3), np.uint8), r"uint8 \[0, 4, 3\]"),
        ("nowhere.png", "nowhere.png: No such file"),
        ([], "no pictures"),
    ],
)
def test_what_is_no_picture_is_named(predictor, given, expected):
    with pytest.raises(UserError, match=expected):
        predictor(given)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"resolution": "60x32"}, "resolution 60x32: .* nearest is 64x32"),
        ({"resolution": "large"}, "resolution: expected WIDTHxHEIGHT"),
        ({"scale": -1.0}, "scale -1.0: expected a positive"),
        ({"scale": float("nan")}, "scale nan: expected a positive"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
)
def test_wrong_options_are_named(run_folder, options, expected):
    with pytest.raises(UserError, match=expected):
        load(run_folder, **options)
