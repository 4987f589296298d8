import logging
import pickle
from dataclasses import replace

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from small_data_sets import BASELINE, build_toy, encode, toy_contents, toy_depth, toy_image

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.pictures import pad_to_canvas
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError

CANVAS = (20, 32)


def padded(sequence, camera, frame):
    image = toy_image(sequence, camera, frame)
    rows = np.minimum(np.arange(CANVAS[0]), image.shape[0] - 1)
    columns = np.minimum(np.arange(CANVAS[1]), image.shape[1] - 1)
    return image[rows][:, columns]


def test_a_training_sample_is_what_the_loader_contract_says(toy):
    source = TrainingSource(toy, "train", (0, -1, 1, "s"))
    # Targets 1-4 of a; of b 1 (0, 2), 5 (4, 6): both neighbours and the opposite camera exist.
    expected = [("a", c, f) for c in (2, 3) for f in (1, 2, 3, 4)]
    expected += [("b", c, f) for c in (2, 3) for f in (1, 5)]
    assert len(source) == len(expected)
    for sample, (sequence, camera, frame) in zip(
        (source[i] for i in range(len(source))), expected, strict=True
    ):
        assert {k: (v.dtype.name, v.shape) for k, v in sample.items()} == {
            "frames": ("uint8", (4, *CANVAS, 3)),
            "size": ("int32", (2,)),
            "intrinsics": ("float32", (3, 3)),
            "skipped": ("int32", ()),
            "stereo_T_target": ("float32", (4, 4)),
        }
        opposite = 5 - camera
        for image, key in zip(
            sample["frames"],
            [(camera, frame), (camera, frame - 1), (camera, frame + 1), (opposite, frame)],
            strict=True,
        ):
            np.testing.assert_array_equal(image, padded(sequence, *key))
        assert tuple(sample["size"]) == ((20, 30) if sequence == "a" else (18, 32))
        assert sample["intrinsics"][0, 0] == 25 + camera
        assert sample["skipped"] == 0
        translation = -BASELINE if camera == 2 else BASELINE
        np.testing.assert_allclose(sample["stereo_T_target"][:3, 3], [translation, 0, 0])


@pytest.mark.parametrize(
    ("offsets", "count"), [((0,), 20), ((0, 1), 14), ((0, -2), 14), ((0, 3), 8), ((0, "s"), 20)]
)
def test_samples_without_a_neighbour_are_not_used(toy, offsets, count):
    targets = [(s.sequence, s.camera, s.frame) for s in toy_contents().samples["train"]]
    frames = {"a": set(range(6)), "b": {0, 1, 2, 4, 5, 6}}
    numbers = [o for o in offsets if o != "s"]
    usable = [k for k in targets if all(k[2] + o in frames[k[0]] for o in numbers)]
    source = TrainingSource(toy, "train", offsets)
    assert len(source) == len(usable) == count
    assert ("stereo_T_target" in source[0]) == ("s" in offsets)


@pytest.mark.parametrize(
    "offsets", [(), (1, 0), (0, 0), (0, "x"), (0, 1.0), (0, True), (0, 1, "s", "s")]
)
def test_bad_offsets_are_refused(toy, offsets):
    with pytest.raises(UserError, match="frame_offsets"):
        TrainingSource(toy, "train", offsets)


def test_offsets_that_no_sample_has_are_refused(toy):
    with pytest.raises(UserError, match="none of the 20 samples"):
        TrainingSource(toy, "train", (0, 50))


@pytest.mark.parametrize("source", [lambda d, s: TrainingSource(d, s, (0,)), EvaluationSource])
def test_empty_and_unknown_splits_are_refused(toy, source):
    with pytest.raises(UserError, match=r"'validation' is empty; it has train \(20\), test \(4\)"):
        source(toy, "validation")
    with pytest.raises(UserError, match="no split 'frames'"):
        source(toy, "frames")


def test_an_evaluation_image_has_its_depth_on_the_canvas(toy):
    source = EvaluationSource(toy, "test")
    assert len(source) == 4
    item = source[2]
    np.testing.assert_array_equal(item["image"], padded("a", 2, 2))
    np.testing.assert_array_equal(item["depth"][:20, :30], toy_depth(2))
    assert not item["depth"][:, 30:].any()
    assert item["depth"].shape == CANVAS
    assert item["depth"].dtype == np.float32
    assert item["name"] == "a/2/0000000002"
    assert item["intrinsics"][0, 0] == 27
    assert not source[0]["depth"].any()
    assert toy.has_depth("test")
    assert not toy.has_depth("train")
    assert not toy.has_depth("validation")


