import json

import pytest
from ml_collections import ConfigDict

from radepth_jax.runs.config import check_config, default_config, to_json
from radepth_jax.runs.default_network import FOLDER
from radepth_jax.runs.migrations import from_json
from radepth_jax.runs.options import options_of
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.views import ViewOptions
from radepth_jax.views.options import ViewEntry


def test_a_config_comes_back_from_json():
    config = default_config()
    config.evaluate.scaling = "ground"
    again = from_json(to_json(config))
    assert to_json(again) == to_json(config)
    assert again.views.resolution == (640, 192)


@pytest.mark.parametrize(("flag", "scaling"), [(True, "median"), (False, "none")])
def test_checkpoints_from_before_scalings_still_name_a_protocol(flag, scaling):
    values = to_json(default_config())
    values["evaluate"] = {
        "min_depth": 1e-3, "max_depth": 80.0, "crop": "garg", "median_scaling": flag,
        "batch_size": 8, "resolutions": [[640, 192]],
    }  # fmt: skip
    protocol = protocol_of(from_json(values))
    assert (protocol.crop, protocol.scaling) == ("garg", scaling)


def test_a_checkpoint_of_the_time_of_one_flat_depth_network_is_read():
    config = default_config()
    values = to_json(config)
    depth = values["model"]["depth"]
    flat = depth["encoder"] | depth["decoder"] | {"name": "dual_hrnet", "initial_disparity": None}
    values["model"]["depth"] = flat
    assert from_json(values) == config


def test_a_checkpoint_from_before_the_pose_network_had_stages_is_read():
    config = default_config()
    values = to_json(config)
    del values["model"]["pose"]["stages"]
    assert from_json(values) == config


@pytest.mark.parametrize("ramp", [(0, 0), (100, 200)])
def test_a_checkpoint_from_before_alignment_was_a_term_is_read(ramp):
    """It has the weights that alignment, height and focal length had in the code."""
    config = default_config()
    config.loss.ramps.consistency = ramp
    values = to_json(config)
    values["loss"]["weights"] = {"photometric": 1.0, "smoothness": 1e-3, "consistency": 1.0}
    values["loss"]["ramps"] = {"consistency": list(ramp)}
    again = from_json(values)
    assert again == config
    assert dict(again.loss.weights.items()).items() >= {"alignment": 1, "height": 0.02}.items()
    values["loss"]["weights"] |= {"alignment": 0.0}
    assert from_json(values).loss.weights.alignment == 0


def test_a_checkpoint_from_before_terms_had_names_is_read():
    config = default_config()
    config.loss.weights.update(consistency=0.05, smoothness=0.01)
    config.loss.ramps.consistency = (100, 200)
    values = to_json(config)
    new = ("weights", "ramps", "ssim", "automask", "noise")
    values["loss"] = {name: v for name, v in values["loss"].items() if name not in new}
    values["loss"] |= {"consistency": 0.05, "smoothness": 0.01, "consistency_ramp": [100, 200]}
    for field in ("entries", "augmentations"):
        del values["views"][field]
    assert from_json(values) == config
    del values["loss"]["consistency_ramp"]  # once, there was none
    config.loss.ramps.consistency = (0, 0)
    assert from_json(values) == config


OLD_VIEWS = {
    "resolution": [320, 96], "names": ["high", "middle", "low"], "flip": 0.5, "jitter": 0.5,
    "high_scale": [1.1, 2.0], "low_scale": [0.7, 0.9],
    "brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1,
}  # fmt: skip


def test_a_checkpoint_from_before_views_were_entries_is_read():
    config = default_config()
    values = to_json(config)
    values["views"] = OLD_VIEWS
    config.views.resolution = (320, 96)
    assert from_json(values) == config
    values["views"] = OLD_VIEWS | {
        "names": ["middle", "low"], "low_scale": [0.5, 0.8], "jitter": 0.25, "hue": 0.0,
    }  # fmt: skip
    config.views.names = ("middle", "low")
    config.views.entries.low.scale = (0.5, 0.8)
    config.views.augmentations.colour_jitter.probability = 0.25
    config.views.augmentations.colour_jitter.hue = 0.0
    again = from_json(values)
    assert again == config
    check_config(again)
    with pytest.raises(ValueError, match=r"unknown setting config\.views\.flipp"):
        from_json(values | {"views": OLD_VIEWS | {"flipp": 0.5}})


def test_views_and_augmentations_of_one_s_own_come_back_from_json():
    config = default_config()
    config.views.entries.far = ConfigDict({"scale": (2.0, 3.0), "crop": True})
    config.views.names = ("far", *config.views.names)
    config.views.augmentations.cut_out.probability = 0.5
    again = from_json(json.loads(json.dumps(to_json(config))))
    assert again == config
    views = options_of(again).views
    assert views == options_of(config).views
    assert views.names == ("high", "middle", "low", "far")
    assert views.entries["far"] == ViewEntry(scale=(2.0, 3.0), crop=True)


def test_the_bundled_model_has_the_published_views():
    """Its config is of the time before views were entries."""
    config = from_json(json.loads((FOLDER / "config.json").read_text())["config"])
    assert config.views.resolution == (320, 96)
    config.views.resolution = (640, 192)
    assert options_of(config).views == ViewOptions()


def test_a_checkpoint_from_before_plugins_is_read():
    config = default_config()
    values = to_json(config)
    del values["plugins"]
    assert from_json(values) == config
