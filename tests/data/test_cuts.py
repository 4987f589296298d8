"""Scenes are textures that a window moves over, as a camera that pans, or closes in on."""

import av
import numpy as np
import PIL.Image
import pytest

from radepth_jax.data.cuts import find_cuts
from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.folder import thumbnail
from radepth_jax.data.prepare import prepare
from radepth_jax.data.training_source import TrainingSource

SIZE = (96, 160)


def texture(seed):
    """A bright sky above a dark road, as in every street, with things on it: [96, 3200]."""
    noise = np.random.default_rng(seed).integers(0, 256, (12, 400), np.uint8)
    things = np.asarray(PIL.Image.fromarray(noise).resize((3200, 96), 3), float)
    return np.clip(np.linspace(230, 60, 96)[:, None] + 0.4 * (things - 128), 0, 255)


def pan(seed, count, step=4):
    wide = texture(seed)
    return [wide[:, step * i :][:, : SIZE[1]] for i in range(count)]


def drive(seed, count, growth=1.04):
    """The same middle, ever nearer."""
    whole = PIL.Image.fromarray(texture(seed)[:, :400].astype(np.uint8)).resize((400, 240))
    frames = []
    for i in range(count):
        width = 320 / growth**i
        box = (200 - width / 2, 120 - 0.3 * width, 200 + width / 2, 120 + 0.3 * width)
        frames.append(np.asarray(whole.resize(SIZE[::-1], 2, box=box), float))
    return frames


def colour(grey):
    return np.clip(grey, 0, 255).astype(np.uint8)[..., None].repeat(3, -1)


def cuts_of(frames):
    looks = [(i, None if f is None else thumbnail(colour(f))) for i, f in enumerate(frames)]
    found = list(find_cuts(looks))
    assert [i for i, _ in found] == list(range(len(frames)))  # all of them, in order
    return [i for i, cut in found if cut]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", [pan, drive])
def test_a_cut_between_two_streets_is_found(seed, kind):
    assert cuts_of(kind(2 * seed, 9) + kind(2 * seed + 1, 9)) == [9]


def test_all_cuts_are_found_and_shots_may_be_short():
    assert cuts_of(pan(0, 6) + drive(1, 5) + pan(2, 4) + pan(3, 7)) == [6, 11, 15]


@pytest.mark.parametrize("step", [1, 8, 24, 48])
def test_a_pan_is_no_cut_however_fast(step):
    """The fastest goes on by a third of the picture's width from frame to frame."""
    assert cuts_of(pan(0, 20, step)) == []


@pytest.mark.parametrize("kind", [pan, drive])
def test_a_pan_that_starts_and_stops_suddenly_is_no_cut(kind):
    wide = texture(4)
    places = [0] * 6 + [40 * i for i in range(1, 10)] + [360] * 6
    assert cuts_of([wide[:, x : x + SIZE[1]] for x in places]) == []
    assert cuts_of(kind(5, 15)) == []


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("light", [lambda f: 255 + 0 * f, lambda f: 2.5 * f, lambda f: 0 * f])
def test_a_flash_and_a_blank_are_no_cuts(length, light):
    frames = pan(0, 16)
    for i in range(7, 7 + length):
        frames[i] = light(frames[i])
    assert cuts_of(frames) == []


def test_a_change_of_the_light_is_no_cut():
    frames = pan(0, 16)
    assert cuts_of(frames[:8] + [0.4 * frame for frame in frames[8:]]) == []


def test_still_noisy_and_unreadable_frames_are_no_cuts():
    still = [texture(0)[:, : SIZE[1]]] * 6
    assert cuts_of(still) == []
    assert cuts_of([np.full(SIZE, 20.0 * i) for i in range(8)]) == []
    noise = np.random.default_rng(0)
    assert cuts_of([noise.uniform(0, 255, SIZE) for _ in range(12)]) == []
    assert cuts_of([*pan(0, 6), None, None, *pan(1, 6)]) == []
    assert cuts_of([]) == []
    assert cuts_of(pan(0, 1)) == []


def write(path, frames):
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
        stream.bit_rate = 4_000_000
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(colour(frame))))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize(("stride", "samples"), [(1, 8 + 5), (2, 3 + 2)])
def test_no_sample_of_a_film_spans_a_cut(tmp_path, stride, samples):
    path = write(tmp_path / "film.mp4", pan(0, 10) + pan(1, 7))
    prepare("video", source=path, data_dir=tmp_path, fov=70.0, stride=stride, validation_share=0.0)
    dataset = open_dataset("video", tmp_path)
    assert len(TrainingSource(dataset, "train", (0, -1, 1))) == samples
    assert (dataset.directory / "problems.txt").read_text().splitlines() == [
        f"{path}: 1 cut between scenes, across which no frames are neighbours: before frame 10"
    ]
