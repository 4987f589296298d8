"""Frames whole, in standard range and upright, by film files and by the standards' formulas."""

from fractions import Fraction

import av
import numpy as np
import PIL.Image
import pytest
from av.video.reformatter import ColorPrimaries, ColorTrc

from radepth_jax.data.films import Picture, read_film
from radepth_jax.data.prepare import prepare
from radepth_jax.data.shown_frames import upright

SIZE = (96, 128)
_NOISE = np.random.default_rng(0).integers(0, 256, (12, 60), np.uint8)
TEXTURE = np.asarray(PIL.Image.fromarray(_NOISE).resize((480, 96), 3))[..., None].repeat(3, -1)
BT2020_NCL, LIMITED = 9, 1


def sliding(count, step=4):
    return [np.ascontiguousarray(TEXTURE[:, step * i :][:, : SIZE[1]]) for i in range(count)]


def write(path, frames, *, codec="mpeg4", options=None):
    """A film of frames, uint8 [h, w, 3]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate, stream.options = 8_000_000, options or {}
        for i, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


# The eight ways to store a picture, by its EXIF orientation -> how it is stored, and the display
# matrix's (a, b, c, d), which takes a stored (x, y) to (a x + c y, b x + d y).
STORED = {
    1: (lambda p: p, (1, 0, 0, 1)),
    2: (lambda p: p[:, ::-1], (-1, 0, 0, 1)),
    3: (lambda p: p[::-1, ::-1], (-1, 0, 0, -1)),
    4: (lambda p: p[::-1], (1, 0, 0, -1)),
    5: (lambda p: p.transpose(1, 0, 2), (0, 1, 1, 0)),
    6: (lambda p: np.rot90(p), (0, 1, -1, 0)),
    7: (lambda p: p[::-1, ::-1].transpose(1, 0, 2), (0, -1, -1, 0)),
    8: (lambda p: np.rot90(p, -1), (0, -1, 1, 0)),
}


def with_matrix(path, a, b, c, d):
    """Replaces the first track's display matrix, in 16.16 but for the last column's 2.30."""
    data = path.read_bytes()
    straight = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    at = data.index(straight, data.index(b"tkhd"))
    matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(data[:at] + matrix + data[at + len(matrix) :])
    return path


@pytest.mark.parametrize("orientation", STORED)
def test_a_film_is_turned_and_mirrored_in_all_eight_ways(tmp_path, monkeypatch, orientation):
    picture = sliding(1)[0]
    store, matrix = STORED[orientation]
    stored = np.ascontiguousarray(store(picture))
    monkeypatch.setitem(globals(), "SIZE", stored.shape[:2])
    path = with_matrix(write(tmp_path / "film.mp4", [stored]), *matrix)
    (found,) = [p.decode() for p in read_film(path)]
    assert found.shape == picture.shape
    assert np.abs(found.astype(float) - picture).mean() < 20  # lossy; others are 80 away


def test_a_damaged_matrix_turns_nothing(tmp_path):
    picture = sliding(1)[0]
    path = with_matrix(write(tmp_path / "film.mp4", [picture]), 0, 0, 0, 0)
    (found,) = [p.decode() for p in read_film(path)]
    assert np.abs(found.astype(float) - picture).mean() < 20


def ten_bits(signal, trc):
    """A grey frame of that signal in [0, 1], one value for 16 columns."""
    luma = np.round(64 + 876 * signal).astype(np.uint16).repeat(16)[None].repeat(16, 0)
    chroma = np.full((8, luma.shape[1]), 512, np.uint16)
    frame = av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p10le")
    frame.color_trc, frame.color_primaries = int(trc), int(ColorPrimaries.BT2020)
    frame.colorspace, frame.color_range = BT2020_NCL, LIMITED
    return frame


def pq(light):
    """SMPTE ST 2084, of cd/m2."""
    y = (light / 10000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * y) / (1 + 18.6875 * y)) ** 78.84375


def hlg(light):
    """ITU-R BT.2100 for grey on a display of 1000 cd/m2, of cd/m2."""
    scene = (light / 1000) ** (1 / 1.2)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


@pytest.mark.parametrize(
    ("trc", "signal"), [(ColorTrc.SMPTE2084, pq), (ColorTrc.ARIB_STD_B67, hlg)]
)
def test_high_dynamic_range_is_as_bright_as_on_a_standard_display(trc, signal):
    """The display's light is the same (BT.1886), with 203 cd/m2 for white (BT.2408)."""
    light = np.array([1, 5, 20, 50, 100, 150, 203, 400, 900.0])
    expected = np.clip(light / 203, 0, 1) ** (1 / 2.4) * 255
    found = upright(ten_bits(signal(light), trc))[8, 8::16]
    np.testing.assert_allclose(found, np.repeat(expected[:, None], 3, 1), atol=3)


