"""Weights to and from PyTorch's layout."""

import jax
import numpy as np
import pytest
from published_networks import SYSTEMS, state_dict_shapes, state_dicts

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.interop.torch_keys import (
    depth_entries,
    fit,
    is_unused,
    torch_from_variables,
    variables_from_torch,
    without_prefixes,
)
from radepth_jax.models import presets


def small() -> dict:
    """A configuration with a PyTorch form that is quick to trace."""
    config = presets.ra_depth()
    config["depth"]["encoder"].update(width=2, branches=3, modules=(1, 1), blocks=1, stem_width=2)
    return config


@pytest.mark.parametrize("system", SYSTEMS)
def test_published_weights_make_the_round_trip_bit_for_bit(system):
    parts = state_dicts(system)
    config = presets.MODELS[system]()
    pose = state_dicts()
    given = {"pose_encoder": pose["pose_encoder"], "pose": pose["pose"]} | parts
    back = torch_from_variables(variables_from_torch(given, config), config)
    assert {part: set(keys) for part, keys in back.items()} == {
        part: set(keys) for part, keys in given.items()
    }
    shapes = state_dict_shapes(system)
    originals = {(e.part, copy): e.key for e in depth_entries(config) for copy in e.copies}
    for part, values in parts.items():
        for key, value in values.items():
            assert back[part][key].shape == shapes[part][key], (part, key)
            if is_unused(part, key, config):
                assert not back[part][key].any(), (part, key)
                continue
            # Of a tensor that is listed twice, the published networks use the list's.
            value = values[originals.get((part, key), key)]
            np.testing.assert_array_equal(back[part][key], value, err_msg=f"{part}/{key}")


def test_initial_variables_make_the_round_trip_for_any_size():
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    back = variables_from_torch(torch_from_variables(variables, config), config)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_layouts_are_transposed_not_reshaped():
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    kernel = variables["depth"]["params"]["encoder"]["stem1"]["conv"]["kernel"]
    weight = torch_from_variables(variables, config)["encoder"]["conv1.weight"]
    assert weight.shape == (2, 3, 3, 3)
    assert weight[1, 2, 0, 1] == kernel[0, 1, 2, 1]


def test_every_key_has_one_leaf():
    for config in (small(), *(presets.MODELS[name]() for name in presets.MODELS)):
        keys = [(e.part, key) for e in depth_entries(config) for key in (e.key, *e.copies)]
        assert len(keys) == len(set(keys))


def test_checkpoint_extras_are_accepted():
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    parts = torch_from_variables(variables, config)
    parts["encoder"].update(height=192, width=640, use_stereo=False)
    del parts["pose_encoder"]["encoder.fc.weight"]
    back = variables_from_torch(parts, config)
    jax.tree.map(np.testing.assert_array_equal, back, variables)


def test_every_problem_is_named_in_one_error():
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    parts = torch_from_variables(variables, config)
    del parts["encoder"]["bn1.weight"]
    parts["pose"]["net.0.bias"] = np.zeros(3, np.float32)
    parts["depth"]["decoder.99.conv.weight"] = np.zeros(1, np.float32)
    parts["mono_encoder"] = {}
    with pytest.raises(UserError) as error:
        variables_from_torch(parts, config)
    message = str(error.value)
    assert "missing encoder/bn1.weight" in message
    assert "pose/net.0.bias has shape (3,), expected (256,)" in message
    assert "unknown depth/decoder.99.conv.weight" in message
    assert "unknown part mono_encoder" in message
    assert "\n" not in message


def test_many_problems_are_counted_and_some_of_each_kind_named():
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    parts = torch_from_variables(variables, config)
    lost = list(parts["encoder"])[:200]
    for i, key in enumerate(lost):
        value = parts["encoder"].pop(key)
        parts["encoder"]["x" * 300 + f"{i}.{key}"] = value
    parts["pose"]["net.0.bias"] = np.zeros(3, np.float32)
    with pytest.raises(UserError) as error:
        variables_from_torch(parts, config)
    message = str(error.value)
    assert len(message) < 600
    assert "missing, " in message
    assert "unknown, 1 of another shape keys, such as missing encoder/" in message
    assert "pose/net.0.bias has shape (3,), expected (256,)" in message


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.net.module."])
def test_what_a_wrapper_put_before_every_key_is_taken_off(prefix):
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    parts = torch_from_variables(variables, config)
    wrapped = {part: {prefix + key: v for key, v in d.items()} for part, d in parts.items()}
    wrapped["encoder"] |= {"height": 64}
    back = variables_from_torch(without_prefixes(wrapped, config), config)
    jax.tree.map(np.testing.assert_array_equal, back, variables)
    # The models' own first names ("net." of the pose decoder) stay.
    assert without_prefixes(parts, config) == parts


def test_a_model_is_known_by_its_decoder_too():
    """Encoders are shared, and have most of the keys."""
    names = ("ra_depth", "hrnet_skip")
    for name in names:
        parts = {"encoder": {}, "depth": {}}
        for entry in depth_entries(presets.MODELS[name]()):
            for key in (entry.key, *entry.copies):
                parts[entry.part][f"module.{key}"] = np.broadcast_to(np.float32(0), entry.shape)
        for other in names:
            share = fit(parts, presets.MODELS[other]())
            assert share == 1 if other == name else share < 0.5


def test_variables_that_do_not_fit_are_named():
    config = small()
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    del variables["depth"]["params"]["decoder"]["stem"]
    with pytest.raises(UserError, match="missing depth/params/decoder/stem/conv/conv/kernel"):
        torch_from_variables(variables, config)
    other = small()
    other["depth"]["encoder"]["stem_width"] = 3
    with pytest.raises(UserError, match="stem1/conv/kernel has shape"):
        torch_from_variables(variables, other)


def test_a_pose_network_without_a_torch_form_is_refused():
    with pytest.raises(UserError, match=r"model.pose.name is 'correlation'.*'resnet18'"):
        variables_from_torch({}, presets.tiny())
