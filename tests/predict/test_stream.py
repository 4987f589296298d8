"""Streams over a pipe and over loopback, as FFmpeg would send them."""

import io
import socket
import sys
import threading
import time
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.predict import stream
from radepth_jax.predict.request import Request
from radepth_jax.predict.stream import is_stream, predict_stream, stream_name


def mpegts(frames: int, size=(48, 64), rate=20) -> bytes:
    """A film as it is sent: no header at its end, no way back."""
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        video = container.add_stream("mpeg2video", rate=rate)
        video.height, video.width = size
        video.pix_fmt, video.gop_size = "yuv420p", 1
        rng = np.random.default_rng(0)
        for number in range(frames):
            image = np.kron(rng.integers(0, 256, (6, 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
            frame = av.VideoFrame.from_ndarray(image[: size[0], : size[1]], format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    return out.getvalue()


def served(chunks, pause: float) -> str:
    """The address on loopback where these bytes come, a chunk at a time."""
    server = socket.create_server(("127.0.0.1", 0))

    def send():
        connection, _ = server.accept()
        with connection, server:
            for chunk in chunks:
                try:
                    connection.sendall(chunk)
                except OSError:
                    return
                time.sleep(pause)

    threading.Thread(target=send, daemon=True).start()
    return f"tcp://127.0.0.1:{server.getsockname()[1]}"


def film_of(path):
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_a_pipe_is_predicted_whole(predictor, tmp_path, monkeypatch):
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(mpegts(9))))
    )
    summary = predict_stream(predictor, "-", Request(tmp_path))
    assert (summary.frames, summary.dropped, summary.failure) == (9, 0, "")
    assert len(summary.latencies) == 8
    assert summary.line().startswith("median latency ")
    frames = film_of(tmp_path / "pipe_depth.mp4")
    assert len(frames) == 9
    assert frames[0].shape == (96, 64, 3)


def test_a_pipe_is_steadied_without_delay(predictor, tmp_path, monkeypatch):
    """Each frame is steadied once, in order, and written at once. All but the first can flicker."""
    monkeypatch.setattr(
        sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(mpegts(5))))
    )
    written = []

    def progress(summary):
        written.append((summary.frames, len(summary.flicker)))

    request = Request(tmp_path, fov=60.0, steady=True)
    summary = predict_stream(predictor, "-", request, progress=progress)
    assert written == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert all(0 < after < before for before, after in summary.flicker)
    assert len(film_of(tmp_path / "pipe_depth.mp4")) == 5


def test_of_a_camera_the_newest_frame_is_taken(predictor, tmp_path):
    predictor(np.zeros((48, 64, 3), np.uint8))
    slow = lambda picture: (time.sleep(0.2), predictor(picture))[1]  # noqa: E731
    data = mpegts(40)
    step = len(data) // 40
    address = served([data[i : i + step] for i in range(0, len(data), step)], pause=0.03)
    summary = predict_stream(slow, address, Request(tmp_path))
    assert summary.failure == ""
    assert summary.dropped > 0
    assert 3 <= summary.frames < 40 - summary.dropped + 1
    # The newest frame: what waits is never older than what came while one was predicted.
    assert np.median(summary.latencies) < 0.6
    assert len(film_of(next(tmp_path.glob("127.0.0.1_*_depth.mp4")))) == summary.frames


def test_ctrl_c_leaves_a_whole_film(predictor, tmp_path):
    def interrupted(summary):
        if summary.frames == 3:
            raise KeyboardInterrupt

    address = served([mpegts(30), *[b""] * 50], pause=0.1)
    summary = predict_stream(predictor, address, Request(tmp_path), progress=interrupted)
    assert (summary.frames, summary.failure) == (3, "")
    assert len(film_of(next(tmp_path.iterdir()))) == 3


def test_it_ends_after_so_many_frames(predictor, tmp_path):
    address = served([mpegts(30), *[b""] * 50], pause=0.1)
    assert predict_stream(predictor, address, Request(tmp_path), most=2).frames == 2


def test_a_stream_that_is_none_is_named(predictor, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"127\.0\.0\.1:\d+: not a stream that FFmpeg can read"):
        predict_stream(predictor, served([b"hello " * 1000], 0.0), Request(tmp_path))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(UserError, match="not a stream that FFmpeg can read"):
        predict_stream(predictor, f"tcp://127.0.0.1:{port}", Request(tmp_path))
    monkeypatch.setattr(stream, "PATIENCE", 0.3)
    with pytest.raises(UserError, match=r"no frame for|not a stream"):
        predict_stream(predictor, served([b""] * 100, 0.1), Request(tmp_path))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "expected"),
    [("-", True), ("rtsp://u@cam/1", True), ("/dev/video0", True), ("a.mp4", False)],
)  # fmt: skip
def test_what_is_a_stream(given, expected):
    assert is_stream(given) is expected


def test_a_film_has_the_streams_name_and_no_password():
    assert stream_name("rtsp://me:secret@cam.local:554/live?x=1") == "cam.local_554_live_x_1"
    assert stream_name("-") == "pipe"
    assert stream_name("/dev/video0") == "dev_video0"
    assert stream_name("udp://../..") == "stream"
