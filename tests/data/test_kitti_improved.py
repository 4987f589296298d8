from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data_sets import KITTI_SIZE, encode

from radepth_jax.data import kitti_splits
from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError

D1 = "2011_09_26/2011_09_26_drive_0001_sync"
D2 = "2011_09_26/2011_09_26_drive_0002_sync"


def stored(frame: int) -> np.ndarray:
    return np.random.default_rng(frame).integers(0, 20000, KITTI_SIZE, np.uint16)


def depth_path(root: Path, part: str, drive: str, frame: int, camera=2) -> Path:
    folder = root / part / drive.split("/")[1] / "proj_depth" / "groundtruth"
    return folder / f"image_{camera:02d}" / f"{frame:010d}.png"


def write_depth(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(values).save(path)


@pytest.fixture
def trees(kitti, tmp_path) -> dict[str, Path]:
    """Drive 0001 is annotated in `train`, 0002 in `val`; the list has three of their frames."""
    annotated = tmp_path / "annotated"
    write_depth(depth_path(annotated, "train", D1, 4), stored(4))
    for frame, camera in ((1, 2), (3, 3)):
        write_depth(depth_path(annotated, "val", D2, frame, camera), stored(frame))
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "test_files.txt").write_text(f"{D2} 1 l\n{D1} 0000000004 l\n{D2} 3 r\n")
    return {"source": kitti, "annotated": annotated, "split_lists": lists}


def make(trees, data_dir: Path):
    prepare("kitti_improved", data_dir=data_dir, **{k: str(v) for k, v in trees.items()})
    return open_dataset("kitti_improved", data_dir)


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


def test_listed_images_have_their_annotated_depth(trees, tmp_path):
    dataset = make(trees, tmp_path)
    assert dataset.splits == {"test": 3}
    assert len(dataset.metadata.index) == 3  # no other frame is stored
    assert problems(dataset) == []
    assert dataset.metadata.protocol == {"crop": "none", "min_depth": 1e-3, "max_depth": 80.0}
    source = EvaluationSource(dataset, "test")
    expected = [("2/0000000001", 1), ("2/0000000004", 4), ("3/0000000003", 3)]
    for i, (name, frame) in enumerate(expected):
        item = source[i]
        assert item["name"].endswith(name)
        np.testing.assert_array_equal(item["depth"], (stored(frame) / 256).astype(np.float32))
    image = trees["source"] / D1 / "image_02" / "data" / "0000000004.png"
    np.testing.assert_array_equal(source[1]["image"], np.asarray(PIL.Image.open(image)))


def test_what_is_missing_or_damaged_is_listed(trees, tmp_path):
    annotated = trees["annotated"]
    damaged, small = depth_path(annotated, "val", D2, 1), depth_path(annotated, "val", D2, 3, 3)
    damaged.write_bytes(damaged.read_bytes()[:50])
    write_depth(small, stored(3)[:, :20])
    depth_path(annotated, "train", D1, 4).unlink()
    with (trees["split_lists"] / "test_files.txt").open("a") as file:
        file.write(f"{D1} 9 l\n{D1.replace('0001', '0008')} 1 l\n")
    dataset = make(trees, tmp_path)
    assert dataset.splits == {"test": 3}
    assert dataset.metadata.with_depth == {"test": 0}
    found = problems(dataset)
    h, w = KITTI_SIZE
    nowhere = D1.replace("0001", "0008")
    for expected in (
        f"{nowhere} camera 2: no images in {trees['source']}; its 1 test samples are left out",
        f"{small}: 20x{h}, but its image is {w}x{h}; its test sample has no ground truth",
        "test sample 2011_09_26_drive_0001_sync camera 2 frame 9: no such frame; left out",
        "2011_09_26_drive_0001_sync: no annotated depth for 2 test samples; no ground truth",
    ):
        assert expected in found
    assert any(line.startswith(f"{damaged}: ") for line in found)
    assert len(found) == 5


def test_an_eight_bit_picture_is_no_depth(trees, tmp_path):
    path = depth_path(trees["annotated"], "val", D2, 1)
    path.write_bytes(encode(np.zeros(KITTI_SIZE, np.uint8)))
    assert f"{path}: mode L, expected a 16-bit grey PNG" in problems(make(trees, tmp_path))[0]


def test_unusable_sources_say_what_to_download(trees, tmp_path):
    with pytest.raises(UserError, match=r"neither train nor val .*data_depth_annotated.zip, from"):
        make(trees | {"annotated": tmp_path}, tmp_path)
    with pytest.raises(UserError, match=r"no KITTI drives in it.*raw_data.php"):
        make(trees | {"source": tmp_path / "lists"}, tmp_path)
    (trees["split_lists"] / "test_files.txt").write_text(f"{D1.replace('0001', '0009')} 1 l\n")
    with pytest.raises(UserError, match="no image of the 1 in the test list"):
        make(trees, tmp_path)


def test_the_published_list_reads_in_full(shared_data):
    name = kitti_splits.PUBLISHED["eigen_benchmark"]["test"]
    assert len(kitti_splits.read_list(shared_data / "kitti_splits" / name)) == 652
