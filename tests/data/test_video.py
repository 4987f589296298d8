import math
from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from small_data_sets import encode

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.data.prepare import prepare
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError

SIZE = (48, 64)


def moving(count: int) -> list[np.ndarray]:
    """A blurred texture that slides by two pixels a frame: codecs keep it recognisable."""
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[0] // 8, 60, 3), np.uint8)
    wide = np.asarray(PIL.Image.fromarray(noise).resize((480, SIZE[0]), 3))
    return [np.ascontiguousarray(wide[:, 2 * i : 2 * i + SIZE[1]]) for i in range(count)]


def write_video(path: Path, frames, codec="mpeg4", pix_fmt="yuv420p") -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.bit_rate = 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def make(source: Path, data_dir: Path, **options):
    prepare("video", source=source, data_dir=data_dir, **({"fov": 90.0} | options))
    return open_dataset("video", data_dir)


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


def kept(dataset) -> list[tuple[str, int, int]]:
    return [dataset.metadata.index.locate(i) for i in range(len(dataset.metadata.index))]


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return write_video(tmp_path_factory.mktemp("clip") / "clip.mp4", moving(20))


def test_a_video_becomes_a_data_set(clip, tmp_path):
    dataset = make(clip, tmp_path)
    assert dataset.canvas == SIZE
    assert dataset.splits == {"train": 18, "validation": 2}
    assert not dataset.has_depth("validation")
    assert problems(dataset) == []
    for i, image in enumerate(moving(20)):
        stored, intrinsics = dataset.image(i)
        assert np.abs(stored.astype(float) - image).mean() < 4  # two lossy codecs, one picture
        np.testing.assert_allclose(intrinsics, [[32, 0, 31.5], [0, 32, 23.5], [0, 0, 1]])
    assert dataset.record("frames", 0)["image"][:2] == b"\xff\xd8"  # JPEG
    assert len(TrainingSource(dataset, "train", (0, -1, 1))) == 16


def test_held_out_frames_are_no_neighbours_of_training_frames(clip, tmp_path):
    dataset = make(clip, tmp_path, validation_share=0.25)
    assert kept(dataset) == [("train", 0, i) for i in range(15)] + [
        ("validation", 0, i) for i in range(15, 20)
    ]
    assert len(TrainingSource(dataset, "train", (0, 1))) == 14
    assert len(TrainingSource(dataset, "validation", (0, -1, 1))) == 3


def test_nothing_can_be_held_out(clip, tmp_path):
    assert make(clip, tmp_path, validation_share=0.0).splits == {"train": 20}


@pytest.mark.parametrize("stride", [2, 3])
def test_stride_keeps_every_nth_frame_as_neighbours(clip, tmp_path, stride):
    dataset = make(clip, tmp_path, stride=stride, validation_share=0.0)
    expected = moving(20)[::stride]
    assert kept(dataset) == [("train", 0, i) for i in range(len(expected))]
    for i, image in enumerate(expected):
        assert np.abs(dataset.image(i)[0].astype(float) - image).mean() < 4


def write_folder(folder: Path, images) -> Path:
    folder.mkdir()
    for i, image in enumerate(images):
        (folder / f"shot{i}.png").write_bytes(encode(image))
    return folder


def test_a_folder_of_images_is_stored_untouched_in_natural_order(tmp_path):
    folder = write_folder(tmp_path / "shots", moving(12))
    (folder / "notes.txt").write_text("not an image")
    dataset = make(folder, tmp_path, validation_share=0.0)
    stored = [dataset.record("frames", i)["image"] for i in range(12)]
    assert stored == [(folder / f"shot{i}.png").read_bytes() for i in range(12)]


def test_near_static_frames_are_skipped_and_counted(tmp_path):
    frames = moving(6)
    still = [frames[0], frames[0], frames[1], frames[2], frames[2], frames[2], *frames[3:]]
    folder = write_folder(tmp_path / "shots", still)
    dataset = make(folder, tmp_path, validation_share=0.0)
    stored = [dataset.image(i)[0] for i in range(len(dataset.metadata.index))]
    np.testing.assert_array_equal(stored, frames)
    assert problems(dataset) == [f"{folder}: 3 near-static frames skipped"]
    assert kept(dataset) == [("train", 0, i) for i in range(6)]


