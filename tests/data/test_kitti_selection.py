"""`radepth prepare kitti_selection`: images, depth and intrinsics in three folders."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError

SIZE = (36, 120)
NAMES = (("2011_09_26_drive_0002_sync", 8, 2, "png"), ("2011_09_28_drive_0106_sync", 48, 3, "jpg"))


def parts(drive, frame, camera):
    image = f"{drive}_image_{frame:010d}_image_{camera:02d}"
    return image, f"{drive}_groundtruth_depth_{frame:010d}_image_{camera:02d}"


def stored(frame: int) -> np.ndarray:
    return np.random.default_rng(frame).integers(0, 20000, SIZE, np.uint16)


@pytest.fixture
def selection(tmp_path) -> Path:
    """The archive's folder with two images of two scenes."""
    root = tmp_path / "depth_selection"
    inner = root / "val_selection_cropped"
    for folder in ("image", "groundtruth_depth", "intrinsics"):
        (inner / folder).mkdir(parents=True)
    for drive, frame, camera, ending in NAMES:
        image, depth = parts(drive, frame, camera)
        pixels = np.random.default_rng(frame).integers(0, 256, (*SIZE, 3), np.uint8)
        PIL.Image.fromarray(pixels).save(inner / "image" / f"{image}.{ending}")
        PIL.Image.fromarray(stored(frame)).save(inner / "groundtruth_depth" / f"{depth}.png")
        (inner / "intrinsics" / f"{image}.txt").write_text("90 0 60 0 91 18 0 0 1\n")
    return root


def make(source: Path, data_dir: Path):
    prepare("kitti_selection", source=source, data_dir=data_dir)
    return open_dataset("kitti_selection", data_dir)


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


@pytest.mark.parametrize("place", [".", "depth_selection", "depth_selection/val_selection_cropped"])
def test_images_have_their_depth_and_camera(selection, tmp_path, place):
    dataset = make(tmp_path / place if place != "." else selection, tmp_path / "data")
    assert dataset.splits == {"test": 2}
    assert problems(dataset) == []
    assert dataset.metadata.protocol == {"crop": "garg", "min_depth": 1e-3, "max_depth": 80.0}
    source = EvaluationSource(dataset, "test")
    for i, (drive, frame, camera, _) in enumerate(NAMES):
        item = source[i]
        assert item["name"] == f"{drive}/{camera}/{frame:010d}"
        np.testing.assert_array_equal(item["depth"], (stored(frame) / 256).astype(np.float32))
        expected = [[90, 0, 60], [0, 91, 18], [0, 0, 1]]
        np.testing.assert_array_equal(item["intrinsics"], expected)


def test_what_is_missing_or_damaged_is_listed(selection, tmp_path):
    inner = selection / "val_selection_cropped"
    (_, truth), (second, _) = (parts(*name[:3]) for name in NAMES)
    (inner / "groundtruth_depth" / f"{truth}.png").unlink()
    (inner / "intrinsics" / f"{second}.txt").write_text("90 0 60\n")
    (inner / "image" / "picture.png").write_bytes(b"")
    dataset = make(selection, tmp_path / "data")
    said = problems(dataset)
    assert len(said) == 3
    assert any("picture.png: expected a name such as" in line for line in said)
    assert any(f"{second}.txt: 3 numbers, expected 9" in line for line in said)
    assert any(f"{truth}.png" in line and "has no ground truth" in line for line in said)
    source = EvaluationSource(dataset, "test")
    assert np.isnan(source[1]["intrinsics"]).all()


def test_depth_of_another_size_is_no_truth(selection, tmp_path):
    (_, truth), _ = (parts(*name[:3]) for name in NAMES)
    path = selection / "val_selection_cropped" / "groundtruth_depth" / f"{truth}.png"
    PIL.Image.fromarray(stored(1)[:-1]).save(path)
    (line,) = problems(make(selection, tmp_path / "data"))
    assert "120x35, but its image is 120x36" in line


@pytest.mark.parametrize("missing", ["image", "intrinsics"])
def test_another_folder_is_one_line(selection, tmp_path, missing):
    inner = selection / "val_selection_cropped"
    (inner / missing).rename(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=rf"no folder .*{missing} in it; download"):
        make(inner, tmp_path / "data")


def test_the_real_selection(shared_data, tmp_path):
    folder = shared_data / "kitti_selection"
    if not folder.is_dir():
        pytest.skip("needs kitti_selection in ../shared/data")
    dataset = make(folder, tmp_path / "data")
    assert dataset.splits == {"test": 20}
    assert problems(dataset) == []
    source = EvaluationSource(dataset, "test")
    assert len({source.name(i).split("/")[0] for i in range(20)}) == 15
