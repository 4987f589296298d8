"""Checkpoints to and from the published PyTorch files."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from ml_collections import ConfigDict
from published_networks import state_dict_shapes, state_dicts

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.interop.published import checkpoint_from_torch, checkpoint_to_torch
from radepth_jax.interop.torch_files import read_folder, write_folder
from radepth_jax.interop.torch_keys import fit, torch_from_variables, variables_from_torch
from radepth_jax.models import presets
from radepth_jax.runs.checkpoint import Checkpoints
from radepth_jax.runs.config import default_config
from radepth_jax.runs.saved_model import load_model, save_model
from radepth_jax.runs.state import init_state, variables_of
from radepth_jax.training.start import first_state

ROOT = Path(__file__).parents[2]
NEEDS_TORCH = "needs the torch extra: pip install 'radepth-jax[torch]'"


def small() -> dict:
    config = presets.ra_depth()
    config["depth"]["encoder"].update(width=2, branches=3, modules=(1, 1), blocks=1, stem_width=2)
    return config


@pytest.fixture(scope="module")
def small_parts() -> dict:
    """A checkpoint folder's content, for a small network: every entry a value of its own."""
    variables = models.init_variables(models.build(small()), jax.random.key(3), (64, 64))
    parts = torch_from_variables(variables, small())
    rng = np.random.default_rng(0)
    for values in parts.values():
        for key, value in values.items():
            if key.endswith("num_batches_tracked"):
                values[key] = np.array(rng.integers(1, 10**6), np.int64)
            else:
                values[key] = rng.standard_normal(value.shape).astype(np.float32)
    parts["encoder"] |= {"height": 64, "width": 96, "use_stereo": True}
    return parts


@pytest.fixture(autouse=True)
def small_model(monkeypatch):
    """In this process, the name ra_depth stands for the small network."""
    monkeypatch.setitem(presets.MODELS, "ra_depth", small)


def assert_parts_equal(ours, theirs):
    assert {part: set(keys) for part, keys in ours.items()} == {
        part: set(keys) for part, keys in theirs.items()
    }
    for part, values in theirs.items():
        for key, value in values.items():
            if isinstance(value, np.ndarray):
                assert ours[part][key].dtype == value.dtype, (part, key)
            np.testing.assert_array_equal(ours[part][key], value, err_msg=f"{part}/{key}")


@pytest.fixture(scope="module")
def converted(small_parts, tmp_path_factory) -> Path:
    """The workdir of these parts' checkpoint."""
    folder = tmp_path_factory.mktemp("small")
    write_folder(small_parts, folder / "in", "safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(presets.MODELS, "ra_depth", small)
        config, has_pose = checkpoint_from_torch(folder / "in", folder / "run")
    assert has_pose
    assert config.views.resolution == (96, 64)
    assert config.data.frame_offsets == (0, -1, 1, "s")
    return folder / "run"


def test_the_round_trip_is_exact_to_the_last_entry(small_parts, converted, tmp_path):
    files = checkpoint_to_torch(converted, tmp_path, format="safetensors")
    assert [file.name for file in files] == [
        "encoder.safetensors",
        "depth.safetensors",
        "pose_encoder.safetensors",
        "pose.safetensors",
    ]
    assert_parts_equal(read_folder(tmp_path), small_parts)


def test_training_starts_from_a_converted_checkpoint(small_parts, converted, tmp_path):
    config = default_config()
    config.model = ConfigDict(small())
    config.pretrained.checkpoint = str(converted)
    with Checkpoints(tmp_path / "new") as checkpoints:
        # No image is calibrated with, and nothing is said.
        state = first_state(config, 10, checkpoints, source=None, say=print)
    expected = variables_from_torch(small_parts, small())
    jax.tree.map(np.testing.assert_array_equal, variables_of(state), expected)


def test_weights_of_another_model_say_which_in_a_short_line(tmp_path):
    config = presets.MODELS["hr_depth"]()
    shapes = state_dict_shapes("hr_depth")
    zeros = {
        part: {key: np.zeros(shape, np.float32) for key, shape in shapes[part].items()}
        for part in ("encoder", "depth")
    }
    assert fit(zeros, config) == 1
    write_folder(zeros, tmp_path / "in", "safetensors")
    with pytest.raises(UserError, match=r"they look like --model hr_depth$") as error:
        checkpoint_from_torch(tmp_path / "in", tmp_path / "run", model="monodepth2")
    assert len(str(error.value)) < 600
    assert "missing, " in str(error.value)
    assert not (tmp_path / "run").exists()


def test_without_pose_files_the_pose_network_is_fresh(small_parts, tmp_path):
    depth_only = {part: small_parts[part] for part in ("encoder", "depth")}
    write_folder(depth_only, tmp_path / "in", "safetensors")
    config, has_pose = checkpoint_from_torch(tmp_path / "in", tmp_path / "run")
    assert not has_pose
    variables = load_model(tmp_path / "run").variables
    expected = variables_from_torch(small_parts, small())
    jax.tree.map(np.testing.assert_array_equal, variables["depth"], expected["depth"])
    fresh = models.init_variables(models.build(small()), jax.random.key(config.seed), (96, 64))
    jax.tree.map(np.testing.assert_array_equal, variables["pose"], fresh["pose"])


@pytest.mark.parametrize("missing", ["encoder", "depth", "pose_encoder", "pose"])
def test_a_missing_file_is_named(small_parts, tmp_path, missing):
    parts = {part: values for part, values in small_parts.items() if part != missing}
    write_folder(parts, tmp_path / "in", "safetensors")
    with pytest.raises(UserError, match=rf"has no {missing}\.pth \(or \.safetensors\)"):
        checkpoint_from_torch(tmp_path / "in", tmp_path / "run")


def test_wrong_keys_are_named_and_nothing_is_written(small_parts, tmp_path):
    encoder = dict(small_parts["encoder"])
    encoder["conv1.bias"] = encoder.pop("bn1.bias")
    encoder["bn2.weight"] = np.zeros(5, np.float32)
    write_folder(small_parts | {"encoder": encoder}, tmp_path / "in", "safetensors")
    with pytest.raises(UserError) as error:
        checkpoint_from_torch(tmp_path / "in", tmp_path / "run")
    message = str(error.value)
    assert "missing encoder/bn1.bias" in message
    assert "unknown encoder/conv1.bias" in message
    assert "encoder/bn2.weight has shape (5,), expected (2,)" in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"height": "tall"}, r"encoder's height is 'tall'; expected a whole number"),
        ({"height": 100}, r"resolution 96x100: .* multiples of 16"),
    ],
)
def test_a_size_that_cannot_be_is_refused(small_parts, tmp_path, entry, expected):
    pytest.importorskip("torch", reason=NEEDS_TORCH)
    encoder = small_parts["encoder"] | entry
    write_folder(small_parts | {"encoder": encoder}, tmp_path / "in", "torch")
    with pytest.raises(UserError, match=expected):
        checkpoint_from_torch(tmp_path / "in", tmp_path / "run")


