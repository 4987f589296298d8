"""Encoders from ResNet weights with BatchNorm folded into the convolutions."""

from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.interop.pretrained import load_imagenet
from radepth_jax.models import presets

torch = pytest.importorskip("torch")
F = torch.nn.functional

REAL = Path(__file__).parents[2].parent / "shared/weights/resnet18_imagenet_folded.npz"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def model(width: int = 8, stages: int = 3, pose_stages: int = 0) -> dict:
    config = presets.tiny("monodepth2")
    config["depth"]["encoder"] |= {"width": width, "stages": stages}
    config["depth"]["decoder"]["channels"] = (8, 16, 32, 64, 128)[: stages + 1]
    if pose_stages:
        config["pose"] = presets.RESNET_POSE | {"stages": pose_stages}
    return config


def folded_file(width: int, stages: int) -> dict[str, np.ndarray]:
    """Random weights with torchvision's names, without norms."""
    random = np.random.default_rng(0)
    weights = {}

    def convolution(name, inputs, outputs, side):
        shape = (outputs, inputs, side, side)
        deviation = (2 / (inputs * side**2)) ** 0.5
        weights[f"{name}.weight"] = random.normal(0, deviation, shape).astype(np.float32)
        weights[f"{name}.bias"] = random.normal(0, 0.2, outputs).astype(np.float32)

    convolution("conv1", 3, width, 7)
    inputs = width
    for stage in range(1, stages + 1):
        outputs = width * 2 ** (stage - 1)
        for block in range(2):
            name = f"layer{stage}.{block}"
            convolution(f"{name}.conv1", inputs, outputs, 3)
            convolution(f"{name}.conv2", outputs, outputs, 3)
            if inputs != outputs:
                convolution(f"{name}.downsample.0", inputs, outputs, 1)
            inputs = outputs
    return weights


