"""ImageNet initialisation from generated classifiers with timm's keys."""

from copy import deepcopy

import flax.linen as nn
import huggingface_hub
import huggingface_hub.errors
import jax
import numpy as np
import pytest
from safetensors.numpy import save_file

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.interop.pretrained import load_imagenet, published_source
from radepth_jax.interop.torch_keys import torch_from_variables
from radepth_jax.models import presets
from radepth_jax.models.blocks import upsample_nearest
from radepth_jax.models.build import DECODERS, ENCODERS
from radepth_jax.models.decoder import Decoder
from radepth_jax.models.hrnet import HRNet

CONFIG = presets.ra_depth()
CONFIG["depth"]["encoder"].update(width=2, branches=3, modules=(1, 1), blocks=1, stem_width=2)


@pytest.fixture(scope="module")
def variables():
    return models.init_variables(models.build(CONFIG), jax.random.key(0), (64, 64))


def classifier(variables, part: str) -> dict[str, np.ndarray]:
    """Random weights with the keys and shapes of timm's HRNet or ResNet-18."""
    rng = np.random.default_rng(1)
    keys = torch_from_variables(variables, CONFIG)[part]
    weights = {
        key.removeprefix("encoder."): rng.standard_normal(value.shape).astype(np.float32)
        for key, value in keys.items()
    }
    if part == "pose_encoder":
        weights["conv1.weight"] = weights["conv1.weight"][:, :3].copy()
    else:
        weights["incre_modules.0.0.conv1.weight"] = np.zeros((1, 1, 1, 1), np.float32)
        weights["classifier.weight"] = np.zeros((10, 4), np.float32)
    return weights


def test_both_encoders_and_nothing_else_are_replaced(variables, tmp_path):
    hrnet, resnet = classifier(variables, "encoder"), classifier(variables, "pose_encoder")
    save_file(hrnet, tmp_path / "hrnet.safetensors")
    save_file(resnet, tmp_path / "resnet.safetensors")
    loaded = load_imagenet(
        variables,
        CONFIG,
        depth_encoder=str(tmp_path / "hrnet.safetensors"),
        pose_encoder=str(tmp_path / "resnet.safetensors"),
    )
    before, after = torch_from_variables(variables, CONFIG), torch_from_variables(loaded, CONFIG)
    for part, weights in (("encoder", hrnet), ("pose_encoder", resnet)):
        for key, value in after[part].items():
            name = key.removeprefix("encoder.")
            if "fc." in key or key.endswith("num_batches_tracked"):
                continue
            expected = weights[name]
            if (part, name) == ("pose_encoder", "conv1.weight"):
                expected = np.tile(expected, (1, 2, 1, 1)) / 2
            np.testing.assert_array_equal(value, expected, err_msg=key)
    for part in ("depth", "pose"):
        jax.tree.map(np.testing.assert_array_equal, after[part], before[part])


class Flat(Decoder):
    """A decoder from outside the package, which no published weights are of."""

    @nn.compact
    def __call__(self, features):
        return (self.disparity(upsample_nearest(features[0], 2), name="disparity"),)


@pytest.fixture
def own(monkeypatch):
    """The configuration with networks that no published weights are of, by what is one's own."""
    monkeypatch.setitem(DECODERS, "flat", Flat)
    monkeypatch.setitem(ENCODERS, "mine", type("Mine", (HRNet,), {}))

    def config(part: str) -> dict:
        config = deepcopy(CONFIG)
        if part == "decoder":
            config["depth"]["decoder"] = presets.settings(DECODERS, "flat")
        elif part == "encoder":
            config["depth"]["encoder"]["name"] = "mine"
        else:
            config["pose"] = presets.CONV_POSE
        return config

    return config


def test_the_encoder_of_a_decoder_of_one_s_own_is_replaced(variables, own, tmp_path):
    weights = classifier(variables, "encoder")
    save_file(weights, tmp_path / "hrnet.safetensors")
    config = own("decoder")
    start = models.init_variables(models.build(config), jax.random.key(0), (64, 64))
    loaded = load_imagenet(start, config, depth_encoder=str(tmp_path / "hrnet.safetensors"))
    scale = loaded["depth"]["params"]["encoder"]["stem1"]["bn"]["scale"]
    np.testing.assert_array_equal(scale, weights["bn1.weight"])
    for part in (lambda v: v["depth"]["params"]["decoder"], lambda v: v["pose"]):
        jax.tree.map(np.testing.assert_array_equal, part(loaded), part(start))