def test_moments_in_which_the_camera_stands_are_skipped(tmp_path):
    """The camera moves, stands for six frames while a car passes, and moves on."""
    road = moving(16)
    standing = []
    for step in range(6):
        picture = road[7].copy()
        picture[26:36, 9 * step : 9 * step + 10] = (20, 20, 120)
        standing.append(picture)
    clip = write_folder(tmp_path / "stop", road[:8] + standing + road[8:])
    dataset = make(clip, tmp_path, validation_share=0.0)
    said = f"{clip}: 6 frames skipped in which the camera stands while others pass"
    assert said in problems(dataset)
    assert len(kept(dataset)) == 16
    everything = make(clip, tmp_path / "all", validation_share=0.0, min_change=0.0)
    assert len(kept(everything)) == 22


@pytest.mark.parametrize("paper", [0, 255])
def test_fades_are_left_out(tmp_path, paper):
    """A scene fades out over ten frames, and another one fades in."""
    road = moving(40)
    share = np.concatenate(
        [np.zeros(10), np.linspace(0, 1, 10), np.linspace(1, 0, 10), np.zeros(10)]
    )
    film = [np.uint8((1 - s) * image + s * paper) for s, image in zip(share, road, strict=True)]
    clip = write_video(tmp_path / "fade.mp4", film)
    dataset = make(clip, tmp_path, validation_share=0.0)
    assert any("left out that fade from or to black or white" in p for p in problems(dataset))
    images = [dataset.image(i)[0] for i in range(len(dataset.metadata.index))]
    assert 18 <= len(images) <= 22
    assert min(image.std() for image in images) > 0.8 * film[0].std()


def test_what_leaves_too_few_frames_is_named(tmp_path):
    """Not only frames that hardly change, so that nobody lowers the wrong threshold."""
    first, second = moving(2)
    white = np.full((*SIZE, 3), 255, np.uint8)
    folder = write_folder(tmp_path / "shots", [first, *[second] * 4, white])
    said = r"2 usable frames, at least 3 .* 3 hardly change, 1 fade: min_change 0 keeps all of them"
    with pytest.raises(UserError, match=said):
        prepare("video", source=folder, data_dir=tmp_path, fov=60.0)


def test_slow_motion_adds_up(tmp_path):
    """Each frame is compared with the last one kept, not with the last one seen."""
    ramp = [np.full((*SIZE, 3), 100 + i, np.uint8) for i in range(13)]
    dataset = make(
        write_folder(tmp_path / "shots", ramp), tmp_path, min_change=3.0, validation_share=0.0
    )
    values = [int(dataset.image(i)[0][0, 0, 0]) for i in range(len(dataset.metadata.index))]
    assert values == [100, 103, 106, 109, 112]


def test_no_threshold_keeps_all(tmp_path):
    folder = write_folder(tmp_path / "shots", [moving(1)[0]] * 5)
    dataset = make(folder, tmp_path, min_change=0.0, validation_share=0.0)
    assert len(dataset.metadata.index) == 5
    with pytest.raises(UserError, match=r"1 usable frames.*4 hardly change"):
        prepare("video/x", source=folder, data_dir=tmp_path, fov=60.0)


def test_unreadable_images_part_their_neighbours(tmp_path):
    folder = write_folder(tmp_path / "shots", moving(10))
    (folder / "shot3.png").write_bytes((folder / "shot3.png").read_bytes()[:-200])
    (folder / "shot6.png").write_bytes(encode(moving(1)[0][:, :40]))
    (folder / "shot8.png").write_bytes(b"")
    dataset = make(folder, tmp_path, validation_share=0.0)
    assert [frame for _, _, frame in kept(dataset)] == [0, 1, 2, 4, 5, 7, 9]
    assert len(TrainingSource(dataset, "train", (0, 1))) == 3
    first, second, third = problems(dataset)
    assert "shot3.png: image file is truncated" in first
    assert "shot8.png: the file is empty" in second
    assert "shot6.png: 40x48, unlike most frames' 64x48; 1 frame of that size left out" in third


def test_a_damaged_video_gives_what_it_can(tmp_path):
    path = write_video(tmp_path / "clip.avi", moving(20), "mjpeg", "yuvj420p")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    dataset = make(path, tmp_path, validation_share=0.0)
    assert 8 < len(dataset.metadata.index) < 20
    np.testing.assert_allclose(
        dataset.image(3)[0].astype(float).mean(), moving(4)[3].mean(), atol=3
    )


