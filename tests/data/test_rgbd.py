import os
import shutil
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data_sets import encode

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.prepare import prepare
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError

SIZE = (12, 16)
K = np.array([[20.0, 0, 8], [0, 20, 6], [0, 0, 1]])


def pose(number: int) -> np.ndarray:
    c, s = np.cos(0.1 * number), np.sin(0.1 * number)
    return np.array([[c, 0, s, number], [0, 1, 0, 2.5], [-s, 0, c, 0.25], [0, 0, 0, 1]])


def millimetres(number: int) -> np.ndarray:
    values = np.random.default_rng(number).integers(1, 9000, SIZE, np.uint16)
    values[0, 0], values[0, 1] = 0, 65535
    return values


def write_frames(folder: Path, numbers=range(10), kind="png") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for n in numbers:
        image = np.random.default_rng(n).integers(0, 256, (*SIZE, 3), np.uint8)
        data = encode(image, "PNG" if kind == "png" else "JPEG")
        (folder / f"frame-{n:06d}.color.{kind}").write_bytes(data)
        PIL.Image.fromarray(millimetres(n)).save(folder / f"frame-{n:06d}.depth.png")
        np.savetxt(folder / f"frame-{n:06d}.pose.txt", pose(n))
    return folder


@pytest.fixture
def room(tmp_path) -> Path:
    folder = write_frames(tmp_path / "room")
    np.savetxt(folder / "camera-intrinsics.txt", K)
    return folder


def make(source: Path, data_dir: Path, **options):
    prepare("rgbd", source=source, data_dir=data_dir, **options)
    return open_dataset("rgbd", data_dir)


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


def test_a_folder_is_parted_in_time(room, tmp_path):
    dataset = make(room, tmp_path)
    assert dataset.splits == {"train": 7, "validation": 1, "test": 2}
    assert problems(dataset) == []
    assert dataset.metadata.protocol == {"crop": "none", "min_depth": 1e-3, "max_depth": 10.0}
    test = EvaluationSource(dataset, "test")
    assert [test[i]["name"] for i in range(2)] == [
        "room-test/0/0000000008",
        "room-test/0/0000000009",
    ]
    for i, n in enumerate((8, 9)):
        expected = millimetres(n) / 1000
        expected[0, :2] = 0  # no value
        np.testing.assert_allclose(test[i]["depth"], expected, rtol=1e-6)
        assert test[i]["depth_size"].tolist() == list(SIZE)
        np.testing.assert_allclose(test[i]["intrinsics"], K)
    # The last training frame's neighbour is held out.
    assert len(TrainingSource(dataset, "train", (0, -1, 1))) == 5
    for position, n in ((0, 0), (9, 9)):
        record = dataset.record("frames", position)
        np.testing.assert_allclose(record["world_T_camera"], pose(n), atol=1e-12)
        assert record["image"] == (room / f"frame-{n:06d}.color.png").read_bytes()


@pytest.fixture
def scene(tmp_path) -> Path:
    folder = tmp_path / "scene"
    for i in (1, 2, 3):
        write_frames(folder / f"seq-{i:02d}", range(4), kind="jpg")
    np.savetxt(folder / "camera-intrinsics.txt", K)
    return folder


def test_a_scene_is_parted_by_its_own_lists(scene, tmp_path):
    (scene / "TrainSplit.txt").write_text("sequence3\nsequence1\n")
    (scene / "TestSplit.txt").write_text("sequence2\n")
    dataset = make(scene, tmp_path)
    assert dataset.splits == {"train": 8, "test": 4}
    assert EvaluationSource(dataset, "test")[1]["name"] == "seq-02/0/0000000001"
    assert dataset.metadata.index.locate(0) == ("seq-03", 0, 0)


def test_a_scene_is_parted_by_name(scene, tmp_path):
    named = {"train_sequences": ("seq-01",), "test_sequences": ("seq-03",)}
    dataset = make(scene, tmp_path, **named)
    assert dataset.splits == {"train": 4, "test": 4}
    assert len(dataset.metadata.index) == 8


def test_what_is_missing_or_damaged_is_named_and_the_rest_kept(room, tmp_path):
    (room / "frame-000000.color.png").write_bytes(b"nothing")
    (room / "frame-000001.pose.txt").unlink()
    (room / "frame-000002.pose.txt").write_text("1 0 0 nan\n" * 4)
    (room / "frame-000003.pose.txt").write_text("2 0 0 0\n0 2 0 0\n0 0 2 0\n0 0 0 1\n")
    (room / "frame-000008.depth.png").unlink()
    path = room / "frame-000009.depth.png"
    path.write_bytes(path.read_bytes()[:60])
    (room / "frame-000007.depth.png").write_bytes(encode(np.zeros(SIZE, np.uint8)))
    dataset = make(room, tmp_path)
    assert dataset.splits == {"train": 6, "validation": 1, "test": 2}
    assert dataset.metadata.with_depth == {"train": 6, "validation": 0, "test": 0}
    assert np.isnan(dataset.record("frames", 0)["world_T_camera"]).all()
    assert EvaluationSource(dataset, "test")[0]["depth"].max() == 0
    found = problems(dataset)
    for expected in (
        f"{room}/frame-000000.color.png: not an image; left out",
        "train sample room-train camera 0 frame 0: no such frame; left out",
        f"{room}/frame-000002.pose.txt: expected sixteen finite numbers; its frame has no pose",
        f"{room}/frame-000003.pose.txt: not a rigid motion; its frame has no pose",
        "room-train: no pose for 1 frames",
        "room-test: no depth map for 1 frames",
        f"{room}/frame-000007.depth.png: mode L, expected a 16-bit grey PNG; its validation sample "
        "has no ground truth",
    ):
        assert expected in found
    assert any(line.startswith(f"{path}: ") for line in found)
    assert len(found) == 8