def test_sources_end(toy):
    for source in (EvaluationSource(toy, "test"), TrainingSource(toy, "train", (0,))):
        assert len(list(source)) == len(source)
        with pytest.raises(IndexError):
            source[-1]


def test_a_pickled_source_reads_the_same(toy):
    source = TrainingSource(toy, "train", (0, 1))
    again = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(source[3]["frames"], again[3]["frames"])


@pytest.mark.parametrize("fits", [True, False])
def test_frames_that_fit_in_memory_are_decoded_once(toy, monkeypatch, fits):
    decoded = []
    decode = type(toy).image
    monkeypatch.setattr(
        type(toy),
        "image",
        lambda self, position: decoded.append(position) or decode(self, position),
    )
    plain = TrainingSource(toy, "train", (0, 1))
    frames = len({position for sample in plain._samples.tolist() for position in sample})
    enough = frames * 3 * CANVAS[0] * CANVAS[1]
    source = TrainingSource(toy, "train", (0, 1), cache_bytes=enough - (not fits))
    expected = [sample["frames"] for sample in plain]
    decoded.clear()
    for _ in range(2):
        for sample, frames_of_plain in zip(source, expected, strict=True):
            np.testing.assert_array_equal(sample["frames"], frames_of_plain)
    assert len(decoded) == (frames if fits else 2 * 2 * len(source))


def test_true_poses_take_points_of_the_target_to_the_sources(street_dir):
    street = open_dataset("street/tiny", street_dir)
    source = TrainingSource(street, "train", (0, -1, 1), true_poses=True)
    sample = source[0]
    positions = source._samples[0].tolist()
    target, *others = (street.record("frames", p)["world_T_camera"] for p in positions)
    point = np.array([1.0, 0.5, 8.0, 1.0])
    for source_T_target, world_T_source in zip(sample["source_T_target"], others, strict=True):
        np.testing.assert_allclose(
            world_T_source @ source_T_target @ point, target @ point, atol=1e-4
        )
    # The street's camera drives on: the earlier frame's camera sees the target's ahead of it.
    assert sample["source_T_target"][0][2, 3] > 0 > sample["source_T_target"][1][2, 3]


def test_true_poses_that_are_unknown_are_refused(toy):
    with pytest.raises(UserError, match=r"poses are not known, and config.pose.true_scale"):
        TrainingSource(toy, "train", (0, 1), true_poses=True)[0]


CORRUPT = {
    "truncated": encode(toy_image("a", 2, 2))[:-300],
    "an error page": b"<html>404</html>",
}


@pytest.fixture(scope="module", params=sorted(CORRUPT))
def damaged(request, tmp_path_factory, toy):
    """The toy data set with three frames' bytes damaged after they were stored."""
    from radepth_jax.data import rows

    bad = CORRUPT[request.param]
    keys = [("a", 2, 2), ("a", 2, 3), ("b", 3, 0)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "image_size", lambda data: CANVAS)
        return build_toy(
            tmp_path_factory.mktemp("damaged"), lambda: toy_contents(dict.fromkeys(keys, bad))
        )


def test_a_corrupt_frame_is_named(damaged):
    source = TrainingSource(damaged, "train", (0, 1))
    with pytest.raises(UserError) as error:
        source[0]
    message = str(error.value)
    assert "a camera 2 frame 2 " in message
    assert str(damaged.directory) in message
    assert "skip_corrupt" in message
    assert "\n" not in message
    with pytest.raises(UserError, match=r"a camera 2 frame 3 .*corrupt image"):
        EvaluationSource(damaged, "test")[3]


def test_corrupt_frames_can_be_skipped(damaged, caplog):
    source = TrainingSource(damaged, "train", (0, 1), skip_corrupt=True)
    with caplog.at_level(logging.WARNING):
        samples = [source[i] for i in range(len(source))]
        again = [source[i] for i in range(len(source))]
    # Samples 0 to 2 (targets 1, 2, 3 of a) need frame 2 or 3; the next readable one is sample 3.
    assert [int(s["skipped"]) for s in samples] == [3, 2, 1] + [0] * 11
    for i in range(3):
        np.testing.assert_array_equal(samples[i]["frames"], samples[3]["frames"])
    for one, two in zip(samples, again, strict=True):
        np.testing.assert_array_equal(one["frames"], two["frames"])
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 3  # once for each sample
    assert "a camera 2 frame 2" in messages[0]


