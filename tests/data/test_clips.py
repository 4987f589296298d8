"""Several clips in one data set."""

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import yaml

from radepth_jax.cli import prepare as command
from radepth_jax.data.clips import find_clips
from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.prepare import prepare
from radepth_jax.data.recordings import find_recordings, read_poses
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError


def write(folder: Path, count: int, size=(24, 32)) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        noise = np.random.default_rng([count, i]).integers(0, 256, (*size, 3), np.uint8)
        PIL.Image.fromarray(noise).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def clips(tmp_path) -> list[Path]:
    return [write(tmp_path / "in" / "city", 12), write(tmp_path / "in" / "forest", 6, (30, 20))]


def test_each_clip_has_its_camera_and_no_neighbour_in_another(clips, tmp_path):
    command.main(
        [
            *["video/two", "--data_dir", str(tmp_path), "--validation_share", "0.25"],
            *["--source", str(clips[0]), "--source", str(clips[1])],
            *["--intrinsics", "40,40,15.5,11.5", "--intrinsics", "25,25,9.5,14.5"],
        ]
    )
    dataset = open_dataset("video/two", tmp_path)
    assert dataset.canvas == (30, 32)
    assert dataset.splits == {"train": 9 + 4, "validation": 3 + 2}
    source = TrainingSource(dataset, "train", (0, -1, 1))
    assert len(source) == 7 + 2
    found = {tuple(s["size"]): s["intrinsics"][0, 0] for s in (source[i] for i in range(9))}
    assert found == {(24, 32): 40, (30, 20): 25}
    names = {dataset.metadata.index.locate(i)[0] for i in range(18)}
    assert names == {"city-train", "city-validation", "forest-train", "forest-validation"}


def test_a_folder_of_folders_is_its_clips(clips, tmp_path):
    (tmp_path / "in" / "notes.txt").write_text("notes")
    (tmp_path / "in" / "empty").mkdir()
    (tmp_path / "in" / ".hidden").mkdir()
    problems = []
    assert find_clips([tmp_path / "in"], problems) == clips
    assert find_clips(clips, problems) == clips
    assert problems == [f"{tmp_path}/in: passed over 1 file without a film: notes.txt"]
    prepare("video", source=tmp_path / "in", data_dir=tmp_path, fov=60.0)
    dataset = open_dataset("video", tmp_path)
    assert dataset.metadata.prepared_from["source"] == str((tmp_path / "in").resolve())
    # One field of view, a focal length for each size.
    fx = {dataset.image(i)[1][0, 0] for i in range(len(dataset.metadata.index))}
    assert len(fx) == 2


def test_clips_of_one_name_are_told_apart(tmp_path):
    sources = [write(tmp_path / name / "frames", 4 + i) for i, name in enumerate("ab")]
    prepare("video", source=sources, data_dir=tmp_path, fov=60.0, validation_share=0.0)
    index = open_dataset("video", tmp_path).metadata.index
    assert {index.locate(i)[0] for i in range(9)} == {"frames_1-train", "frames_2-train"}


@pytest.mark.parametrize(("sampling", "expected"), [("length", [12, 6]), ("even", [12, 12])])
def test_clips_are_sampled_by_length_or_evenly(clips, tmp_path, sampling, expected):
    options = {"fov": 60.0, "validation_share": 0.0, "sampling": sampling}
    prepare("video", source=clips, data_dir=tmp_path, **options)
    dataset = open_dataset("video", tmp_path)
    found = [dataset.metadata.index.locate(t)[0] for t in dataset.targets("train")]
    assert [found.count("city-train"), found.count("forest-train")] == expected
    assert len(dataset.metadata.index) == 18


def test_what_does_not_go_together_is_named(clips, tmp_path):
    with pytest.raises(UserError, match="3 values of fov for 2 clips; give one for all"):
        prepare("video", source=clips, data_dir=tmp_path, fov=(60.0, 70.0, 80.0))
    with pytest.raises(UserError, match="sampling: expected one of length, even, got 'odd'"):
        prepare("video", source=clips, data_dir=tmp_path, fov=60.0, sampling="odd")
    with pytest.raises(UserError, match="nowhere: no such file or folder"):
        prepare("video", source=[*clips, tmp_path / "nowhere"], data_dir=tmp_path, fov=60.0)


def listing(folder: Path, **entries) -> Path:
    path = folder / "clips.yaml"
    path.write_text(yaml.safe_dump(entries))
    return path


