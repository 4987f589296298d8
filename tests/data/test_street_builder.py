"""The `street` data set on disk: what is stored is what was rendered, ready to train from."""

import dataclasses

import numpy as np
import pytest

from radepth_jax.data import TrainingSource, open_dataset, schema
from radepth_jax.data.street import BASELINE, LEFT, RIGHT, Street, StreetConfig, world_seed
from radepth_jax.errors import UserError
from radepth_jax.street import RANGES, make_world, render_frames

TINY, VARIED = (
    next(config for config in Street.BUILDER_CONFIGS if config.name == name)
    for name in ("tiny", "varied")
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    Street(config="tiny", data_dir=folder).download_and_prepare()
    return folder


def test_splits_and_counts(data_dir):
    dataset = open_dataset("street/tiny", data_dir)
    # Two cameras, three targets a world; only the left camera is evaluated.
    assert dataset.splits == {"train": 12, "validation": 3, "test": 3}
    assert len(dataset.metadata.index) == (2 + 1 + 1) * 2 * TINY.frames
    assert dataset.canvas == (TINY.height, TINY.width)
    sequences = {
        split: {dataset.metadata.index.locate(i)[0] for i in dataset.targets(split)}
        for split in dataset.splits
    }
    assert sequences == {
        "train": {"train_000", "train_001"},
        "validation": {"validation_000"},
        "test": {"test_000"},
    }


def test_what_is_stored_is_what_was_rendered(data_dir):
    dataset = open_dataset("street/tiny", data_dir)
    shot = render_frames(
        make_world(world_seed(TINY, "test", 0), TINY.frames),
        range(TINY.frames),
        size=(TINY.height, TINY.width),
    )
    for row, position in enumerate(dataset.targets("test")):
        sequence, camera, frame = dataset.metadata.index.locate(position)
        assert (sequence, camera, frame) == ("test_000", LEFT, row + 1)
        image, intrinsics = dataset.image(position)
        np.testing.assert_array_equal(intrinsics, shot.intrinsics)
        assert np.abs(image.astype(int) - shot.image[frame]).mean() < 3  # JPEG
        depth = schema.decode_depth(dataset.record("test", row)["depth"])
        np.testing.assert_array_equal(depth, shot.depth[frame])
        pose = dataset.record(schema.FRAMES, position)["world_T_camera"]
        # Example records hold floats in single precision.
        np.testing.assert_allclose(pose, shot.world_T_camera[frame], rtol=1e-6, atol=1e-6)


def test_every_target_has_its_neighbours_and_its_partner(data_dir):
    dataset = open_dataset("street/tiny", data_dir)
    source = TrainingSource(dataset, "train", (0, -1, 1, "s"))
    assert len(source) == 12
    for i in range(len(source)):
        sample = source[i]
        assert sample["frames"].shape == (4, TINY.height, TINY.width, 3)
        camera = dataset.metadata.index.locate(dataset.targets("train")[i])[1]
        expected = np.eye(4)
        expected[0, 3] = -BASELINE if camera == LEFT else BASELINE
        np.testing.assert_allclose(sample["stereo_T_target"], expected, atol=1e-7)
    assert {dataset.metadata.index.locate(i)[1] for i in dataset.targets("train")} == {LEFT, RIGHT}


@pytest.mark.parametrize(
    ("split", "index", "image", "depth", "poses", "solids"),
    [
        ("train", 0, 107.8097656, 19.900778, 14.410752287511215, 69),
        ("train", 1, 122.7782335, 23.177740, 25.961548201959864, 121),
        ("validation", 0, 92.1654731, 18.669147, 26.015868965536857, 56),
        ("test", 0, 107.6197483, 22.640404, 23.217802648817393, 48),
    ],
)
def test_worlds_that_were_published_stay_as_they_are(split, index, image, depth, poses, solids):
    # Means of the images and depths, and the sum of the poses.
    world = make_world(world_seed(TINY, split, index), TINY.frames)
    shot = render_frames(world, range(TINY.frames), size=(TINY.height, TINY.width))
    assert len(world.solids) == solids
    assert world.world_T_camera.sum() == pytest.approx(poses, rel=1e-12)
    assert shot.image.mean() == pytest.approx(image, rel=1e-4)
    assert shot.depth.mean() == pytest.approx(depth, rel=1e-4)


def test_varied_is_prepared_as_the_others(tmp_path):
    options: dict = dict(train=2, validation=1, test=1, width=64, height=32)
    config = dataclasses.replace(VARIED, name="some", **options)
    Street(config=config, data_dir=tmp_path).download_and_prepare()
    dataset = open_dataset("street/some", tmp_path)
    assert dataset.splits == {"train": 8, "validation": 4, "test": 4}
    assert dataset.metadata.prepared_from["kind"] == "varied"
    world = make_world(world_seed(config, "test", 0), config.frames, RANGES["varied"])
    shot = render_frames(world, range(config.frames), size=(32, 64))
    for row, position in enumerate(dataset.targets("test")):
        _, intrinsics = dataset.image(position)
        np.testing.assert_array_equal(intrinsics, shot.intrinsics)
        depth = schema.decode_depth(dataset.record("test", row)["depth"])
        np.testing.assert_array_equal(depth, shot.depth[row + 1])


def test_no_world_is_in_two_splits():
    for config in Street.BUILDER_CONFIGS:
        seeds = [
            world_seed(config, split, i)
            for split in schema.SAMPLE_SPLITS
            for i in range(getattr(config, split))
        ]
        assert len(set(seeds)) == len(seeds)


def test_an_interrupted_preparation_is_finished_by_running_again(tmp_path, data_dir):
    class PowerCutError(Exception):
        pass

    def cut(split, done, total):
        assert total is None or split == schema.FRAMES
        if split == "train" and done == 3:
            raise PowerCutError

    with pytest.raises(PowerCutError):
        Street(config="tiny", data_dir=tmp_path, progress=cut).download_and_prepare()
    with pytest.raises(UserError, match="radepth prepare street/tiny"):
        open_dataset("street/tiny", tmp_path)
    reports = []
    builder = Street(config="tiny", data_dir=tmp_path, progress=lambda *a: reports.append(a))
    builder.download_and_prepare()
    assert (schema.FRAMES, 40, 40) in reports
    again, first = open_dataset("street/tiny", tmp_path), open_dataset("street/tiny", data_dir)
    assert again.metadata.to_json() == first.metadata.to_json()
    for position in range(len(first.metadata.index)):
        a, b = (d.record(schema.FRAMES, position)["image"] for d in (again, first))
        assert a == b


@pytest.mark.parametrize(
    ("option", "value"),
    [("frames", 2), ("width", 0), ("train", -1), ("seed", 0.5), ("kind", "sea")],
)
def test_options_that_cannot_be_are_named(tmp_path, option, value):
    config = dataclasses.replace(TINY, name="odd", **{option: value})
    assert isinstance(config, StreetConfig)
    with pytest.raises(UserError, match=option):
        Street(config=config, data_dir=tmp_path).download_and_prepare()
