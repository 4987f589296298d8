from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.folder import list_folder
from radepth_jax.data.prepare import prepare
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError


def picture(number: int, size=(24, 32)) -> PIL.Image.Image:
    coarse = np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)
    return PIL.Image.fromarray(coarse).resize(size[::-1], PIL.Image.Resampling.BICUBIC)


def fill(folder: Path, names, size=(24, 32)) -> Path:
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        picture(i, size).save(folder / name)
    return folder


def make(source: Path, data_dir: Path):
    prepare("video", source=source, data_dir=data_dir, fov=70.0, validation_share=0.0)
    dataset = open_dataset("video", data_dir)
    return dataset, (dataset.directory / "problems.txt").read_text().splitlines()


def test_one_of_a_stem_is_taken(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i:04d}.png" for i in range(5)])
    for i in range(5):
        picture(i).save(folder / f"{i:04d}.JPG", quality=90)
    dataset, problems = make(folder, tmp_path)
    assert len(dataset.metadata.index) == 5
    assert dataset.record("frames", 0)["image"] == (folder / "0000.png").read_bytes()
    (problem,) = problems
    assert "5 pictures left out" in problem
    assert "0000.JPG" in problem


def test_files_of_a_stem_that_show_different_things_are_refused(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i}.png" for i in range(4)])
    for i in range(4):
        picture(90 + i).save(folder / f"{i}.jpg")
    with pytest.raises(UserError, match=r"0\.png and 0\.jpg show different things"):
        make(folder, tmp_path)


def test_the_commonest_size_wins(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i}.png" for i in range(11)])
    fill(folder, ["0.png", "1.png", "2.png"], (48, 64))
    dataset, problems = make(folder, tmp_path)
    assert dataset.canvas == (24, 32)
    assert len(dataset.metadata.index) == 8
    (problem,) = problems
    assert "0.png: 64x48, unlike most frames' 32x24; 3 frames of that size left out" in problem


def test_a_mixture_that_would_leave_out_most_is_refused(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i}.png" for i in range(9)])
    fill(folder, ["0.png", "1.png", "2.png"], (48, 64))
    fill(folder, ["3.png", "4.png"], (12, 16))
    with pytest.raises(
        UserError, match=r"3 sizes, and no size has most of them: 32x24 \(4\), 64x48 \(3\)"
    ):
        make(folder, tmp_path)


def test_missing_numbers_are_no_neighbours(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i:03d}.png" for i in (0, 1, 2, 3, 7, 8, 9, 10)])
    dataset, problems = make(folder, tmp_path)
    assert len(TrainingSource(dataset, "train", (0, 1))) == 6
    (problem,) = problems
    assert "1 gap in the frames' numbers" in problem
    assert "between 003.png and 007.png" in problem


def test_pictures_are_known_by_their_content_and_the_rest_is_named(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i}.png" for i in range(4)])
    for i in range(4):
        (folder / f"{i}.png").rename(folder / f"{i}.jfif")
    for name in ("._0.jfif", ".DS_Store", "Thumbs.db", "desktop.ini", "notes.txt"):
        (folder / name).write_text("no picture")
    listing = list_folder(folder)
    assert [path.name for path in listing.paths] == [f"{i}.jfif" for i in range(4)]
    (note,) = listing.notes
    assert note.endswith("passed over 1 file without a picture: notes.txt")


def test_pictures_are_stored_as_they_are_and_read_upright(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    for i in range(4):
        picture(i).save(folder / f"{i}.png", exif=exif)
    dataset, problems = make(folder, tmp_path)
    assert problems == []
    assert dataset.canvas == (32, 24)
    image, K = dataset.image(0)
    np.testing.assert_array_equal(image, np.rot90(np.asarray(picture(0)), -1))
    np.testing.assert_allclose(K[:2, 2], [11.5, 15.5])
    assert dataset.record("frames", 0)["image"] == (folder / "0.png").read_bytes()


def test_frames_of_16_bits_are_stored_and_trained_on(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(4):
        levels = np.asarray(picture(i).convert("L")).astype(np.uint16) * 257
        PIL.Image.fromarray(levels).save(folder / f"{i}.png")
    dataset, problems = make(folder, tmp_path)
    assert problems == []
    sample = TrainingSource(dataset, "train", (0, -1, 1))[0]
    expected = np.asarray(picture(1).convert("L"))
    np.testing.assert_array_equal(sample["frames"][0, :, :, 1], expected)


def test_a_broken_file_whose_name_is_not_utf_8_is_named_and_the_rest_kept(tmp_path):
    folder = fill(tmp_path / "frames", [f"{i}.png" for i in range(5)])
    import os

    with open(os.fsencode(folder) + b"/2br\xe9ken.png", "wb") as file:
        file.write(b"broken")
    dataset, problems = make(folder, tmp_path)
    assert len(dataset.metadata.index) == 5
    assert any(line.endswith(r"2br\xe9ken.png: not an image; left out") for line in problems)
