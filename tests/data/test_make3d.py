from pathlib import Path

import numpy as np
import pytest
import scipy.io
from small_data_sets import encode

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.make3d import central_rows
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError

# An eighth of the real sizes, which keeps their proportions: 284 x 213, and 55 x 305 as it is.
IMAGE, GRID = (284, 213), (55, 305)


def picture() -> np.ndarray:
    """A row's red tells which part of the image's height it is."""
    rows = np.round(255 * (np.arange(IMAGE[0]) + 0.5) / IMAGE[0]).astype(np.uint8)
    return np.broadcast_to(rows[:, None, None], (*IMAGE, 3))


def grid() -> np.ndarray:
    """A row's depth tells the same, times 100 metres."""
    values = np.zeros((*GRID, 4))
    values[:, :, 3] = (100 * (np.arange(GRID[0]) + 0.5) / GRID[0])[:, None]
    values[:, :, :3] = 7
    return values


@pytest.fixture
def tree(tmp_path) -> Path:
    root = tmp_path / "make3d"
    (root / "Test134").mkdir(parents=True)
    (root / "Gridlaserdata").mkdir()
    for name in ("a-p-1t0", "b-p-2t0"):
        (root / "Test134" / f"img-{name}.jpg").write_bytes(encode(picture(), "JPEG"))
        path = root / "Gridlaserdata" / f"depth_sph_corr-{name}.mat"
        scipy.io.savemat(path, {"Position3DGrid": grid()})
    return root


def make(root: Path, data_dir: Path):
    prepare("make3d", source=root, data_dir=data_dir)
    return open_dataset("make3d", data_dir)


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


def test_the_published_crop_of_the_real_sizes():
    assert central_rows(852, 2272, 2272) == slice(710, 1562)
    assert central_rows(852, 2272, 55) == slice(17, 38)


def test_image_and_depth_show_the_same_part(tree, tmp_path):
    dataset = make(tree, tmp_path)
    assert dataset.splits == {"test": 2}
    assert dataset.canvas == (106, 213)
    assert dataset.metadata.depth_canvas == (21, 305)
    assert dataset.metadata.protocol == {"crop": "none", "min_depth": 1e-3, "max_depth": 70.0}
    assert problems(dataset) == []
    item = EvaluationSource(dataset, "test")[1]
    assert item["depth_size"].tolist() == [21, 305]
    assert np.isnan(item["intrinsics"]).all()
    # Where in the whole image's height the parts begin and end, from their outer rows.
    image, depth = item["image"][:, 100, 0] / 255, item["depth"][:, 0] / 100
    top = image[0] - 0.5 / IMAGE[0], depth[0] - 0.5 / GRID[0]
    bottom = image[-1] + 0.5 / IMAGE[0], depth[-1] + 0.5 / GRID[0]
    for inner, outer in (top, bottom):
        assert abs(inner - outer) < 0.3 / GRID[0]
    middle = (image[0] + image[-1]) / 2
    assert middle == pytest.approx((depth[0] + depth[-1]) / 2, abs=0.005)


def test_depth_that_is_no_number_is_no_value(tree, tmp_path):
    values = grid()
    values[20, :3, 3] = np.nan, np.inf, -1
    path = tree / "Gridlaserdata" / "depth_sph_corr-a-p-1t0.mat"
    scipy.io.savemat(path, {"Position3DGrid": values})
    depth = EvaluationSource(make(tree, tmp_path), "test")[0]["depth"]
    np.testing.assert_array_equal(depth[3, :3], 0)
    assert (depth > 0).sum() == 21 * 305 - 3


def test_what_is_missing_or_damaged_is_named_and_left_out(tree, tmp_path):
    images, grids = tree / "Test134", tree / "Gridlaserdata"
    for name in ("c", "d", "e", "f"):
        (images / f"img-{name}.jpg").write_bytes(encode(picture(), "JPEG"))
        scipy.io.savemat(grids / f"depth_sph_corr-{name}.mat", {"Position3DGrid": grid()})
    cut = images / "img-c.jpg"
    cut.write_bytes(cut.read_bytes()[:500])
    damaged = grids / "depth_sph_corr-d.mat"
    damaged.write_bytes(damaged.read_bytes()[:300])
    scipy.io.savemat(grids / "depth_sph_corr-e.mat", {"Other": grid()})
    (grids / "depth_sph_corr-f.mat").unlink()
    dataset = make(tree, tmp_path)
    assert dataset.splits == {"test": 2}
    found = problems(dataset)
    assert f"{images / 'img-f.jpg'}: no depth map of it" in found
    assert any(line.startswith(f"{cut}: ") and line.endswith("; left out") for line in found)
    for path in (damaged, grids / "depth_sph_corr-e.mat"):
        assert any(line.startswith(f"{path}: ") for line in found)
    assert len(found) == 4


def test_unusable_sources_say_what_to_download(tree, tmp_path):
    with pytest.raises(UserError, match=r"Test134: no img-\*.jpg in it; download Test134.tar.gz"):
        make(tmp_path, tmp_path / "d")
    for path in (tree / "Gridlaserdata").iterdir():
        path.unlink()
    with pytest.raises(UserError, match=r"Gridlaserdata: no depth_sph_corr-\*.mat in it; download"):
        make(tree, tmp_path / "d")
