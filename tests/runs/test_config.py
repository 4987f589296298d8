import dataclasses

import pytest

from radepth_jax.errors import UserError
from radepth_jax.losses import LossOptions
from radepth_jax.models import presets
from radepth_jax.runs.config import check_config, default_config
from radepth_jax.views import ViewOptions


def test_an_unknown_scaling_is_named():
    config = default_config()
    config.evaluate.scaling = "fixed"  # a run has no stored factor yet
    with pytest.raises(UserError, match=r"evaluate.scaling: expected one of median, ground, none"):
        check_config(config)


def test_every_option_of_views_and_losses_is_a_setting():
    config = default_config()
    assert ViewOptions(**config.views) == ViewOptions()
    assert LossOptions(**config.loss) == LossOptions()
    for section, options in ((config.views, ViewOptions), (config.loss, LossOptions)):
        assert set(section) == {field.name for field in dataclasses.fields(options)}


def test_nothing_can_be_kept_of_no_checkpoint():
    config = default_config()
    config.pretrained.keep = 0.5
    with pytest.raises(UserError, match=r"keep is 0\.5, but there is no checkpoint to keep"):
        check_config(config)
    config.pretrained.checkpoint = "default"
    check_config(config)
    config.pretrained.keep = 1.5
    with pytest.raises(
        UserError, match=r"pretrained\.keep: expected a number from 0 to 1, got 1\.5"
    ):
        check_config(config)


def test_a_term_that_nobody_added_is_named():
    config = default_config()
    config.loss.weights.edges = 1.0
    with pytest.raises(UserError, match=r"loss\.weights\.edges.* photometric, smoothness, consis"):
        check_config(config)


@pytest.mark.parametrize("name", presets.MODELS)
def test_only_ra_depth_has_the_views_and_the_consistency(name):
    config = default_config(name)
    check_config(config)
    assert (len(config.views.names) == 3) == (name == "ra_depth")
    assert (config.loss.weights.consistency > 0) == (name == "ra_depth")


@pytest.mark.parametrize("resolution", [(float("inf"), 192), (640.0, 192), (640,), ("640", "192")])
def test_a_resolution_is_two_whole_numbers(resolution):
    config = default_config()
    config.evaluate.resolutions = (resolution,)
    with pytest.raises(UserError, match=r"resolution \(.*: expected two whole numbers"):
        check_config(config)


@pytest.mark.parametrize(
    ("resolutions", "message"),
    [
        (((640, 192), (100, 64)), r"100x64: .*multiples of 32.* nearest is 96x64"),
        (((640,),), r"resolution is \(640,\); expected \(width, height\)"),
        (((672, 224),), r"align: \(64,\): .*training resolution; \(672, 224\)"),
    ],
)
def test_every_training_resolution_is_checked(resolutions, message):
    config = default_config()
    config.pose.align = (64,)
    check_config(config)
    config.train.resolutions = resolutions
    with pytest.raises(UserError, match=message):
        check_config(config)
