"""`radepth predict` as a user runs it."""

import json
import re
from fractions import Fraction
from functools import partial

import av
import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax.inference.depth import depth_of_batch
from radepth_jax.predict import load
from radepth_jax.predict.video_writer import Footage, writing_video
from radepth_jax.runs.saved_model import save_model, store_metric_scale
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture
def radepth(radepth, checkpoint, tmp_path):
    """Run `radepth predict --checkpoint ... --output out ...` -> (exit code, output, error)."""
    return partial(radepth, "predict", f"--checkpoint={checkpoint}", f"--output={tmp_path}/out")


@pytest.fixture(scope="module")
def checkpoint(reference_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "micro"
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """A folder of five sizes, and one file that is no image."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i, (h, w) in enumerate([(40, 70), (33, 90), (61, 64), (20, 100), (45, 90)]):
        image = np.random.default_rng(i).integers(0, 256, (h, w, 3), np.uint8)
        Image.fromarray(image).save(folder / f"{i}.png")
    return folder


def write_video(path, frames, size=(36, 66)):
    """Noise that drifts, at 10 frames/s."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (size[0], size[1] + 4 * frames, 3), np.uint8)
    with writing_video(path, Footage(Fraction(10), Fraction(1, 90000), 0)) as film:
        for i in range(frames):
            film.add(texture[:, 4 * i : 4 * i + size[1]], Fraction(i, 10))


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        return stream, frames, [frame.pts * frame.time_base for frame in frames]


def read_png(path):
    with Image.open(path) as image:
        return np.asarray(image)


def write_wide(path):
    """Wider than H.264 goes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 17_000, 16, "yuvj420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 17_000, 3), np.uint8))
        container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_a_film_that_cannot_be_written_stops_no_other(radepth, tmp_path):
    films = tmp_path / "films"
    films.mkdir()
    write_video(films / "a.mp4", 2)
    write_wide(films / "b.avi")
    write_video(films / "c.mp4", 2)
    code, text, err = radepth("--save=color", films)
    assert code == 1
    assert "2 videos (4 frames) predicted" in text
    assert f"failed: {films}/b.avi: the encoder libx264 cannot write a film of 17000x32" in err
    assert err.strip().count("\n") == 0
    out = tmp_path / "out"
    written = {path.name for path in out.iterdir()}
    assert written == {"a_depth.mp4", "c_depth.mp4", "predict.json"}
    assert len(json.loads((out / "predict.json").read_text())["failures"]) == 1


def test_a_folder_of_mixed_sizes_compiles_once(radepth, pictures, checkpoint, tmp_path):
    depth_of_batch.clear_cache()
    code, text, err = radepth("--batch_size=2", "--fov=60", pictures)
    assert code == 0, err
    assert "5 images predicted" in text
    assert "up to one unknown scale" in text
    assert depth_of_batch._cache_size() == 1
    model = load(checkpoint)
    out = tmp_path / "out"
    for i in range(5):
        depth = np.load(out / f"{i}_depth.npy")
        np.testing.assert_allclose(depth, model(pictures / f"{i}.png"), rtol=1e-5)
        levels = read_png(out / f"{i}_depth.png")
        np.testing.assert_allclose(levels / 256, depth, atol=1 / 512 + 1e-6)
        assert read_png(out / f"{i}_color.png").shape == (*depth.shape, 3)
        header = (out / f"{i}_points.ply").read_bytes()[:100].decode(errors="replace")
        assert f"element vertex {depth.size}" in header
    facts = json.loads((out / "predict.json").read_text())
    assert (facts["resolution"], facts["unit"], facts["failures"]) == ("64x32", "up to scale", [])
    assert not [path for path in out.iterdir() if path.name.startswith(".")]


def test_a_broken_image_is_named_and_stops_no_other(radepth, pictures, tmp_path):
    data = (pictures / "1.png").read_bytes()
    (pictures / "cut.png").write_bytes(data[: len(data) // 2])
    (pictures / "text.png").write_text("no picture")
    code, text, err = radepth("--batch_size=3", "--save=npy", pictures)
    assert code == 1
    assert "5 images predicted" in text
    failures = [line for line in err.splitlines() if "failed:" in line]
    assert len(failures) == 2
    assert any(f"{pictures}/cut.png: " in line for line in failures)
    assert any(f"{pictures}/text.png: not an image" in line for line in failures)
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == [*(f"{i}_depth.npy" for i in range(5)), "predict.json"]


def test_npy_pictures_are_predicted_like_images(radepth, pictures, checkpoint, tmp_path):
    """In a folder with images, and the ones that are no pictures are named."""
    with Image.open(pictures / "1.png") as image:
        levels = np.asarray(image)
    np.save(pictures / "float.npy", levels / np.float32(255))
    np.save(pictures / "levels.npy", levels)
    np.save(pictures / "depth.npy", np.ones((33, 90), np.float32))
    np.save(pictures / "bright.npy", levels.astype(np.float32))
    (pictures / "text.npy").write_text("no array")
    depth_of_batch.clear_cache()
    code, text, err = radepth("--batch_size=2", "--fov=60", "--save=npy,ply", pictures)
    assert code == 1
    assert "7 images predicted" in text
    assert depth_of_batch._cache_size() <= 2  # batches of levels, batches with floats
    failures = sorted(line for line in err.splitlines() if "failed:" in line)
    for line, expected in zip(
        failures,
        (
            "bright.npy: float32 [33, 90, 3] from 0 to 255: expected uint8 [H, W, 3]",
            "depth.npy: float32 [33, 90]: expected uint8 [H, W, 3]",
            "text.npy: not an NPY file",
        ),
        strict=True,
    ):
        assert f"failed: {pictures}/{expected}" in line
    depth = load(checkpoint)(levels)
    for name in ("1", "float", "levels"):
        np.testing.assert_allclose(
            np.load(tmp_path / "out" / f"{name}_depth.npy"), depth, rtol=1e-4
        )
    cloud = (tmp_path / "out" / "levels_points.ply").read_bytes()
    assert cloud[-3:] == levels[-1, -1].tobytes()
    assert (tmp_path / "out" / "float_points.ply").read_bytes()[-3:] == cloud[-3:]


def test_nothing_readable_is_exit_code_1(radepth, tmp_path):
    (tmp_path / "text.png").write_text("no picture")
    code, text, err = radepth(tmp_path / "text.png")
    assert (code, "nothing predicted" in text) == (1, True)
    assert "text.png: not an image" in err


def test_native_resolution_compiles_once_for_each_padded_size(radepth, pictures, tmp_path):
    depth_of_batch.clear_cache()
    code, _, err = radepth("--resolution=native", "--save=png", pictures)
    assert code == 0, err
    assert depth_of_batch._cache_size() == 4  # 45x90 and 33x90 are both padded to 48x96
    assert read_png(tmp_path / "out" / "2_depth.png").shape == (61, 64)


def test_scale_makes_metres_and_what_is_too_far_is_said(radepth, pictures, tmp_path, checkpoint):
    path = pictures / "0.png"
    plain = load(checkpoint)(path)
    far = 300 / float(plain.max())
    code, text, _ = radepth(f"--scale={far}", path)
    assert code == 0
    assert f"depth is in metres: {far:g} a unit, given scale" in text
    assert "beyond 255.996" in text
    depth = np.load(tmp_path / "out" / "0_depth.npy")
    np.testing.assert_allclose(depth, far * plain, rtol=1e-4)
    assert read_png(tmp_path / "out" / "0_depth.png").max() == 65535


def test_the_checkpoints_own_scale_is_used(radepth, pictures, checkpoint, tmp_path):
    plain = load(checkpoint)(pictures / "0.png")
    stored = store_metric_scale(checkpoint, 0, 5.4)
    try:
        code, text, _ = radepth("--save=npy", pictures / "0.png")
    finally:
        stored.unlink()
    assert code == 0
    assert "depth is in metres: 5.4 a unit, the checkpoint's scale" in text
    np.testing.assert_allclose(np.load(tmp_path / "out/0_depth.npy"), 5.4 * plain, rtol=1e-5)


def test_a_video_keeps_its_frames_and_times(radepth, tmp_path):
    write_video(tmp_path / "drive.mp4", 11, size=(36, 66))
    depth_of_batch.clear_cache()
    code, text, err = radepth("--batch_size=4", "--frames", "--save=npy", tmp_path / "drive.mp4")
    assert code == 0, err
    assert "1 video (11 frames) predicted" in text
    assert depth_of_batch._cache_size() == 1
    stream, frames, times = frames_of(tmp_path / "out" / "drive_depth.mp4")
    assert (stream.width, stream.height, stream.average_rate) == (66, 72, 10)
    assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
    assert times == [Fraction(i, 10) for i in range(11)]
    _, footage, _ = frames_of(tmp_path / "drive.mp4")
    above = frames[7].to_ndarray(format="rgb24")[:36].astype(int)
    assert np.abs(above - footage[7].to_ndarray(format="rgb24")).mean() < 20  # noise, compressed
    saved = sorted(path.name for path in (tmp_path / "out" / "drive_frames").iterdir())
    assert saved == [f"{i:06d}_depth.npy" for i in range(11)]


def test_a_broken_video_is_named_and_leaves_nothing(radepth, pictures, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video" * 100)
    code, text, err = radepth("--save=npy", tmp_path / "broken.mp4", pictures / "0.png")
    assert code == 1
    assert "1 image predicted" in text
    assert f"{tmp_path}/broken.mp4: not a video" in err
    written = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert written == ["0_depth.npy", "predict.json"]


def test_a_video_that_ends_too_early_says_where(radepth, tmp_path):
    path = tmp_path / "cut.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        rng = np.random.default_rng(0)
        for _ in range(12):
            noise = rng.integers(0, 256, (48, 64, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    code, text, err = radepth(path)
    assert code == 1
    _, frames, times = frames_of(tmp_path / "out" / "cut_depth.mp4")
    assert 3 <= len(frames) < 12
    assert f"1 video ({len(frames)} frames)" in text
    assert f"failed: {path} frame " in err
    assert times == sorted(times)


def test_same_names_from_two_folders_stay_apart(radepth, pictures, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(np.zeros((32, 64, 3), np.uint8)).save(other / "0.png")
    code, _, _ = radepth("--save=npy", pictures / "0.png", other)
    assert code == 0
    out = tmp_path / "out"
    assert np.load(out / "pictures" / "0_depth.npy").shape == (40, 70)
    assert np.load(out / "other" / "0_depth.npy").shape == (32, 64)


def test_intrinsics_that_fit_only_some_images_fail_for_the_others(radepth, pictures):
    code, text, err = radepth("--save=ply", "--intrinsics=60,60,80,15", pictures)
    assert code == 1
    assert "3 images predicted" in text
    assert "pictures/0.png: intrinsics '60,60,80,15'" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["nowhere.png"], "nowhere.png: no such file or folder"),
        ([], "the following arguments are required: INPUT"),
        (
            ["--save=color,gif", "{0}"],
            "--save: expected some of color, png, npy, ply, glb, rrd, got 'gif'",
        ),
        (["--save=ply", "{0}"], "--save ply: points in space need --intrinsics"),
        (["--fov=60", "--intrinsics=1,1,1,1", "{0}"], "either --intrinsics or --fov"),
        (["--resolution=60x30", "{0}"], "resolution 60x30"),
        (["--scale=0", "{0}"], "scale 0.0: expected a positive number"),
    ],
)
def test_a_wrong_command_is_one_line(radepth, pictures, tmp_path, arguments, expected):
    code, _, err = radepth(*[argument.format(pictures / "0.png") for argument in arguments])
    assert code == 2
    assert expected in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_replaced(radepth, pictures, checkpoint):
    (pictures / "0.png").rename(pictures / "1_depth.png")
    inputs = [pictures / "1.png", pictures / "1_depth.png"]
    code, _, err = radepth(f"--output={pictures}", *inputs)
    assert code == 2
    assert "1_depth.png: is an input, and would be replaced" in err


def test_the_real_dashcam(radepth, shared_data, tmp_path):
    """The first second of it; the whole takes as long as a network takes for 221 frames."""
    path = tmp_path / "drive.mp4"
    with (
        av.open(str(shared_data / "dashcam" / "solidWhiteRight.mp4")) as footage,
        av.open(str(path), "w") as container,
    ):
        stream = container.add_stream_from_template(footage.streams.video[0])
        for packet in footage.demux(video=0):
            if packet.dts is not None and packet.dts * packet.time_base < 1:
                packet.stream = stream
                container.mux(packet)
    _, source, expected = frames_of(path)
    code, _, err = radepth(path)
    assert code == 0, err
    stream, frames, times = frames_of(tmp_path / "out" / "drive_depth.mp4")
    assert len(frames) == len(source) >= 25
    assert (stream.width, stream.height, stream.average_rate) == (960, 1080, 25)
    assert times == expected


def test_a_steady_film_flickers_less_and_says_so(reference_config, radepth, tmp_path):
    """The pose network is as it was drawn, but for a factor, so that it counts as trained."""
    variables = variables_of(init_state(reference_config, 1))
    variables["pose"] = jax.tree.map(lambda leaf: 1.5 * leaf, variables["pose"])
    save_model(variables, reference_config, tmp_path / "trained")
    write_video(tmp_path / "film.mp4", 6)
    command = ("--steady", "--save=npy", "--frames", "--batch_size=4")
    trained = f"--checkpoint={tmp_path / 'trained'}"
    code, text, err = radepth(*command, trained, "--fov=60", tmp_path / "film.mp4")
    assert code == 0, err
    (line,) = [line for line in text.splitlines() if line.startswith("flicker")]
    assert line.endswith("of 5 pairs of frames")
    before, after = (float(number) for number in re.findall(r"0\.\d+", line))
    assert 0 < after < before
    steady = [np.load(tmp_path / f"out/film_frames/{i:06d}_depth.npy") for i in range(6)]
    assert json.loads((tmp_path / "out" / "predict.json").read_text())["steady"] is True
    code, text, err = radepth(*command[1:], trained, "--fov=60", tmp_path / "film.mp4")
    assert code == 0, err
    assert "\nflicker" not in text
    plain = [np.load(tmp_path / f"out/film_frames/{i:06d}_depth.npy") for i in range(6)]
    np.testing.assert_allclose(steady[0], plain[0], rtol=1e-6)
    assert all(np.abs(s / p - 1).max() > 1e-4 for s, p in zip(steady[1:], plain[1:], strict=True))


def test_what_cannot_be_steadied_is_one_line(radepth, pictures, tmp_path):
    write_video(tmp_path / "film.mp4", 2)
    for arguments, message in (
        ((tmp_path / "film.mp4",), "--steady: the camera's motion needs --intrinsics fx,fy,cx,cy"),
        ((pictures, "--fov=60"), "--steady: none of the inputs is a film"),
        ((tmp_path / "film.mp4", "--fov=60"), "its pose network was never trained"),
    ):
        code, _, err = radepth("--steady", *arguments)
        assert code == 2
        assert message in err
        assert len(err.strip().splitlines()) == 1, err
