import socket
import time
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from radepth_jax.data.films import Clock, footage_of, is_film, read_film
from radepth_jax.errors import UserError

TEXTURE = np.random.default_rng(0).integers(0, 256, (6, 20, 3), np.uint8).repeat(8, 0).repeat(8, 1)


def write(path, frames=12, *, cover=False, aspect=None, kind=None, start=0, rate=10):
    """A film of 64x48, of a texture that slides; perhaps with a cover picture before it."""
    with av.open(str(path), "w", format=kind) as container:
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture:
            picture.width, picture.height, picture.pix_fmt = 160, 120, "yuvj420p"
            picture.disposition = Disposition.attached_pic
        stream = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.bit_rate = 4_000_000
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if picture:
            image = av.VideoFrame.from_ndarray(np.zeros((120, 160, 3), np.uint8), format="rgb24")
            container.mux(picture.encode(image))
            container.mux(picture.encode())
        for i in range(frames):
            image = np.ascontiguousarray(TEXTURE[:, 2 * i : 2 * i + 64])
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts = start + i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def times(path):
    return [picture.time for picture in read_film(path)]


def put_the_cover_first(path):
    """Moves the box that holds it before the tracks; the film's own data stay where they are."""
    data = path.read_bytes()
    moov, trak, udta = (data.rindex(name) - 4 for name in (b"moov", b"trak", b"udta"))
    assert moov < trak < udta
    length = int.from_bytes(data[udta : udta + 4], "big")
    box, after = data[udta : udta + length], data[udta + length :]
    path.write_bytes(data[:trak] + box + data[trak:udta] + after)


def test_a_cover_picture_is_never_the_film(tmp_path):
    path = write(tmp_path / "covered.mp4", cover=True)
    put_the_cover_first(path)
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic
    pictures = list(read_film(path))
    assert len(pictures) == 12
    assert {picture.decode().shape for picture in pictures} == {(48, 64, 3)}
    assert footage_of(path).rate == 10


def test_a_cover_alone_is_no_film(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        stream.disposition = Disposition.attached_pic
        image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
        container.mux(stream.encode(image))
        container.mux(stream.encode())
    assert not is_film(path)
    with pytest.raises(UserError, match="no video stream in it, only a still picture"):
        footage_of(path)


def test_joined_recordings_go_on_one_frame_interval_later(tmp_path):
    first = write(tmp_path / "1.ts", start=30)
    second = write(tmp_path / "2.ts", start=0)
    joined = tmp_path / "joined.ts"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    found = times(joined)
    assert len(found) == 24
    np.testing.assert_allclose(np.diff(np.array(found, float)), 0.1, atol=1e-4)
    assert found[0] == 0


def test_the_clock_starts_at_0_and_never_goes_back():
    tick = Clock(Fraction(1, 10))
    assert [tick(Fraction(t, 10)) * 10 for t in (50, 51, 53, 54, 0, 1, 2, 2)] == [
        0, 1, 3, 4, 5, 6, 7, 8,
    ]  # fmt: skip
    tick = Clock(Fraction(1, 10))
    assert [tick(t) for t in (None, None, Fraction(7))] == [0, Fraction(1, 10), Fraction(1, 5)]


def test_a_jump_ahead_is_a_pause_unless_the_formats_clock_may_jump():
    for longest, expected in ((None, 100), (10, 2)):
        tick = Clock(Fraction(1), longest)
        assert [tick(Fraction(t)) for t in (0, 1, 100)] == [0, 1, expected]


@pytest.mark.parametrize(("stored", "found"), [((4, 3), (4, 3)), ((900, 1), (1, 1))])
def test_the_pixels_aspect_is_carried_if_it_makes_sense(tmp_path, stored, found):
    path = write(tmp_path / "wide.mkv", aspect=Fraction(*stored))
    assert {picture.aspect for picture in read_film(path)} == {Fraction(*found)}


def test_the_aspect_is_swapped_when_the_film_is_turned(tmp_path):
    path = write(tmp_path / "wide.mp4", aspect=Fraction(4, 3))
    data = path.read_bytes()
    straight = np.array([1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30], ">i4").tobytes()
    at = data.index(straight, data.index(b"tkhd"))
    turned = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    path.write_bytes(data[:at] + turned + data[at + len(turned) :])
    picture = next(read_film(path))
    assert picture.decode().shape == (64, 48, 3)
    assert picture.aspect == Fraction(3, 4)


@pytest.mark.parametrize("name", ["12:30:45.mp4", "frame%03d.mp4", "film.jpg", "film", "fi lm?.ts"])
def test_a_path_is_a_path_and_says_nothing_of_the_content(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(Path(name).absolute(), kind="mp4") if ":" not in name else write(
        tmp_path / "x.mp4"
    ).rename(name)
    assert is_film(Path(name))
    assert len(times(Path(name))) == 12


def test_text_and_pictures_are_no_films(tmp_path):
    from PIL import Image

    (tmp_path / "notes.txt").write_text("some notes\n" * 40)
    (tmp_path / "list.csv").write_text("a,b\n1,2\n" * 40)
    Image.fromarray(TEXTURE).save(tmp_path / "a.png")
    Image.fromarray(TEXTURE).save(tmp_path / "b.jfif", "JPEG")
    for path in tmp_path.iterdir():
        assert not is_film(path)


LISTS = {
    "a.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 18998 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "near.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nFILM\n#EXT-X-ENDLIST\n",
    "far.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:1,\nADDRESS\n#EXT-X-ENDLIST\n",
    "name.ffconcat": "ffconcat version 1.0\nfile 'FILM'\n",
    "path.ffconcat": "ffconcat version 1.0\nfile 'FOLDER/FILM'\n",
    "address.ffconcat": "ffconcat version 1.0\nfile 'ADDRESS'\n",
    "x.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation '
    'id="1" bandwidth="1000"><BaseURL>FILM</BaseURL></Representation></AdaptationSet></Period>'
    "</MPD>",
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("ending", ["", ".mp4"])
def test_a_list_of_others_is_no_film_and_opens_none(tmp_path, monkeypatch, name, ending):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "film.ts")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/film.ts"
        text = LISTS[name].replace("FILM", "film.ts").replace("ADDRESS", address)
        path = tmp_path / f"{name}{ending}"
        path.write_text(text.replace("FOLDER", str(tmp_path)))
        begun = time.monotonic()
        assert not is_film(path)
        with pytest.raises(UserError, match="names other files or addresses and is not followed"):
            next(read_film(path))
        assert time.monotonic() - begun < 5  # an SDP file used to wait for 40 s
        with pytest.raises(TimeoutError):  # nobody called
            server.accept()