def write_hlg(path, count=6):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 96, "yuv420p10le"
        stream.options = {"crf": "10"}
        context = stream.codec_context
        context.color_trc, context.color_primaries = ColorTrc.ARIB_STD_B67, ColorPrimaries.BT2020
        context.colorspace, context.color_range = BT2020_NCL, LIMITED
        for i in range(count):
            frame = ten_bits(hlg(np.roll([5, 20, 50, 100, 150, 203.0], i)), ColorTrc.ARIB_STD_B67)
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_a_film_says_once_that_it_was_tone_mapped(tmp_path):
    notes = []
    pictures = list(read_film(write_hlg(tmp_path / "phone.mp4"), notes.append))
    assert notes == ["high dynamic range (HLG), tone-mapped to standard range"]
    found = pictures[0].decode()[8, 8::16, 1]
    expected = (np.array([5, 20, 50, 100, 150, 203]) / 203) ** (1 / 2.4) * 255
    np.testing.assert_allclose(found, expected, atol=6)


def woven(fields):
    """Frames whose lines are in turns of two moments."""
    frames = []
    for top, bottom in zip(fields[::2], fields[1::2], strict=True):
        frame = top.copy()
        frame[1::2] = bottom[1::2]
        frames.append(frame)
    return frames


def write_interlaced(path, count=8, codec="libx264"):
    options = {"x264-params": "bff=1", "crf": "10"} if codec == "libx264" else {"flags": "+ildct"}
    return write(path, woven(sliding(2 * count)), codec=codec, options=options)


def far_from_a_moment(picture):
    """The mean difference from the nearer of the two moments; a combed frame's is above 15."""
    moments = sliding(16)[2 * picture.number :][:2]
    return min(np.abs(picture.decode().astype(float) - moment).mean() for moment in moments)


@pytest.mark.parametrize(("name", "codec"), [("film.mp4", "libx264"), ("film.mpg", "mpeg2video")])
def test_interlaced_frames_are_made_whole(tmp_path, name, codec):
    path = write_interlaced(tmp_path / name, codec=codec)
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    assert all(frame.interlaced_frame for frame in frames)
    stored = Picture(1, "", lambda: frames[1].to_ndarray(format="rgb24"))
    assert far_from_a_moment(stored) > 15
    notes = []
    pictures = list(read_film(path, notes.append))
    assert notes == ["interlaced, so its frames are deinterlaced"]
    assert [p.number for p in pictures] == list(range(8))
    assert np.diff([p.time for p in pictures]).tolist() == [Fraction(1, 25)] * 7
    for picture in pictures:
        assert far_from_a_moment(picture) < 6


def test_frames_that_are_whole_already_stay_as_they_are(tmp_path):
    path = write(tmp_path / "film.mp4", sliding(5))
    with av.open(str(path)) as container:
        stored = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    notes = []
    np.testing.assert_array_equal([p.decode() for p in read_film(path, notes.append)], stored)
    assert notes == []


def test_a_damaged_frame_among_interlaced_ones_keeps_its_place(tmp_path, monkeypatch):
    path = write_interlaced(tmp_path / "film.mp4")
    from radepth_jax.data import films

    decoded = films._decoded

    def with_a_hole(container, stream):
        for i, frame in enumerate(decoded(container, stream)):
            yield "damaged" if i == 3 else frame

    monkeypatch.setattr(films, "_decoded", with_a_hole)
    pictures = list(read_film(path))
    assert [p.number for p in pictures] == list(range(8))
    with pytest.raises(ValueError, match="damaged"):
        pictures[3].decode()
    for picture in (*pictures[:3], *pictures[4:]):
        assert far_from_a_moment(picture) < 6


def test_prepare_stores_whole_frames_and_says_so_once(tmp_path):
    path = write_interlaced(tmp_path / "film.mp4")
    prepare("video", source=path, data_dir=tmp_path, fov=70.0)
    (listed,) = tmp_path.rglob("problems.txt")
    assert listed.read_text().splitlines() == [
        f"{path}: interlaced, so its frames are deinterlaced"
    ]
