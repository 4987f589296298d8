import dataclasses
import math
import string

import pytest

from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.runs.config import check_config, default_config, to_json
from radepth_jax.runs.migrations import from_json
from radepth_jax.runs.options import GROUPS, Options, options_of, validation_resolutions
from radepth_jax.settings import rules


def test_an_unknown_scaling_is_named():
    config = default_config()
    config.evaluate.scaling = "fixed"  # a run has no stored factor yet
    with pytest.raises(UserError, match=r"evaluate.scaling: expected one of median, ground, none"):
        check_config(config)


def test_a_config_holds_the_options_and_nothing_else():
    config = default_config()
    assert options_of(config) == Options()
    assert set(config) == {field.name for field in dataclasses.fields(Options)} | {"model"}
    for group, cls in GROUPS.items():
        assert set(config[group]) == {field.name for field in dataclasses.fields(cls)}


def test_every_setting_says_what_it_means():
    classes = [Options, *GROUPS.values()]
    for cls in classes:
        settings = [field.name for field in dataclasses.fields(cls) if field.name not in GROUPS]
        assert list(rules(cls)) == settings
        for name, rule in rules(cls).items():
            assert rule.meaning[0] in string.ascii_uppercase + '("', name
            assert rule.meaning.endswith("."), name


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("seed", -1, "config.seed: expected a number from 0 to 4294967295, got -1"),
        ("batch_norm", "all", "config.batch_norm: expected one of per_view, joint, got 'all'"),
        ("data.cache", math.inf, "config.data.cache: expected a number from 0, got inf"),
        ("views.flip", 2.0, "config.views.flip: expected a number from 0 to 1, got 2.0"),
        ("views.names", ("middle", "far"), r"views.names\[1\]: expected one of high, low, middle"),
        ("loss.weights.smoothness", -1.0, "config.loss.weights.smoothness: expected a number from"),
        ("loss.ramps.consistency", (-1, 2), r"loss.ramps.consistency\[0\]: expected a number from"),
        ("pose.align", (4, 0), r"config.pose.align\[1\]: expected a number from 1, got 0"),
        ("train.resolutions", ((64, 4),), r"train.resolutions\[0\]\[1\]: expected a number from 8"),
        ("optimizer.schedule", "line", "optimizer.schedule: expected one of step, cosine, got"),
        ("evaluate.min_depth", 90.0, "config.evaluate.min_depth: expected less than .* 80.0, got"),
        ("evaluate.crop", "eigen", "config.evaluate.crop: expected one of none, garg, nyu, got"),
    ],
)
def test_a_value_that_a_field_does_not_take_is_named(field, value, message):
    config = default_config()
    config.update_from_flattened_dict({field: value})
    with pytest.raises(UserError, match=message):
        check_config(config)


def test_a_setting_that_views_or_losses_do_not_have_is_named():
    config = default_config()
    config.views.flipp = 0.5
    with pytest.raises(UserError, match=r"config\.views\.flipp: no such setting; expected one of"):
        check_config(config)


def test_fields_of_earlier_versions_are_left_alone():
    config = default_config()
    config.pose.align_automask = False
    check_config(config)
    assert options_of(config) == Options()


def test_validation_is_at_the_views_resolution_wherever_that_goes():
    config = default_config()
    assert validation_resolutions(config) == ((640, 192),)
    config.views.resolution = (320, 96)
    assert validation_resolutions(config) == ((320, 96),)
    assert validation_resolutions(from_json(to_json(config))) == ((320, 96),)
    config.evaluate.resolutions = ((640, 192), (1024, 320))
    assert validation_resolutions(config) == ((640, 192), (1024, 320))


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
        (((640,),), r"train\.resolutions: expected \(width, height\) each, got \(640,\)"),
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
