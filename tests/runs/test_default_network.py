"""The bundled model: what the package holds, and what uses it by default."""

import json

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from PIL import Image

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.predict import load
from radepth_jax.runs import default_network
from radepth_jax.runs.config import default_config
from radepth_jax.runs.packed_model import PackedModel, read_packed, write_packed
from radepth_jax.runs.saved_model import load_model


def test_it_is_small_and_fits_its_config():
    size = sum(path.stat().st_size for path in default_network.FOLDER.iterdir())
    assert size <= 2e6
    variables, config, step, _ = read_packed(default_network.FOLDER)
    assert step >= 0
    shapes = models.variable_shapes(models.build(config.model), tuple(config.views.resolution))
    assert jax.tree.map(np.shape, variables) == jax.tree.map(lambda leaf: leaf.shape, shapes)
    assert config.model.to_dict() == presets.bundled()


def test_what_is_stored_is_read_but_for_rounding(tmp_path):
    config = default_config()
    config.model = ConfigDict(presets.tiny())
    networks = models.build(config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    write_packed(PackedModel(variables, config, 7, 5.4), tmp_path / "new", np.float16)
    again, same, step, scale = read_packed(tmp_path / "new")
    assert (same, step, scale) == (config, 7, 5.4)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), variables, again
    )


def test_the_road_is_nearer_than_the_sky():
    """On a scene that it never saw: grey road below a bright sky, with lanes to the horizon."""
    image = np.full((192, 640, 3), (150, 180, 220), np.uint8)
    rows = np.arange(96, 192)
    for row in rows:
        share = (row - 96) / 96
        image[row] = (90, 120, 70)
        image[row, int(320 - 300 * share) : int(320 + 300 * share)] = (80, 80, 82)
        image[row, int(320 - 6 * share) : int(320 + 6 * share) + 1] = (230, 230, 230)
    depth = load(resolution=(320, 96))(image)
    road, ahead, sky = (
        np.median(depth[part, 240:400])
        for part in (slice(170, 190), slice(110, 118), slice(10, 40))
    )
    assert road < ahead < sky


def test_predict_needs_no_checkpoint(radepth, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (64, 192, 3), np.uint8)
    Image.fromarray(noise).save("photo.jpg")
    code, _, err = radepth("predict", "--resolution", "64x32", "photo.jpg")
    assert (code, err.strip()) == (0, "")
    facts = json.loads((tmp_path / "depth" / "predict.json").read_text())
    assert facts["checkpoint"] == "default"
    assert np.load(tmp_path / "depth" / "photo_depth.npy").shape == (64, 192)


def test_a_folder_of_that_name_is_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="no checkpoint"):
        load_model("./default")
    assert load_model("default").name == "default"
