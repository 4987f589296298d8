"""The four files of a PyTorch checkpoint, in both kinds."""

import os
import sys

import numpy as np
import pytest
import safetensors.numpy

from radepth_jax.errors import UserError
from radepth_jax.interop.torch_files import read_folder, write_folder

NEEDS_TORCH = "needs the torch extra: pip install 'radepth-jax[torch]'"

PARTS = {
    "encoder": {
        "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
        "bn1.num_batches_tracked": np.array(7, np.int64),
        "height": 192,
        "width": 640,
        "use_stereo": True,
    },
    "depth": {"decoder.0.conv.bias": np.array([0.5, -0.0, 1e-40], np.float32)},
}


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason=NEEDS_TORCH)


def assert_equal(ours, theirs):
    assert {part: set(keys) for part, keys in ours.items()} == {
        part: set(keys) for part, keys in theirs.items()
    }
    for part, values in theirs.items():
        for key, value in values.items():
            got = ours[part][key]
            assert type(got) is type(value), (part, key)
            if isinstance(value, np.ndarray):
                assert (got.dtype, got.shape) == (value.dtype, value.shape)
                assert got.tobytes() == value.tobytes()
            else:
                assert got == value


def test_safetensors_hold_everything_and_need_no_torch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    files = write_folder(PARTS, tmp_path / "out", "safetensors")
    assert [file.name for file in files] == ["encoder.safetensors", "depth.safetensors"]
    assert_equal(read_folder(tmp_path / "out"), PARTS)


def test_torch_files_hold_everything(tmp_path, torch):
    files = write_folder(PARTS, tmp_path / "out", "torch")
    assert [file.name for file in files] == ["encoder.pth", "depth.pth"]
    assert_equal(read_folder(tmp_path / "out"), PARTS)
    plain = torch.load(tmp_path / "out" / "encoder.pth", weights_only=True)
    assert (plain["height"], plain["width"], plain["use_stereo"]) == (192, 640, True)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda d: {"state_dict": d, "epoch": 3},
        lambda d: {"model": {"state_dict": d}, "optimizer": {"lr": 1.0}},
        lambda d: {"net": d},
        lambda d: {"model_state_dict": d, "loss": 0.5, "height": d.get("height", 0)},
    ],
)
def test_what_a_framework_puts_around_a_state_dict_is_taken_off(tmp_path, torch, wrap):
    (tmp_path / "in").mkdir()
    for part, values in PARTS.items():
        tensors = {k: torch.tensor(v) if hasattr(v, "shape") else v for k, v in values.items()}
        torch.save(wrap(tensors), tmp_path / "in" / f"{part}.pth")
    found = read_folder(tmp_path / "in")
    found["depth"].pop("height", None)
    assert_equal(found, PARTS)


def test_safetensors_are_read_first(tmp_path, torch):
    write_folder({"depth": {"a": np.ones(1, np.float32)}}, tmp_path, "safetensors")
    write_folder({"depth": {"a": np.zeros(1, np.float32)}}, tmp_path, "torch")
    assert read_folder(tmp_path)["depth"]["a"] == 1


def test_bfloat16_is_widened(tmp_path, torch):
    torch.save({"a": torch.tensor([1.5], dtype=torch.bfloat16)}, tmp_path / "depth.pth")
    value = read_folder(tmp_path)["depth"]["a"]
    assert (value.dtype, value[0]) == (np.float32, 1.5)


class Hostile:
    """Runs a command when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (self.trace,)


def test_a_hostile_pickle_is_refused_and_not_run(tmp_path, torch):
    trace = tmp_path / "it_ran"
    torch.save({"conv1.weight": Hostile(str(trace))}, tmp_path / "encoder.pth")
    with pytest.raises(UserError, match=r"encoder\.pth: refused.*\(posix\.mkdir\)") as error:
        read_folder(tmp_path)
    assert "\n" not in str(error.value)
    assert "weights_only" not in str(error.value)
    assert not trace.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_pickle_is_refused_in_one_line(tmp_path, torch, content):
    (tmp_path / "encoder.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"encoder\.pth: not a readable") as error:
        read_folder(tmp_path)
    assert "\n" not in str(error.value)


def test_a_pickle_of_something_else(tmp_path, torch):
    torch.save([torch.zeros(1)], tmp_path / "encoder.pth")
    with pytest.raises(UserError, match="expected a PyTorch state dict, got list"):
        read_folder(tmp_path)


def test_a_sparse_tensor_is_named(tmp_path, torch):
    torch.save({"conv1.weight": torch.eye(2).to_sparse()}, tmp_path / "encoder.pth")
    with pytest.raises(UserError, match=r"conv1\.weight is a tensor of layout torch\.sparse_coo"):
        read_folder(tmp_path)


def test_without_torch_it_says_what_to_install_or_to_give(tmp_path, monkeypatch):
    (tmp_path / "encoder.pth").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError) as error:
        read_folder(tmp_path)
    assert "pip install 'radepth-jax[torch]'" in str(error.value)
    assert "or give" in str(error.value)
    assert "encoder.safetensors" in str(error.value)
    with pytest.raises(UserError, match=r"writing \.pth files needs PyTorch: pip install"):
        write_folder(PARTS, tmp_path / "out", "torch")


def test_a_damaged_safetensors_file(tmp_path):
    (tmp_path / "depth.safetensors").write_bytes(b"\x00" * 20)
    with pytest.raises(UserError, match=r"depth\.safetensors: not a readable safetensors file"):
        read_folder(tmp_path)


def test_metadata_that_says_nothing_is_left_out(tmp_path):
    values = {"a": np.zeros(1, np.float32)}
    safetensors.numpy.save_file(values, tmp_path / "encoder.safetensors", {"format": "pt"})
    assert set(read_folder(tmp_path)["encoder"]) == {"a"}


def test_a_folder_without_weights(tmp_path):
    with pytest.raises(UserError, match=r"expected encoder\.pth, depth\.pth.*found none"):
        read_folder(tmp_path)
    with pytest.raises(UserError, match="nowhere: no such folder"):
        read_folder(tmp_path / "nowhere")


def test_nothing_is_overwritten(tmp_path):
    write_folder(PARTS, tmp_path, "safetensors")
    with pytest.raises(UserError, match=r"encoder\.safetensors: already exists"):
        write_folder(PARTS, tmp_path, "safetensors")
