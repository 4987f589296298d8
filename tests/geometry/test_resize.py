import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from radepth_jax.geometry import resize

PILLOW = {"lanczos3": Image.Resampling.LANCZOS, "linear": Image.Resampling.BILINEAR}
N_INPUT = 60


def pillow_line(line, n, kernel):
    """A 1D float signal through Pillow's own resampling (mode F: no rounding)."""
    image = Image.fromarray(np.asarray(line, np.float32)[None, :])
    return np.asarray(image.resize((n, 1), PILLOW[kernel]))[0]


@pytest.mark.parametrize("kernel", ["lanczos3", "linear"])
@given(n_in=st.integers(9, N_INPUT), n_out=st.integers(5, 90), seed=st.integers(0, 99))
def test_weights_are_pillows(kernel, n_in, n_out, seed):
    line = np.zeros(N_INPUT, np.float32)
    line[:n_in] = np.random.default_rng(seed).random(n_in)
    line[n_in:] = np.nan  # what lies beyond the true size must have weight zero
    weights = _weights(n_in, n_out, kernel)
    assert (np.asarray(weights)[:, n_in:] == 0).all()
    got = np.asarray(weights)[:n_out, :n_in] @ line[:n_in]
    np.testing.assert_allclose(got, pillow_line(line[:n_in], n_out, kernel), atol=2e-5)


def _weights(n_in, n_out, kernel):
    def weights(n_in, n_out):
        return resize.resize_weights(jnp.arange(90), n_in, n_out, N_INPUT, kernel=kernel)

    return jax.jit(weights)(n_in, n_out)


@given(n_in=st.integers(2, N_INPUT), n_out=st.integers(2, 90))
def test_plain_bilinear_clamps_at_the_border(n_in, n_out):
    line = np.random.default_rng(n_in).random(n_in)
    centres = np.clip((np.arange(n_out) + 0.5) * n_in / n_out - 0.5, 0, n_in - 1)
    expected = np.interp(centres, np.arange(n_in), line)
    weights = resize.resize_weights(
        jnp.arange(n_out), n_in, n_out, n_in, kernel="linear", antialias=False
    )
    np.testing.assert_allclose(np.asarray(weights) @ line, expected, atol=2e-5)


def test_coordinates_choose_crop_flip_and_repeat():
    def weights(coordinates):
        return resize.resize_weights(coordinates, 20, 30, 24, kernel="lanczos3")

    whole = weights(jnp.arange(30))
    chosen = jnp.array([7, 6, 6, 29, 0, -4, 40])
    np.testing.assert_array_equal(weights(chosen), whole[jnp.array([7, 6, 6, 29, 0, 0, 29])])


def test_resample_is_separable_and_keeps_leading_axes():
    image = jnp.array(np.random.default_rng(0).random((2, 5, 6, 3)), jnp.float32)
    rows, columns = jnp.eye(5)[::-1], jnp.eye(6)[jnp.array([1, 4])]
    np.testing.assert_array_equal(
        resize.resample(image, rows, columns), image[:, ::-1][:, :, jnp.array([1, 4])]
    )
