from fractions import Fraction

import av
import numpy as np
import pytest

from radepth_jax.data.films import Footage, footage_of
from radepth_jax.errors import UserError
from radepth_jax.predict.video_writer import RunningLimits, side_by_side, writing_video


def read(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        duration = container.duration / av.time_base
        return stream, frames, [frame.pts * frame.time_base for frame in frames], duration


@pytest.mark.parametrize("codecs", [{"libx264"}, set()])
def test_times_are_kept_to_the_last_frames_end(tmp_path, monkeypatch, codecs):
    monkeypatch.setattr("av.codecs_available", codecs)
    # Uneven intervals that do not start at 0, as a phone films.
    times = [Fraction(t, 30000) for t in (3000, 4001, 6003, 6303, 15000, 27000, 28001)]
    path = tmp_path / "film.mp4"
    with writing_video(path, Footage(Fraction(30), Fraction(1, 30000), 7)) as film:
        for i, time in enumerate(times):
            film.add(np.full((32, 48, 3), 30 * i, np.uint8), time)
    stream, frames, found, duration = read(path)
    assert stream.codec_context.name == ("h264" if codecs else "mpeg4")
    assert stream.codec_context.pix_fmt == "yuv420p"
    assert found == times
    assert duration == pytest.approx(float(times[-1] - times[0]) + 1 / 30, abs=2e-3)
    for i, frame in enumerate(frames):
        assert abs(frame.to_ndarray(format="rgb24").mean() - 30 * i) < 4


def test_a_repeated_time_is_moved_on(tmp_path):
    path = tmp_path / "film.mp4"
    with writing_video(path, Footage(Fraction(25), Fraction(1, 25), 3)) as film:
        for time in (0, 1, 1):
            film.add(np.zeros((32, 48, 3), np.uint8), Fraction(time, 25))
    assert read(path)[2] == [0, Fraction(1, 25), Fraction(2, 25)]


def test_colours_survive_the_codec(tmp_path):
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :32], picture[:, 32:] = (200, 40, 90), (20, 180, 240)
    with writing_video(tmp_path / "film.mp4", Footage(Fraction(25), Fraction(1, 25), 1)) as film:
        film.add(picture, Fraction(0))
    _, (frame,), _, _ = read(tmp_path / "film.mp4")
    found = frame.to_ndarray(format="rgb24")
    for column in (16, 48):
        assert np.abs(found[16, column].astype(int) - picture[16, column]).max() <= 4


def test_a_failure_leaves_nothing(tmp_path):
    def fail():
        with writing_video(
            tmp_path / "film.mp4", Footage(Fraction(25), Fraction(1, 25), 1)
        ) as film:
            film.add(np.zeros((32, 48, 3), np.uint8), Fraction(0))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_size_that_the_encoder_does_not_take_is_named(tmp_path):
    def write():
        with writing_video(
            tmp_path / "film.mp4", Footage(Fraction(25), Fraction(1, 25), 1)
        ) as film:
            film.add(np.zeros((16, 17_000, 3), np.uint8), Fraction(0))

    with pytest.raises(UserError, match=r"cannot write a film of 17000x16.*make it smaller first"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_wide_pictures_are_above_their_depth_and_high_ones_beside():
    wide, high = np.zeros((31, 41, 3), np.uint8), np.zeros((41, 31, 3), np.uint8)
    both = side_by_side(wide, wide + 1)
    assert both.shape == (62, 42, 3)
    assert (both[:31] == 0).all()
    assert (both[31:] == 1).all()
    both = side_by_side(high, high + 1)
    assert both.shape == (42, 62, 3)
    assert (both[:, :31] == 0).all()
    assert (both[:, 31:] == 1).all()


def test_the_colour_scale_follows_slowly():
    limits_of = RunningLimits()
    assert limits_of(np.linspace(0, 1, 101)) == pytest.approx((0, 0.95))
    # One frame of twice the inverse depth moves the scale by 5 % of the difference ...
    assert limits_of(2 * np.linspace(0, 1, 101)) == pytest.approx((0, 0.95 * 1.05))
    for _ in range(100):
        last = limits_of(2 * np.linspace(0, 1, 101))
    assert last == pytest.approx((0, 1.9), abs=0.01)  # ... and many take it there


def test_what_is_no_video_is_named(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(UserError, match=r"text\.mp4: not a video that FFmpeg can read"):
        footage_of(tmp_path / "text.mp4")