def test_corrupt_frames_are_skipped_up_to_a_limit(damaged):
    source = TrainingSource(damaged, "train", (0, 1), skip_corrupt=True, max_corrupt=2)
    for _ in range(3):  # the same two samples again are not more
        assert source[1]["skipped"] == 2
    with pytest.raises(UserError, match=r"more than 2 of the 14 samples of 'train' .* a camera 2"):
        source[0]


def test_skipping_everything_is_an_error(tmp_path, monkeypatch):
    from radepth_jax.data import rows

    keys = [(f.sequence, f.camera, f.frame) for f in toy_contents().frames]
    monkeypatch.setattr(rows, "image_size", lambda data: CANVAS)
    dataset = build_toy(tmp_path, lambda: toy_contents(dict.fromkeys(keys, b"x")))
    with pytest.raises(UserError, match="no sample of 'train' can be read"):
        TrainingSource(dataset, "train", (0,), skip_corrupt=True)[5]


def test_training_needs_intrinsics(tmp_path):
    contents = toy_contents()
    frames = [replace(f, intrinsics=np.full((3, 3), np.nan)) for f in contents.frames]
    dataset = build_toy(tmp_path, lambda: replace(contents, frames=frames))
    with pytest.raises(UserError, match=r"a camera 2 frame 1 .*intrinsics are not known or not fi"):
        TrainingSource(dataset, "train", (0, 1))[0]


def test_a_neighbour_of_another_size_is_named(tmp_path):
    other = encode(toy_image("b", 2, 2))
    dataset = build_toy(tmp_path, lambda: toy_contents({("a", 2, 2): other}))
    with pytest.raises(UserError, match=r"a camera 2 frame 2 .*32x18, but its target is 30x20"):
        TrainingSource(dataset, "train", (0, 1))[0]


def test_a_damaged_record_file_is_named(tmp_path):
    dataset = build_toy(tmp_path)
    path = next(dataset.directory.glob("*frames*"))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"of 'frames' in .*prepare it again"):
        list(TrainingSource(open_dataset("toy", tmp_path), "train", (0,)))
    path.unlink()
    with pytest.raises(UserError, match=r"toy-frames.*is missing; delete"):
        open_dataset("toy", tmp_path)


@pytest.mark.parametrize("content", ["", "{}", '{"schema": 99}', "not json"])
def test_unreadable_metadata_is_reported(tmp_path, content):
    dataset = build_toy(tmp_path)
    (dataset.directory / "metadata.json").write_text(content)
    with pytest.raises(UserError, match="unreadable metadata"):
        open_dataset("toy", tmp_path)


def test_opening_finds_the_configuration(tmp_path):
    with pytest.raises(UserError, match=r"run 'radepth prepare street/demo --data_dir"):
        open_dataset("street/demo", tmp_path)
    with pytest.raises(UserError, match=r"run 'radepth prepare video --source PATH --data_dir"):
        open_dataset("video", tmp_path)
    dataset = build_toy(tmp_path)
    assert open_dataset("toy", tmp_path).directory == dataset.directory
    assert open_dataset("toy/default", tmp_path).directory == dataset.directory
    (tmp_path / "toy" / "incomplete.ABC_1.0.0").mkdir()
    (tmp_path / "toy" / "default").rename(tmp_path / "toy" / "one")
    assert open_dataset("toy", tmp_path).name == "toy/one"
    import shutil

    shutil.copytree(tmp_path / "toy" / "one", tmp_path / "toy" / "two")
    with pytest.raises(UserError, match="name one of toy/one, toy/two"):
        open_dataset("toy", tmp_path)


@hypothesis.given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 5), st.integers(0, 5))
def test_padding_repeats_the_edge(h, w, below, right):
    image = np.arange(h * w * 3, dtype=np.uint8).reshape(h, w, 3)
    out = pad_to_canvas(image, (h + below, w + right))
    for y in range(h + below):
        for x in range(w + right):
            np.testing.assert_array_equal(out[y, x], image[min(y, h - 1), min(x, w - 1)])
