import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from radepth_jax import load, predict_depth
from radepth_jax.errors import UserError
from radepth_jax.runs.saved_model import load_model

SIZE = (40, 70)


@pytest.fixture(scope="module")
def model(run_folder):
    return load_model(run_folder)


def pictures(*batch):
    return np.random.default_rng(0).integers(0, 256, (*batch, *SIZE, 3), np.uint8)


def test_it_is_the_predictors_depth(model, run_folder):
    images = pictures(2)
    expected = load(run_folder)(images)
    np.testing.assert_allclose(predict_depth(model, images), expected, rtol=1e-4)
    traced = jax.jit(lambda given: predict_depth(model, given))
    np.testing.assert_allclose(traced(images), expected, rtol=1e-4)
    floats = images / np.float32(255)
    np.testing.assert_allclose(traced(floats), expected, rtol=1e-4)
    np.testing.assert_allclose(predict_depth(model, floats[0]), expected[0], rtol=1e-4)


def test_under_vmap_a_batch_is_its_images(model):
    images = pictures(2, 2)
    together = predict_depth(model, images)
    assert together.shape == (2, 2, *SIZE)
    one_by_one = jax.vmap(jax.vmap(lambda image: predict_depth(model, image)))(images)
    np.testing.assert_allclose(one_by_one, together, rtol=1e-4)


def test_it_has_derivatives_by_images_and_weights(model):
    image = jnp.asarray(pictures() / np.float32(255)) * 0.8 + 0.1

    def by_image(image):
        return jnp.mean(jnp.log(predict_depth(model, image)))

    def by_weights(variables):
        return jnp.mean(
            jnp.log(predict_depth(dataclasses.replace(model, variables=variables), image))
        )

    # The networks' ReLUs have kinks, so a finite difference is good to some percent.
    check_grads(by_image, (image,), order=1, modes=["rev"], eps=1e-3, atol=2e-3, rtol=0.1)
    slopes = jax.grad(by_weights, allow_int=True)(model.variables)
    sizes = [float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(slopes["depth"]["params"])]
    assert np.isfinite(sizes).all()
    assert np.mean(np.array(sizes) > 0) > 0.9


def test_metres_where_a_scale_is_known(model):
    in_metres = dataclasses.replace(model, metric_scale=3.0)
    image = pictures()
    expected = 3 * predict_depth(model, image)
    np.testing.assert_allclose(predict_depth(in_metres, image), expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (np.zeros((4, 5), np.uint8), r"got uint8\[4, 5\]"),
        (np.zeros((4, 5, 4), np.float32), r"got float32\[4, 5, 4\]"),
        (np.zeros((4, 5, 3), np.int32), r"got int32\[4, 5, 3\]"),
    ],
)
def test_what_is_no_image_is_named(model, image, said):
    with pytest.raises(UserError, match=said):
        predict_depth(model, image)


def test_a_resolution_the_network_does_not_take_is_named(model):
    with pytest.raises(UserError, match=r"resolution 65x32: .* the nearest is 64x32"):
        predict_depth(model, pictures(), resolution=(65, 32))
