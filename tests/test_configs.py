"""Every config in `configs/`, with each of its variants, can be trained with."""

import importlib.util
from pathlib import Path

import pytest

from radepth_jax.cli.train import parse
from radepth_jax.errors import UserError
from radepth_jax.runs.config import check_config
from radepth_jax.runs.options import validation_resolutions

CONFIGS = Path(__file__).parents[1] / "configs"
VARIANTS = {
    "adapt": (),
    "compared_kitti": ("monodepth2", "monodepth2_resnet50", "hr_depth", "diffnet", "hrnet_skip"),
    "ra_depth_kitti": (),
    "ra_depth_street": ("full", "resolutions", "demo"),
    "ra_depth_video": ("full", "small"),
}


def load(name):
    spec = importlib.util.spec_from_file_location(name, CONFIGS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.get_config


def test_every_config_is_known_here():
    assert {path.stem for path in CONFIGS.glob("*.py")} == set(VARIANTS)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_can_be_used(name):
    for variant in VARIANTS[name]:
        check_config(load(name)(variant))
    check_config(load(name)())


@pytest.mark.parametrize("name", ["compared_kitti", "ra_depth_street", "ra_depth_video"])
def test_a_variant_that_nobody_knows_is_named(name):
    with pytest.raises(UserError, match=r"expected one of .*, got 'nothing'"):
        load(name)("nothing")


@pytest.mark.parametrize("name", ["adapt", "ra_depth_video", "ra_depth_street:demo"])
def test_validation_follows_the_resolution_of_the_views(name):
    stem, _, variant = name.partition(":")
    file = f"{CONFIGS / stem}.py{variant and ':' + variant}"
    arguments = [f"--config={file}", "--workdir=run"]
    config, _ = parse(arguments)
    assert validation_resolutions(config) == (config.views.resolution,)
    config, _ = parse([*arguments, "--config.views.resolution=320,96"])
    assert validation_resolutions(config) == ((320, 96),)
    config, _ = parse([*arguments, "--config.evaluate.resolutions=((64,32),)"])
    assert validation_resolutions(config) == ((64, 32),)