def test_a_network_without_a_torch_form_is_refused(reference_config, tmp_path):
    save_model(variables_of(init_state(reference_config, 1)), reference_config, tmp_path / "run")
    with pytest.raises(UserError, match="'resnet18' only"):
        checkpoint_to_torch(tmp_path / "run", tmp_path / "out", format="safetensors")


def radepth(*arguments) -> str:
    """Run the command in a process of its own -> what it printed."""
    command = [sys.executable, "-c", "from radepth_jax.cli.main import main; main()"]
    environment = os.environ | {
        "JAX_NUM_CPU_DEVICES": "1",
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax"),
    }
    done = subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        env=environment,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_published_files_through_the_command_line_and_back(tmp_path):
    """Their disparity is tested in tests/cli/test_published_weights.py."""
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    parts = state_dicts()
    parts["encoder"] |= {"height": 192, "width": 640, "use_stereo": False}
    write_folder(parts, tmp_path / "published", "torch")
    said = radepth("convert", "--input", tmp_path / "published", "--output", tmp_path / "run")
    assert said == f"converted to {tmp_path / 'run'}: ra_depth, 640x192, at step 0\n"

    radepth("convert", "--input", tmp_path / "run", "--output", tmp_path / "back", "--to", "torch")
    assert_parts_equal(read_folder(tmp_path / "back"), parts)
    # What a strict load_state_dict asks for.
    for part, shapes in state_dict_shapes().items():
        values = torch.load(tmp_path / "back" / f"{part}.pth", weights_only=True)
        tensors = {k: tuple(v.shape) for k, v in values.items() if isinstance(v, torch.Tensor)}
        assert tensors == shapes


def test_the_published_decoder_converts(shared_data, tmp_path):
    """The one real published file there is; the other parts are generated."""
    torch = pytest.importorskip("torch", reason=NEEDS_TORCH)
    source = shared_data.parent / "reference" / "ra_depth_published_decoder.pth"
    (tmp_path / "depth.pth").write_bytes(source.read_bytes())
    parts = state_dicts() | read_folder(tmp_path)
    config = presets.ra_depth()
    back = torch_from_variables(variables_from_torch(parts, config), config)["depth"]
    original = torch.load(source, weights_only=True, map_location="cpu")
    assert set(back) == set(original)
    for key, value in original.items():
        np.testing.assert_array_equal(back[key], value.numpy(), err_msg=key)