def test_the_middle_of_a_video_may_be_damaged(tmp_path):
    path = write_video(tmp_path / "clip.mp4", moving(30))
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    noise = np.random.default_rng(0).integers(0, 256, 600, np.uint8).tobytes()
    data[middle : middle + 600] = noise
    path.write_bytes(data)
    dataset = make(path, tmp_path, validation_share=0.0)
    frames = [frame for _, _, frame in kept(dataset)]
    damaged = {int(line.split(" frame ")[1].split(":")[0]) for line in problems(dataset)}
    assert damaged
    assert sorted(damaged | set(frames)) == list(range(30))
    assert not damaged & set(frames)  # so what is before and after are no neighbours
    first = min(damaged)
    assert np.abs(dataset.image(first - 1)[0].astype(float) - moving(30)[first - 1]).mean() < 4


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 5000])
def test_files_that_are_no_video_are_refused(tmp_path, content):
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"clip.mp4: (not a video|.* usable frames)") as error:
        make(path, tmp_path / "d")
    assert "\n" not in str(error.value)


def test_sound_without_pictures_is_refused(tmp_path):
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
    with pytest.raises(UserError, match="no video stream"):
        make(path, tmp_path / "d")


def test_too_few_frames_are_refused(tmp_path):
    path = write_video(tmp_path / "one.mp4", moving(1))
    with pytest.raises(UserError, match="1 usable frames, at least 3 are needed"):
        make(path, tmp_path / "d")
    with pytest.raises(UserError, match="no images in it"):
        make(tmp_path / "d", tmp_path / "e")
    with pytest.raises(UserError, match="no such file or folder"):
        make(tmp_path / "nowhere.mp4", tmp_path / "d")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fov": None}, "either the intrinsics"),
        ({"fov": 60.0, "intrinsics": "1,1,1,1"}, "either the intrinsics"),
        ({"fov": 0.0}, "between 5 and 170"),
        ({"fov": 180.0}, "between 5 and 170"),
        ({"fov": math.nan}, "between 5 and 170"),
        ({"fov": None, "intrinsics": "50,50,32"}, "four numbers"),
        ({"fov": None, "intrinsics": "50,50,32,x"}, "four numbers"),
        ({"fov": None, "intrinsics": "-50,50,32,24"}, "positive fx, fy"),
        ({"fov": None, "intrinsics": "50,inf,32,24"}, "positive fx, fy"),
        ({"fov": None, "intrinsics": "500,500,320,240"}, "inside the footage's 64x48"),
        ({"stride": 0}, "stride 0"),
        ({"min_change": -1.0}, "min_change -1.0"),
        ({"validation_share": 1.0}, "validation_share 1.0"),
    ],
)
def test_wrong_options_are_refused(clip, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        make(clip, tmp_path, **options)
    assert "\n" not in str(error.value)


def test_intrinsics_are_taken_as_given():
    K = parse_intrinsics("50, 51,32,24.5", None, SIZE)
    np.testing.assert_array_equal(K, [[50, 0, 32], [0, 51, 24.5], [0, 0, 1]])


@pytest.mark.parametrize("fov", [30.0, 70.0, 120.0])
def test_the_field_of_view_spans_the_image(fov):
    K = parse_intrinsics(None, fov, SIZE)
    left, right = (
        np.degrees(np.arctan2(*np.linalg.solve(K, [u, 23.5, 1.0])[[0, 2]])) for u in (-0.5, 63.5)
    )
    assert right - left == pytest.approx(fov)
    assert left == pytest.approx(-right)


def test_real_footage(shared_data, tmp_path):
    source = shared_data / "dashcam" / "solidWhiteRight.mp4"
    dataset = make(source, tmp_path, fov=70.0, stride=8)
    assert dataset.canvas == (540, 960)
    assert sum(dataset.splits.values()) == 28  # of 221 frames
    assert problems(dataset) == []


def test_a_bonnet_is_cut_off_unless_it_is_kept(tmp_path):
    frames = moving(40)
    for frame in frames:
        frame[40:] = (30, 30, 40)
    folder = write_folder(tmp_path / "shots", frames)
    dataset = make(folder, tmp_path, validation_share=0.0)
    (said,) = problems(dataset)
    assert "lowest of 48 rows are cut off, because they move with the camera" in said
    stored, K = dataset.image(0)
    assert 36 <= len(stored) <= 40
    np.testing.assert_allclose(K[1, 2], 23.5)  # the principal point stays where it was
    whole = make(folder, tmp_path / "whole", validation_share=0.0, bonnet="keep")
    assert len(whole.image(0)[0]) == 48
    with pytest.raises(UserError, match="bonnet"):
        prepare("video", source=folder, data_dir=tmp_path / "x", fov=60.0, bonnet="paint")
