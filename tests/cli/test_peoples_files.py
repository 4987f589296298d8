"""What people's files look like, through the commands: a test for each kind of file that failed."""

import io
import json
import os
import struct
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.films import Footage
from radepth_jax.predict.video_writer import writing_video
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture(scope="module")
def checkpoint(reference_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "micro"
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    return folder


@pytest.fixture
def predict(radepth, checkpoint, tmp_path):
    """Predict inputs into `out` -> (exit code, all that was said, names of the files in `out`)."""

    def run(*inputs):
        out = tmp_path / "out"
        code, text, err = radepth("predict", f"--checkpoint={checkpoint}", f"--output={out}",
                                  *inputs)  # fmt: skip
        files = sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file())
        return code, text + err, files

    return run


@pytest.fixture
def prepare(radepth, tmp_path):
    """Prepare a video of a source -> (exit code, all that was said, the data set or None)."""

    def run(source, *options):
        options = options or ("--fov=70",)
        code, text, err = radepth("prepare", "video/x", f"--source={source}",
                                  f"--data_dir={tmp_path / 'data'}", *options)  # fmt: skip
        return code, text + err, open_dataset("video/x", tmp_path / "data") if not code else None

    return run


def texture(number=0, size=(36, 64)) -> Image.Image:
    coarse = np.random.default_rng(number).integers(0, 256, (4, 7, 3), np.uint8)
    return Image.fromarray(coarse).resize(size[::-1], Image.Resampling.BICUBIC)


def film(path: Path, frames=6, size=(36, 64), aspect=Fraction(1)) -> Path:
    with writing_video(path, Footage(Fraction(10), Fraction(1, 10), frames)) as out:
        out.aspect = aspect
        for i in range(frames):
            out.add(np.asarray(texture(i, size)), Fraction(i, 10))
    return path


def depth_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]