def test_a_list_gives_each_clip_its_camera_and_its_crop(clips, tmp_path):
    (tmp_path / "in" / "camera.json").write_text(
        json.dumps({"fl_x": 26, "fl_y": 27, "cx": 10, "cy": 15, "w": 20, "h": 30})
    )
    path = listing(
        tmp_path / "in",
        city={"fov": 60, "crop": [4, 2, 24, 20]},
        forest={"camera": "camera.json"},
    )
    command.main(["video/listed", "--data_dir", str(tmp_path), "--clips", str(path)])
    dataset = open_dataset("video/listed", tmp_path)
    source = TrainingSource(dataset, "train", (0, -1, 1))
    samples = [source[i] for i in range(len(source))]
    cameras = {tuple(s["size"]): s["intrinsics"] for s in samples}
    assert set(cameras) == {(20, 24), (30, 20)}
    focal = 16 / np.tan(np.radians(30))
    expected = [[focal, 0, 15.5 - 4], [0, focal, 11.5 - 2], [0, 0, 1]]
    np.testing.assert_allclose(cameras[20, 24], expected, rtol=1e-6)
    np.testing.assert_allclose(cameras[30, 20][:2], [[26, 0, 9.5], [0, 27, 14.5]], rtol=1e-6)
    # The crop's pixels are those of the picture. JPEG keeps the brightness of noise.
    whole = np.asarray(PIL.Image.open(clips[0] / "1.png").convert("L"), float)[2:22, 4:28]
    first = next(s for s in samples if tuple(s["size"]) == (20, 24))["frames"][0, :20, :24]
    assert np.abs(np.asarray(PIL.Image.fromarray(first).convert("L")) - whole).mean() < 10


def test_a_list_may_name_the_poses_of_a_clip(clips, tmp_path):
    poses = np.tile(np.eye(4)[:3], (12, 1, 1))
    poses[:, 2, 3] = 0.5 * np.arange(12)  # straight ahead, half a metre a frame
    np.savetxt(tmp_path / "in" / "city.txt", poses.reshape(12, 12))
    table = {"city": {"fov": 60, "poses": "city.txt"}, "forest": {"fov": 60}}
    (tmp_path / "in" / "clips.json").write_text(json.dumps(table))
    prepare(
        "video", clips=tmp_path / "in" / "clips.json", data_dir=tmp_path, stride=2, min_change=0.0
    )
    dataset = open_dataset("video", tmp_path)
    recordings = {one.name: one for one in find_recordings(dataset, "train")}
    world_T_camera, _ = read_poses(dataset, recordings["city-train"])
    # Every second frame of the clip is kept, and its last tenth is held out.
    np.testing.assert_array_equal(world_T_camera[:, 2, 3], np.arange(len(world_T_camera)))
    assert len(world_T_camera) == 5
    with pytest.raises(UserError, match="no poses"):
        read_poses(dataset, recordings["forest-train"])
    np.savetxt(tmp_path / "in" / "city.txt", poses.reshape(12, 12)[:7])
    with pytest.raises(UserError, match=r"7 poses, but .*city has 11 frames or more"):
        prepare("video", clips=tmp_path / "in" / "clips.json", data_dir=tmp_path / "b", stride=2)


def test_a_changed_list_is_another_data_set(clips, tmp_path):
    path = listing(tmp_path / "in", city={"fov": 60})
    prepare("video", data_dir=tmp_path, clips=path)
    prepare("video", data_dir=tmp_path, clips=path)
    listing(tmp_path / "in", city={"fov": 70})
    with pytest.raises(UserError, match="was prepared with clips 'city"):
        prepare("video", data_dir=tmp_path, clips=path)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "city: expected one of intrinsics, fov, camera, got none"),
        ({"fov": 60, "intrinsics": [1, 2, 3, 4]}, "expected one of .*, got fov, intrinsics"),
        ({"fov": 60, "croop": [1]}, "city: expected some of intrinsics, .*got"),
        ({"intrinsics": [40, 40]}, r"city: intrinsics: expected a list of 4, got \[40, 40\]"),
        ({"fov": "wide"}, "city: .*wide"),
        ({"fov": 60, "crop": [0, 0, 33, 24]}, "inside 32x24 pixels"),
        ({"fov": 60, "distortion": [0.1, "x"]}, "city: .*x"),
        ({"fov": 60, "fisheye": True, "distortion": [0.1] * 5}, "5 coefficients of a fisheye"),
        ([], "city: expected some of"),
    ],
)
def test_what_is_wrong_in_a_list_is_named(clips, tmp_path, entry, said):
    path = listing(tmp_path / "in", city=entry)
    with pytest.raises(UserError, match=said):
        prepare("video", data_dir=tmp_path, clips=path)


@pytest.mark.parametrize("text", ["", "- city", "city: {fov: 60", "[" * 5000])
def test_what_is_no_list_of_clips_is_one_line(clips, tmp_path, text):
    path = tmp_path / "in" / "clips.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match="not a list of clips"):
        prepare("video", data_dir=tmp_path, clips=path)


def test_a_list_takes_the_place_of_sources_and_cameras(clips, tmp_path):
    path = listing(tmp_path / "in", city={"fov": 60}, nowhere={"fov": 60})
    with pytest.raises(UserError, match="nowhere: no such file or folder beside this list"):
        prepare("video", data_dir=tmp_path, clips=path)
    with pytest.raises(UserError, match=r"either --source, .* or --clips"):
        prepare("video", data_dir=tmp_path, clips=path, source=clips[0])
    with pytest.raises(UserError, match="a file of clips has their cameras itself"):
        prepare("video", data_dir=tmp_path, clips=path, fov=60.0)