@pytest.mark.parametrize(
    ("part", "field", "names"),
    [
        ("encoder", "depth_encoder", "model.depth.encoder.name is 'mine'.*'hrnet' and 'resnet'"),
        ("pose", "pose_encoder", "model.pose.name is 'convs'.*'resnet18' only"),
    ],
)
def test_weights_for_an_encoder_without_published_ones_are_refused(own, part, field, names):
    expected = rf'config\.pretrained\.{field} is x.npz, but config\.{names}.*set .* to "" to start'
    with pytest.raises(UserError, match=expected):
        load_imagenet({}, own(part), **{field: "x.npz"})


def test_published_sources(own):
    depth = {name: published_source(build(), "depth") for name, build in presets.MODELS.items()}
    resnet = "hf:timm/resnet{}.tv_in1k".format
    assert depth == dict.fromkeys(
        ("ra_depth", "diffnet", "hrnet_skip"), "hf:timm/hrnet_w18.ms_in1k"
    ) | {
        "monodepth2": resnet(18),
        "monodepth2_resnet50": resnet(50),
        "hr_depth": resnet(18),
    }
    assert published_source(CONFIG, "pose") == resnet(18)
    assert published_source(own("decoder"), "depth") == "hf:timm/hrnet_w18.ms_in1k"
    assert published_source(own("encoder"), "depth") is None
    assert published_source(own("pose"), "pose") is None


@pytest.mark.parametrize(
    ("part", "named"), [("decoder", "model.depth.decoder.name is 'flat'"),
                        ("encoder", "model.depth.encoder.name is 'mine'"),
                        ("pose", "model.pose.name is 'convs'")],
)  # fmt: skip
def test_networks_of_one_s_own_have_no_pytorch_form(variables, own, part, named):
    with pytest.raises(UserError, match=f"{named}: the layers of PyTorch weights have known names"):
        torch_from_variables(variables, own(part))


def test_one_encoder_alone(variables, tmp_path):
    save_file(classifier(variables, "pose_encoder"), tmp_path / "resnet.safetensors")
    loaded = load_imagenet(variables, CONFIG, pose_encoder=str(tmp_path / "resnet.safetensors"))
    jax.tree.map(np.testing.assert_array_equal, loaded["depth"], variables["depth"])
    changed = loaded["pose"]["params"]["encoder"]["stem"]["conv"]["kernel"]
    np.testing.assert_array_equal(changed[..., :3, :], changed[..., 3:, :])


def test_without_sources_nothing_changes(variables):
    assert load_imagenet(variables, CONFIG) is variables


def test_from_the_hub(variables, tmp_path, monkeypatch):
    weights = classifier(variables, "encoder")
    save_file(weights, tmp_path / "model.safetensors")
    asked = []

    def download(repository, file):
        asked.append((repository, file))
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    loaded = load_imagenet(variables, CONFIG, depth_encoder="hf:timm/hrnet_w18.ms_in1k")
    assert asked == [("timm/hrnet_w18.ms_in1k", "model.safetensors")]
    scale = loaded["depth"]["params"]["encoder"]["stem1"]["bn"]["scale"]
    np.testing.assert_array_equal(scale, weights["bn1.weight"])


def test_without_a_network_the_error_says_what_to_do(variables, monkeypatch):
    def download(repository, file):
        raise huggingface_hub.errors.LocalEntryNotFoundError("cannot reach the hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(UserError, match=r"could not be downloaded \(cannot reach.*give the path"):
        load_imagenet(variables, CONFIG, depth_encoder="hf:timm/hrnet_w18.ms_in1k")


def test_a_malformed_repository_is_refused_without_a_network(variables):
    with pytest.raises(UserError, match="expected hf:owner/name"):
        load_imagenet(variables, CONFIG, depth_encoder="hf:not a repository/")


def test_a_missing_file(variables, tmp_path):
    with pytest.raises(UserError, match=r"no ImageNet weights at .*nothing\.safetensors"):
        load_imagenet(variables, CONFIG, depth_encoder=str(tmp_path / "nothing.safetensors"))


def test_a_file_of_another_kind(variables, tmp_path):
    (tmp_path / "page.safetensors").write_text("<html>not found</html>")
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_imagenet(variables, CONFIG, depth_encoder=str(tmp_path / "page.safetensors"))


def test_every_wrong_key_is_named(variables, tmp_path):
    weights = classifier(variables, "encoder")
    del weights["bn1.weight"]
    weights["bn2.bias"] = np.zeros(7, np.float32)
    weights["head.weight"] = np.zeros(1, np.float32)
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(UserError) as error:
        load_imagenet(variables, CONFIG, depth_encoder=str(tmp_path / "model.safetensors"))
    message = str(error.value)
    assert "missing bn1.weight" in message
    assert "bn2.bias has shape (7,), expected (2,)" in message
    assert "unknown head.weight" in message