def test_a_phones_heic_is_read_whole_or_refused(predict, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    head = b"ftypheic" + bytes(4) + b"mif1heic"
    (tmp_path / "phone.heic").write_bytes(struct.pack(">I", len(head) + 4) + head + bytes(999))
    code, said, files = predict(tmp_path / "phone.heic")
    assert code == 1
    assert "phone.heic: a HEIC picture, which needs pillow-heif" in said
    assert files == ["predict.json"]


def test_stills_of_any_ending_are_pictures_and_the_rest_of_a_folder_is_named(predict, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    texture(0).save(folder / "jp.jfif", "JPEG")
    texture(1).save(folder / "noext", "JPEG")
    texture(2).save(folder / "x.ppm")
    film(folder / "clip.mp4", 3).rename(folder / "clip.png")
    (folder / "notes.txt").write_text("notes\n" * 50)
    code, said, files = predict(folder)
    assert code == 0, said
    assert "3 images and 1 video (3 frames) predicted" in said
    assert "passed over 1 file, neither pictures nor videos: notes.txt" in said
    assert {"jp_depth.png", "noext_depth.npy", "x_color.png", "clip_depth.mp4"} <= set(files)
    facts = json.loads((tmp_path / "out" / "predict.json").read_text())
    assert facts["passed_over"] == [str(folder / "notes.txt")]


def test_a_cover_picture_is_not_the_film(predict, prepare, tmp_path):
    path = tmp_path / "covered.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 128, 96, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
        still = av.VideoFrame.from_image(Image.new("RGB", (128, 96)))
        container.mux(cover.encode(still))
        container.mux(cover.encode())
        for i in range(6):
            container.mux(stream.encode(av.VideoFrame.from_image(texture(i))))
        container.mux(stream.encode())
    code, said, _ = predict(path)
    assert code == 0, said
    assert "1 video (6 frames)" in said
    code, said, dataset = prepare(path)
    assert code == 0, said
    assert dataset.canvas == (36, 64)
    assert len(dataset.metadata.index) == 6


def test_joined_recordings_keep_their_pace(predict, tmp_path):
    data = b""
    for part in ("1.ts", "2.ts"):
        with av.open(str(tmp_path / part), "w") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 36, "yuv420p"
            for i in range(8):
                container.mux(stream.encode(av.VideoFrame.from_image(texture(i))))
            container.mux(stream.encode())
        data += (tmp_path / part).read_bytes()
    (tmp_path / "joined.ts").write_bytes(data)
    code, said, _ = predict(tmp_path / "joined.ts")
    assert code == 0, said
    times = depth_times(tmp_path / "out" / "joined_depth.mp4")
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)
    assert len(times) == 16


def test_pixels_that_are_not_square(radepth, predict, prepare, checkpoint, tmp_path):
    path = film(tmp_path / "wide.mp4", aspect=Fraction(4, 3))
    code, said, _ = predict(path)
    assert code == 0, said
    with av.open(str(tmp_path / "out" / "wide_depth.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
    code, said, dataset = prepare(path)
    _, K = dataset.image(0)
    assert K[1, 1] / K[0, 0] == pytest.approx(4 / 3)
    assert 2 * np.degrees(np.arctan(32 / K[0, 0])) == pytest.approx(70)


def test_a_turned_picture_is_the_same_in_training_and_prediction(predict, prepare, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for i in range(4):
        texture(i).save(folder / f"{i}.jpg", exif=exif)
    code, said, dataset = prepare(folder)
    assert code == 0, said
    assert dataset.canvas == (64, 36)
    code, said, _ = predict(folder / "0.jpg")
    assert np.load(tmp_path / "out" / "0_depth.npy").shape == dataset.image(0)[0].shape[:2]


@pytest.mark.parametrize(
    "options", [["--intrinsics=0.58,1.92,0.5,0.5"], ["--fov=1.2"], ["--fov=171"]]
)
def test_a_camera_in_other_units_is_refused(predict, prepare, tmp_path, options):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(4):
        texture(i).save(folder / f"{i}.png")
    code, said, _ = prepare(folder, *options)
    assert code == 2
    assert "pixels?" in said
    code, said, files = predict(*options, folder)
    assert code in (1, 2)
    assert "pixels?" in said
    assert not [name for name in files if name.endswith((".ply", ".npy"))]


def test_hidden_files_are_no_inputs(predict, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    texture().save(folder / "0.jpg")
    for name in ("._0.jpg", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (folder / name).write_bytes(b"\0\5\x16\7")
    code, said, files = predict(folder)
    assert code == 0, said
    assert "passed over" not in said
    assert len(files) == 4


def test_long_names_get_short_outputs_and_no_name_stops_the_others(predict, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.png", "x" * 250 + ".png", "x" * 249 + "y.png", "界" * 80 + ".png"):
        texture().save(folder / name)
    film(tmp_path / "f.mp4", 3).rename(folder / ("z" * 250 + ".mp4"))
    code, said, files = predict("--frames", folder)
    assert code == 0, said
    assert "4 images and 1 video (3 frames) predicted" in said
    assert sum(name.endswith("_depth.npy") for name in files) == 4 + 3
    names = json.loads((tmp_path / "out" / "predict.json").read_text())["inputs"]
    for name in names:
        if "z" not in name:
            assert (tmp_path / "out" / f"{name}_depth.png").exists()


def test_names_that_are_not_utf_8(predict, prepare, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(4):
        texture(i).save(folder / f"{i}.png")
    data = (folder / "0.png").read_bytes()
    for name, content in ((b"4 \xe9t\xe9.png", data), (b"5 cass\xe9.png", b"broken")):
        with open(os.fsencode(folder) + b"/" + name, "wb") as file:
            file.write(content)
    code, said, files = predict(folder)
    assert code == 1
    assert "5 images predicted" in said
    assert r"5 cass\xe9.png: not an image" in said
    assert os.fsdecode(b"4 \xe9t\xe9_depth.npy") in files
    json.loads((tmp_path / "out" / "predict.json").read_text())
    code, said, _ = prepare(folder)
    assert code == 0, said
    assert r"5 cass\xe9.png: not an image; left out" in said


def test_a_path_with_a_colon_is_a_path(predict, prepare, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    film(tmp_path / "f.mp4").rename("12:30:45.mp4")
    code, said, dataset = prepare("12:30:45.mp4")
    assert code == 0, said
    assert len(dataset.metadata.index) == 6
    code, said, files = predict("12:30:45.mp4")
    assert code == 0, said
    assert "12:30:45_depth.mp4" in files


def test_a_films_change_of_size_is_one_line(predict, tmp_path):
    with av.open(str(tmp_path / "two.mjpeg"), "w", format="mjpeg") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 36, "yuvj420p"
        for i in range(3):
            container.mux(stream.encode(av.VideoFrame.from_image(texture(i))))
    with (tmp_path / "two.mjpeg").open("ab") as file:
        for i in range(5):
            texture(i, (48, 96)).save(file, "JPEG")
    code, said, _ = predict(tmp_path / "two.mjpeg")
    assert code == 1
    (line,) = [line for line in said.splitlines() if "failed" in line]
    assert "96x48, unlike the first frame's 64x36; 5 frames of that size left out" in line


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_what_the_terminal_cannot_show_is_replaced(predict, tmp_path, monkeypatch, encoding):
    screens = {}
    for name in ("stdout", "stderr"):
        screens[name] = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
        monkeypatch.setattr(sys, name, screens[name])
    folder = tmp_path / "Übung 界"
    folder.mkdir()
    texture().save(folder / "bïld 界.png")
    (folder / "界.png").write_text("broken")
    (folder / "界.txt").write_text("notes")
    code, _, files = predict(folder)
    assert code == 1
    assert "bïld 界_depth.png" in files
    said = "".join(s.flush() or s.buffer.getvalue().decode(encoding) for s in screens.values())
    assert "1 image predicted" in said
    assert r"\u754c.png: not an image" in said
    assert r"\u754c.txt" in said


def test_markup_in_names_is_only_a_name(predict, prepare, tmp_path):
    folder = tmp_path / "x["
    folder.mkdir()
    for i in range(4):
        texture(i).save(folder / f"{i}.png")
    (folder / "y]2[bold].png").write_text("broken")
    code, said, _ = prepare(folder)
    assert code == 0, said
    assert "x[/y]2[bold].png: not an image" in said
    code, said, _ = predict(film(tmp_path / "[bold]f.mp4"), folder)
    assert code == 1
    assert "4 images and 1 video (6 frames) predicted" in said
    assert "x[/y]2[bold].png: not an image" in said


def test_subfolders_are_predicted_but_for_the_output(predict, tmp_path):
    folder = tmp_path
    for name in ("a/1.png", "a/b/1.png", "c/2.png", "out/3.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        texture().save(folder / name)
    os.symlink(folder / "a", folder / "a" / "b" / "round")
    code, said, files = predict(folder)
    assert code == 0, said
    assert "3 images predicted" in said
    assert {"a/1_depth.npy", "a/b/1_depth.npy", "c/2_depth.npy"} <= set(files)
    code, said, _ = predict(folder)  # nor what was written the first time
    assert "3 images predicted" in said


def test_colours_are_chosen_by_name(predict, tmp_path):
    texture().save(tmp_path / "1.png")
    code, said, _ = predict("--colors=grey", tmp_path / "1.png", film(tmp_path / "f.mp4"))
    assert code == 0, said
    grey = np.asarray(Image.open(tmp_path / "out" / "1_color.png"))
    assert (grey == grey[..., :1]).all()
    depth = np.load(tmp_path / "out" / "1_depth.npy")
    assert grey[..., 0].ravel()[depth.argmin()] == 255
    code, said, _ = predict("--colors=grey_r", tmp_path / "1.png")
    turned = np.asarray(Image.open(tmp_path / "out" / "1_color.png"))
    np.testing.assert_array_equal(turned, 255 - grey)
    code, said, _ = predict("--colors=virids", tmp_path / "1.png")
    assert code == 2
    assert "--colors 'virids': no such colour map; there are viridis" in said
