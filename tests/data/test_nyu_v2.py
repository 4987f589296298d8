from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError

H, W, N = 6, 8, 5


def image(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (H, W, 3), np.uint8)


def depth(i: int, raw: bool = False) -> np.ndarray:
    values = np.random.default_rng(i).uniform(0.7, 9.9, (H, W)).astype(np.float32)
    if raw:
        values[0] = 0
    return values


def write_labelled(path: Path, maps: tuple[int, ...] | None = None) -> None:
    """As MATLAB does: every array transposed, one image a chunk."""
    with h5py.File(path, "w") as file:
        chunk = {"compression": "gzip", "fletcher32": True}
        images = np.stack([image(i).transpose(2, 1, 0) for i in range(1, N + 1)])
        file.create_dataset("images", data=images, chunks=(1, 3, W, H), **chunk)
        for name, raw in (("depths", False), ("rawDepths", True)):
            values = np.stack([depth(i, raw).T for i in range(1, N + 1)])
            values = values if maps is None else np.zeros(maps, np.float32)
            file.create_dataset(name, data=values, chunks=(1, *values.shape[1:]), **chunk)


@pytest.fixture
def folder(tmp_path) -> Path:
    root = tmp_path / "nyu"
    root.mkdir()
    write_labelled(root / "nyu_depth_v2_labeled.mat")
    write_splits(root, [2, 3, 5])
    return root


def write_splits(root: Path, test: list[int]) -> None:
    indices = {"testNdxs": np.array(test)[:, None], "trainNdxs": np.array([[1], [4]])}
    scipy.io.savemat(root / "splits.mat", indices)


def make(root: Path, data_dir: Path, **options):
    prepare("nyu_v2", source=root, data_dir=data_dir, **options)
    return open_dataset("nyu_v2", data_dir)


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


@pytest.mark.parametrize("kind", ["filled", "raw"])
def test_the_test_split_counts_from_one_and_is_transposed_back(folder, tmp_path, kind):
    dataset = make(folder, tmp_path, depth=kind)
    assert dataset.splits == {"test": 3}
    assert dataset.metadata.protocol == {"crop": "nyu", "min_depth": 1e-3, "max_depth": 10.0}
    assert problems(dataset) == []
    source = EvaluationSource(dataset, "test")
    for item, i in zip((source[j] for j in range(3)), (2, 3, 5), strict=True):
        assert item["name"] == f"labeled/0/{i:010d}"
        np.testing.assert_array_equal(item["image"], image(i))
        np.testing.assert_array_equal(item["depth"], depth(i, raw=kind == "raw"))
        np.testing.assert_allclose(item["intrinsics"][:2, 2], [324.58245, 252.73617])


def test_what_cannot_be_read_is_named_and_left_out(folder, tmp_path):
    write_splits(folder, [2, 3, 9])
    path = folder / "nyu_depth_v2_labeled.mat"
    with h5py.File(path) as file:
        chunk = file["images"].id.get_chunk_info_by_coord((2, 0, 0, 0))
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + 5] ^= 0xFF
    path.write_bytes(data)
    dataset = make(folder, tmp_path)
    assert dataset.splits == {"test": 1}
    found = problems(dataset)
    assert found[0] == f"{folder / 'splits.mat'}: image 9, but {path} has 5; left out"
    assert found[1].startswith(f"{path}: images 3: ")
    assert found[2] == "test sample labeled camera 0 frame 3: no such frame; left out"
    assert len(found) == 3


def test_unusable_files_are_named_with_what_to_download(folder, tmp_path):
    where = r"download nyu_depth_v2_labeled.mat"
    labelled, splits = folder / "nyu_depth_v2_labeled.mat", folder / "splits.mat"
    whole = labelled.read_bytes()
    with pytest.raises(UserError, match="nyu_v2: depth: expected one of filled, raw, got 'dense'"):
        make(folder, tmp_path, depth="dense")
    labelled.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=rf"nyu_depth_v2_labeled.mat: unreadable .*{where}"):
        make(folder, tmp_path)
    write_labelled(labelled, maps=(N, H, W))
    with pytest.raises(UserError, match="expected N x 3 x W x H and N x W x H"):
        make(folder, tmp_path)
    scipy.io.savemat(splits, {"other": 1})
    with pytest.raises(UserError, match=rf"splits.mat: no list of images 'testNdxs' .*{where}"):
        make(folder, tmp_path)
    splits.write_bytes(b"nothing")
    with pytest.raises(UserError, match=rf"splits.mat: unreadable .*{where}"):
        make(folder, tmp_path)
    splits.unlink()
    with pytest.raises(UserError, match=rf"splits.mat is missing; {where}"):
        make(folder, tmp_path)