def torch_features(weights, images, stages=3) -> list[np.ndarray]:
    """Features at 1/2, 1/4, ... of the folded network, plainly; [N, h, w, c]."""
    weights = {key: torch.from_numpy(value) for key, value in weights.items()}

    def convolve(x, name, stride=1):
        kernel = weights[f"{name}.weight"]
        return F.conv2d(x, kernel, weights[f"{name}.bias"], stride, padding=kernel.shape[-1] // 2)

    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2)
    x = (x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(DEVIATION)[:, None, None]
    stem = F.relu(convolve(x, "conv1", 2))
    features, x = [stem], F.max_pool2d(stem, 3, 2, 1)
    for stage in range(1, stages + 1):
        for block in range(2):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = convolve(F.relu(convolve(x, f"{name}.conv1", stride)), f"{name}.conv2")
            if f"{name}.downsample.0.weight" in weights:
                x = convolve(x, f"{name}.downsample.0", stride)
            x = F.relu(x + y)
        features.append(x)
    return [feature.permute(0, 2, 3, 1).numpy() for feature in features]


def initial(config):
    return models.init_variables(models.build(config), jax.random.key(0), (64, 32))


def encoded(config, variables, images):
    networks = models.build(config)
    encode = jax.jit(lambda v, x: networks.depth.apply(v, x, method="encode"))
    return encode(variables["depth"], images)


# Zero stands for another colour beyond the border, which reaches so far into each size.
INTERIOR = (2, 6, 7, 7)


def assert_equal_inside(found, expected, tolerance=1e-4):
    for ours, theirs, border in zip(found, expected, INTERIOR, strict=True):
        inside = (slice(None), slice(border, -border), slice(border, -border))
        scale = np.abs(theirs).max()
        difference = np.abs(ours[inside] - theirs[inside]).max() / scale
        assert ours[inside].size > 0
        assert difference < tolerance


@pytest.fixture
def images():
    return np.random.default_rng(1).uniform(size=(2, 256, 256, 3)).astype(np.float32)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_features_are_those_of_the_folded_network(tmp_path, images, suffix):
    weights = folded_file(8, 3)
    # The fourth stage is not wanted, and need not be complete.
    extra = {"layer4.0.conv1.bias": np.zeros(64, np.float32), "fc.bias": np.zeros(3, np.float32)}
    path = tmp_path / f"folded.{suffix}"
    save = save_file if suffix == "safetensors" else lambda w, p: np.savez(p, **w)
    save(weights | extra, path)
    config = model()
    loaded = load_imagenet(initial(config), config, depth_encoder=str(path))
    found, expected = encoded(config, loaded, images), torch_features(weights, images)
    assert_equal_inside(found, expected)
    # Not so at the border, or the test would not see what it compares.
    assert max(np.abs(f - e).max() for f, e in zip(found, expected, strict=True)) > 1e-4


def test_norms_are_recalibrated_where_images_are_given(tmp_path, images):
    np.savez(tmp_path / "folded.npz", **folded_file(8, 3))
    config = model()
    asked = []

    def give():
        asked.append(0)
        return {"depth": images}

    source = str(tmp_path / "folded.npz")
    before = load_imagenet(initial(config), config, depth_encoder=source)
    after = load_imagenet(initial(config), config, depth_encoder=source, images=give)
    assert asked == [0]
    norm = after["depth"]["batch_stats"]["encoder"]["stem"]["bn"]
    assert np.abs(norm["mean"]).min() > 0
    jax.tree.map(np.testing.assert_array_equal, after["pose"], before["pose"])
    for found, expected in zip(
        encoded(config, after, images), encoded(config, before, images), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_files_with_norms_ask_for_no_images(tmp_path):
    config = model(pose_stages=4)
    from radepth_jax.interop.torch_keys import torch_from_variables

    weights = torch_from_variables(initial(config), config)["pose_encoder"]
    weights = {key.removeprefix("encoder."): value for key, value in weights.items()}
    weights["conv1.weight"] = np.ascontiguousarray(weights["conv1.weight"][:, :3])
    save_file(weights, tmp_path / "resnet.safetensors")
    # The fourth stage of such a file is passed over too.
    config = model(pose_stages=3)
    loaded = load_imagenet(
        initial(config),
        config,
        pose_encoder=str(tmp_path / "resnet.safetensors"),
        images=lambda: pytest.fail("asked for images"),
    )
    kernel = loaded["pose"]["params"]["encoder"]["stem"]["conv"]["kernel"]
    expected = np.tile(weights["conv1.weight"], (1, 2, 1, 1)) / 2
    np.testing.assert_array_equal(kernel, expected.transpose(2, 3, 1, 0))


def test_two_equal_frames_excite_the_pose_network_as_one_image(tmp_path, images):
    weights = folded_file(64, 3)
    np.savez(tmp_path / "folded.npz", **weights)
    config = model(pose_stages=3)
    images = images[:1, :128, :128]
    pairs = np.concatenate([images, images], axis=-1)
    loaded = load_imagenet(
        initial(config),
        config,
        pose_encoder=str(tmp_path / "folded.npz"),
        images=lambda: {"pose": pairs},
    )
    encoder = models.resnet.ResNet(stages=3)
    variables = {kind: values["encoder"] for kind, values in loaded["pose"].items()}
    stem = jax.jit(encoder.apply)(variables, pairs)[0]
    expected = torch_features(weights, images)[0]
    np.testing.assert_allclose(stem[:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-4)


@pytest.mark.parametrize(("network", "field"), [("depth", "depth.encoder"), ("pose", "pose")])
def test_a_missing_fourth_stage_is_named_with_what_to_do(tmp_path, network, field):
    weights = folded_file(64, 4)
    del weights["layer4.1.conv2.weight"]
    np.savez(tmp_path / "folded.npz", **weights)
    config = model(64, stages=4, pose_stages=4)
    message = rf"missing layer4\.1\.conv2\.weight; config\.model\.{field}\.stages=3 does without"
    shapes = models.variable_shapes(models.build(config), (128, 64))
    with pytest.raises(UserError, match=message):
        load_imagenet(shapes, config, **{f"{network}_encoder": str(tmp_path / "folded.npz")})


def test_wrong_keys_are_named_as_the_file_names_them(tmp_path):
    weights = folded_file(8, 3)
    del weights["layer1.0.conv1.weight"], weights["layer3.0.downsample.0.bias"]
    weights["conv1.bias"] = np.zeros(3, np.float32)
    weights["head.bias"] = np.zeros(3, np.float32)
    np.savez(tmp_path / "folded.npz", **weights)
    config = model()
    with pytest.raises(UserError) as error:
        load_imagenet(initial(config), config, depth_encoder=str(tmp_path / "folded.npz"))
    message = str(error.value)
    assert "missing layer1.0.conv1.weight" in message
    assert "missing layer3.0.downsample.0.bias" in message
    assert "conv1.bias has shape (3,), expected (8,)" in message
    assert "unknown head.bias" in message
    assert "bn1" not in message


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut short"])
def test_an_unreadable_archive_is_named(tmp_path, content):
    (tmp_path / "folded.npz").write_bytes(content)
    config = model()
    with pytest.raises(UserError, match=r"folded\.npz is not a readable \.npz file"):
        load_imagenet(initial(config), config, depth_encoder=str(tmp_path / "folded.npz"))


def test_the_real_file_on_real_frames(shared_data):
    if not REAL.is_file():
        pytest.skip("needs the weights in ../shared/weights")
    config = model(64, pose_stages=3)
    folder = shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_0002_sync/image_02/data"
    # At 192 rows there would be nothing inside at 1/16.
    paths = sorted(folder.iterdir())[:2]
    frames = np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])
    frames = frames[:, :368, :640].astype(np.float32) / 255
    variables = initial(config)
    pairs = np.concatenate([frames[:1], frames[1:]], axis=-1)
    before = load_imagenet(variables, config, depth_encoder=str(REAL))
    after = load_imagenet(
        variables,
        config,
        depth_encoder=str(REAL),
        pose_encoder=str(REAL),
        images=lambda: {"depth": frames, "pose": pairs},
    )
    with np.load(REAL) as archive:
        expected = torch_features(dict(archive), frames)
    assert_equal_inside(encoded(config, before, frames), expected)
    assert_equal_inside(encoded(config, after, frames), expected)
