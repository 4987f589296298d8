"""The published protocols from their files to their table: each takes its own crop and range."""

import csv
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
from PIL import Image

from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of

RANDOM = np.random.default_rng(0)


def noise(h: int, w: int) -> np.ndarray:
    return RANDOM.integers(0, 256, (h, w, 3), np.uint8)


def write_make3d(folder: Path) -> int:
    """One image; returns how many depths the protocol compares."""
    depth = RANDOM.uniform(1, 81, (55, 305))
    (folder / "Test134").mkdir()
    (folder / "Gridlaserdata").mkdir()
    Image.fromarray(noise(284, 213)).save(folder / "Test134" / "img-a.jpg")
    grid = {"Position3DGrid": np.repeat(depth[:, :, None], 4, 2)}
    scipy.io.savemat(folder / "Gridlaserdata" / "depth_sph_corr-a.mat", grid)
    return int((depth[17:38] < 70).sum())


def write_nyu_v2(folder: Path) -> int:
    depth = RANDOM.uniform(0.5, 12, (480, 640)).astype(np.float32)
    with h5py.File(folder / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = noise(480, 640).transpose(2, 1, 0)[None]
        file["depths"] = depth.T[None]
    scipy.io.savemat(folder / "splits.mat", {"testNdxs": np.array([[1]])})
    return int((depth[45:471, 41:601] < 10).sum())


def write_rgbd(folder: Path) -> int:
    depth = RANDOM.integers(0, 12_000, (48, 64), np.uint16)
    Image.fromarray(noise(48, 64)).save(folder / "frame-000000.color.png")
    Image.fromarray(depth).save(folder / "frame-000000.depth.png")
    np.savetxt(folder / "camera-intrinsics.txt", [[60, 0, 32], [0, 60, 24], [0, 0, 1]])
    return int(((depth > 1) & (depth < 10_000)).sum())


@pytest.fixture(scope="module")
def checkpoint(reference_config, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    return folder


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("make3d", write_make3d, []),
        ("nyu_v2", write_nyu_v2, []),
        ("rgbd", write_rgbd, ["--test_share=1", "--validation_share=0"]),
    ],
)
def test_a_protocol_takes_two_commands(
    radepth, checkpoint, tmp_path, name: str, write: Callable[[Path], int], options: list[str]
):
    source, out = tmp_path / "source", tmp_path / "out"
    source.mkdir()
    compared = write(source)
    data_dir = f"--data_dir={tmp_path / 'data'}"
    code, _, err = radepth("prepare", name, f"--source={source}", data_dir, *options)
    assert code == 0, err
    code, _, err = radepth(
        "evaluate", f"--checkpoint={checkpoint}", f"--dataset={name}", data_dir,
        "--resolutions=64x32", f"--output={out}",
    )  # fmt: skip
    assert code == 0, err
    (image,) = csv.DictReader((out / "per_image.csv").read_text().splitlines())
    assert int(image["pixels"]) == compared
    assert 0 < float(image["abs_rel"]) < 10
