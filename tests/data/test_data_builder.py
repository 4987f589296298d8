import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from small_data_sets import Toy, build_toy, encode, toy_contents, toy_image

from radepth_jax.data import builder, schema
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.errors import UserError


def _prepare(folder: Path, make=toy_contents) -> Toy:
    toy = Toy(make=make, data_dir=folder, config=tfds.core.BuilderConfig(name="default"))
    toy.download_and_prepare()
    return toy


def _files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize("shard_bytes", [1, 5000, 2**30])
def test_records_keep_their_order_over_shards(tmp_path, monkeypatch, shard_bytes):
    monkeypatch.setattr(builder, "SHARD_BYTES", shard_bytes)
    toy = _prepare(tmp_path)
    shards = toy.info.splits["frames"].num_shards
    assert {1: shards == 24, 5000: 2 < shards < 24, 2**30: shards == 1}[shard_bytes]
    read = tfds.builder_from_directory(toy.data_dir)
    expected = list(toy_contents().frames)
    frames = read.as_data_source(split="frames")
    assert len(frames) == len(expected)
    for record, frame in zip(frames, expected, strict=True):
        assert record["image"] == frame.image
        assert record["sequence"].decode() == frame.sequence
        assert (record["camera"], record["frame"]) == (frame.camera, frame.frame)
        np.testing.assert_array_equal(record["intrinsics"], frame.intrinsics.astype(np.float32))
        assert np.isnan(record["world_T_camera"]).all()
    rows = read.as_data_source(split="train")
    assert [(r["sequence"].decode(), r["camera"], r["frame"]) for r in rows] == [
        (s.sequence, s.camera, s.frame) for s in toy_contents().samples["train"]
    ]
    assert set(read.info.splits) == {"frames", "train", "test"}


def test_poses_are_kept(tmp_path):
    pose = np.arange(16.0).reshape(4, 4) / 3

    def make():
        frame = schema.Frame(encode(toy_image("a", 0, 0)), "a", 0, 0, np.eye(3), pose)
        return schema.Contents([frame], {"train": [schema.Sample("a", 0, 0)]})

    source = tfds.builder_from_directory(_prepare(tmp_path, make).data_dir).as_data_source("frames")
    np.testing.assert_array_equal(source[0]["world_T_camera"], pose)


def test_what_is_unusable_is_left_out_and_listed(tmp_path):
    toy = _prepare(tmp_path, lambda: toy_contents({("a", 2, 1): b"nothing"}))
    metadata = schema.Metadata.from_json(toy.info.metadata)
    assert len(metadata.index) == 23
    assert metadata.index.find("a", 2, 1) is None
    assert len(metadata.targets["train"]) == 19
    problems = (Path(toy.data_dir) / "problems.txt").read_text().splitlines()
    assert problems == [
        "a camera 2 frame 1: not an image; left out",
        "train sample a camera 2 frame 1: no such frame; left out",
        "test sample a camera 2 frame 1: no such frame; left out",
    ]


def test_frames_of_an_unexpected_size_are_left_out(tmp_path):
    def make():
        frames = [
            schema.Frame(encode(toy_image(s, 0, 0)), s, 0, 0, np.eye(3), size=(20, 30))
            for s in "ab"
        ]
        return schema.Contents(frames, {"train": [schema.Sample("a", 0, 0)]})

    toy = _prepare(tmp_path, make)
    assert (Path(toy.data_dir) / "problems.txt").read_text() == (
        "b camera 0 frame 0: 32x18, but it is calibrated for 30x20; left out\n"
    )


def test_depth_maps_may_be_of_another_size_than_their_images(tmp_path):
    def make():
        frames = [
            schema.Frame(encode(toy_image("a", 0, f)), "a", 0, f, np.eye(3)) for f in (0, 1, 2)
        ]
        depths = [np.full((3, 8), 2.0), np.full((4, 7), 3.0)]
        samples = [schema.Sample("a", 0, f, schema.encode_depth(d)) for f, d in enumerate(depths)]
        return schema.Contents(frames, {"test": [*samples, schema.Sample("a", 0, 2)]})

    source = EvaluationSource(build_toy(tmp_path, make), "test")
    assert [source[i]["depth"].shape for i in range(3)] == [(4, 8)] * 3
    assert [source[i]["depth_size"].tolist() for i in range(3)] == [[3, 8], [4, 7], [4, 8]]
    assert source[0]["size"].tolist() == [20, 30]
    expected = np.zeros((4, 8))
    expected[:3] = 2
    np.testing.assert_array_equal(source[0]["depth"], expected)


def test_nothing_left_is_an_error_and_leaves_nothing(tmp_path):
    everything = {(f.sequence, f.camera, f.frame): b"nothing" for f in toy_contents().frames}
    with pytest.raises(UserError, match=r"no readable frame.*24 problems.*a camera 2 frame 0"):
        _prepare(tmp_path, lambda: toy_contents(everything))

    def no_samples():
        contents = toy_contents()
        contents.samples = {"train": [schema.Sample("c", 0, 0)]}
        return contents

    with pytest.raises(UserError, match=r"no sample is left.*c camera 0 frame 0"):
        _prepare(tmp_path, no_samples)
    assert _files(tmp_path) == []


@pytest.mark.parametrize("after", [0, 7, 23])
def test_interruption_leaves_nothing_and_a_rerun_finishes(tmp_path, after):
    def interrupted():
        contents = toy_contents()

        def frames(whole=contents.frames):
            for i, frame in enumerate(whole):
                if i == after:
                    raise KeyboardInterrupt
                yield frame

        contents.frames = frames()
        return contents

    with pytest.raises(KeyboardInterrupt):
        _prepare(tmp_path, interrupted)
    assert _files(tmp_path) == []
    assert len(_prepare(tmp_path).as_data_source("frames")) == 24


def test_writing_and_reading_import_no_tensorflow(tmp_path):
    # As where TensorFlow is installed: it is found, but must not be imported.
    (tmp_path / "tensorflow").mkdir()
    (tmp_path / "tensorflow" / "__init__.py").write_text("raise AssertionError('imported')")
    code = """
import sys
from pathlib import Path
from small_data_sets import build_toy
from radepth_jax.data import EvaluationSource, TrainingSource, make_loader
dataset = build_toy(Path(sys.argv[1]))
with make_loader(TrainingSource(dataset, 'train', (0, -1, 's')), global_batch=3, seed=0) as loader:
    assert next(loader)['frames'].shape == (3, 3, 20, 32, 3)
assert EvaluationSource(dataset, 'test')[1]['depth'].max() > 0
assert 'tensorflow' not in sys.modules
print('done')
"""
    path = [tmp_path, Path(__file__).parent, Path(builder.__file__).parents[2]]
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "data"],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, path))},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"