def test_transposed_and_empty_ground_truth_is_no_ground_truth(room, tmp_path):
    for n, values in ((8, millimetres(8).T), (9, np.zeros(SIZE, np.uint16))):
        PIL.Image.fromarray(np.ascontiguousarray(values)).save(room / f"frame-{n:06d}.depth.png")
    dataset = make(room, tmp_path)
    assert dataset.splits == {"train": 7, "validation": 1, "test": 1}
    transposed, empty = problems(dataset)
    assert "frame 8: its depth map is 12x16, transposed: its image is 16x12" in transposed
    assert "000009.depth.png: no pixel has a value (all 0)" in empty
    for n in range(10):
        PIL.Image.fromarray(np.ascontiguousarray(millimetres(n).T)).save(
            room / f"frame-{n:06d}.depth.png"
        )
    with pytest.raises(UserError, match=r"no sample is left \(10 problems, .* transposed"):
        make(room, tmp_path / "all")


def test_folders_names_may_be_of_any_bytes(room, tmp_path):
    odd = room.rename(os.fsdecode(os.fsencode(tmp_path) + b"/sal\xe9 2"))
    dataset = make(odd, tmp_path)
    assert dataset.metadata.index.locate(0)[0] == r"sal\xe9 2-train"


def test_a_normalised_camera_is_refused_whoever_gives_it(room, tmp_path):
    np.savetxt(room / "camera-intrinsics.txt", K / [[16], [12], [1]])
    with pytest.raises(UserError, match=r"camera-intrinsics\.txt: .* are these pixels\?"):
        make(room, tmp_path)


def test_intrinsics_are_given_or_asked_for(room, tmp_path):
    file = room / "camera-intrinsics.txt"
    file.unlink()
    with pytest.raises(UserError, match=r"camera-intrinsics.txt is missing; .*--intrinsics"):
        make(room, tmp_path)
    file.write_text("1 2 3")
    with pytest.raises(UserError, match=r"camera-intrinsics.txt: expected nine numbers"):
        make(room, tmp_path)
    dataset = make(room, tmp_path, intrinsics="30,31,7,5")
    np.testing.assert_array_equal(dataset.image(0)[1], [[30, 0, 7], [0, 31, 5], [0, 0, 1]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "neither TrainSplit.txt nor TestSplit.txt in it; name folders"),
        ({"test_sequences": ("seq-09",)}, "test sequence 'seq-09': no frames .* there are seq-01"),
        (
            {"train_sequences": ("seq-01",), "test_sequences": ("seq-01",)},
            "sequence 'seq-01' is named twice",
        ),
    ],
)
def test_unusable_sequences_are_refused(scene, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        make(scene, tmp_path, **options)


def test_unusable_sources_say_what_to_download(room, tmp_path):
    with pytest.raises(UserError, match=r"no such folder; download a scene of 7-Scenes from http"):
        make(tmp_path / "nowhere", tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no frame-XXXXXX.color.png .* download a scene"):
        make(tmp_path / "empty", tmp_path)
    with pytest.raises(UserError, match="no sequences to name"):
        make(room, tmp_path, test_sequences=("seq-01",))
    with pytest.raises(UserError, match="test_share 2: expected"):
        make(room, tmp_path, test_share=2)


def test_real_frames(shared_data, tmp_path):
    """A few frames of 7-Scenes, which agree with each other in depth and pose."""
    folder = tmp_path / "office"
    folder.mkdir()
    source = shared_data / "seven_scenes"
    shutil.copy(source / "camera-intrinsics.txt", folder)
    for n in range(0, 30, 10):
        for path in source.glob(f"frame-{n:06d}.*"):
            shutil.copy(path, folder)
    dataset = make(folder, tmp_path / "d", test_share=1.0, validation_share=0)
    assert dataset.splits == {"test": 3}
    assert dataset.canvas == dataset.metadata.depth_canvas == (480, 640)
    assert problems(dataset) == []
    source = EvaluationSource(dataset, "test")
    K = source[0]["intrinsics"].astype(float)
    np.testing.assert_array_equal(K, [[585, 0, 320], [0, 585, 240], [0, 0, 1]])
    depths = [source[i]["depth"] for i in range(3)]
    poses = [dataset.record("frames", i)["world_T_camera"] for i in range(3)]
    # Frame 0's points, seen from frame 20, have the depth that frame 20 measured.
    v, u = np.nonzero(depths[0])
    points = np.linalg.solve(K, np.stack([u, v, np.ones_like(u)]) * depths[0][v, u])
    there_T_here = np.linalg.solve(poses[2], poses[0])
    points = there_T_here[:3, :3] @ points + there_T_here[:3, 3:]
    x, y = np.round((K @ points / points[2])[:2]).astype(int)
    inside = (x >= 0) & (x < 640) & (y >= 0) & (y < 480)
    measured, expected = depths[2][y[inside], x[inside]], points[2][inside]
    both = measured > 0
    assert both.mean() > 0.6
    assert np.median(np.abs(measured - expected)[both]) < 0.02
