import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data_sets import KITTI_SIZE, encode
from tensorflow_datasets.core.utils import shard_utils

from radepth_jax.data import beam, schema
from radepth_jax.data.dataset import Dataset, open_dataset
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError

D2 = "2011_09_26/2011_09_26_drive_0002_sync"
DRIVES = {"train_drives": ("0001",), "test_drives": ("0002",)}
DIRECT = "runner=DirectRunner"
PROCESSES = f"{DIRECT},direct_num_workers=2,direct_running_mode=multi_processing"


def assert_same(found: Dataset, expected: Dataset) -> None:
    """The same records in the same order, the same metadata, the same problems."""
    assert found.metadata.to_json() == expected.metadata.to_json()
    assert found.splits == expected.splits
    for split in (schema.FRAMES, *expected.splits):
        count = len(expected.metadata.index if split == schema.FRAMES else expected.targets(split))
        for i in range(count):
            a, b = found.record(split, i), expected.record(split, i)
            assert a.keys() == b.keys()
            for key, value in b.items():
                np.testing.assert_array_equal(a[key], value)
    problems = [(d.directory / schema.PROBLEMS_FILE).read_text() for d in (found, expected)]
    assert problems[0] == problems[1]


def both_ways(source: Path, folder: Path, name: str = "kitti_raw", **options):
    """The data set made by Beam, and the one made by threads."""
    for way, beamed in (("beam", DIRECT), ("threads", None)):
        prepare(name, source=source, data_dir=folder / way, beam_pipeline_options=beamed, **options)
    return open_dataset(name, folder / "beam"), open_dataset(name, folder / "threads")


def test_it_is_what_threads_make_in_many_files_and_with_the_same_left_out(
    kitti, tmp_path, monkeypatch
):
    monkeypatch.setattr(shard_utils.ShardConfig, "min_shard_size", 2_000)
    data = kitti / D2
    images = data / "image_02" / "data"
    (images / "0000000000.png").write_bytes(b"no picture")
    h, w = KITTI_SIZE
    (images / "0000000003.png").write_bytes(encode(np.zeros((h, w + 1, 3), np.uint8)))
    scan = data / "velodyne_points" / "data" / "0000000001.bin"
    scan.write_bytes(scan.read_bytes()[:-3])
    (tmp_path / "none.txt").write_text(f"{D2} 77 l\n")
    options = DRIVES | {"validation_list": str(tmp_path / "none.txt")}
    found, expected = both_ways(kitti, tmp_path, **options)
    assert len(list(found.directory.glob("*-frames.array_record-*"))) > 2
    assert found.splits == {"train": 8, "test": 2}
    assert found.metadata.with_depth == {"train": 0, "test": 1}
    problems = (found.directory / schema.PROBLEMS_FILE).read_text()
    for problem in ("not an image", f"{scan}: ", f"calibrated for {w}x{h}", "frame 77: no such"):
        assert problem in problems
    assert_same(found, expected)


def test_improved_ground_truth_is_read_by_beam_too(kitti, tmp_path):
    folder = tmp_path / "annotated" / "val" / "2011_09_26_drive_0002_sync"
    path = folder / "proj_depth" / "groundtruth" / "image_02" / "0000000001.png"
    path.parent.mkdir(parents=True)
    PIL.Image.fromarray(np.full(KITTI_SIZE, 2560, np.uint16)).save(path)
    (tmp_path / "test_files.txt").write_text(f"{D2} 1 l\n")
    options = {"annotated": str(tmp_path / "annotated"), "split_lists": str(tmp_path)}
    found, expected = both_ways(kitti, tmp_path, "kitti_improved", **options)
    assert found.metadata.with_depth == {"test": 1}
    assert_same(found, expected)


def test_the_command_prepares_in_several_processes(kitti, tmp_path):
    command = [sys.executable, "-c", "from radepth_jax.cli.main import main; main()"]
    command += ["prepare", "kitti_raw", "--source", str(kitti)]
    command += ["--train_drives", "0001", "--test_drives", "0002"]
    command += ["--beam_pipeline_options", PROCESSES, "--data_dir", str(tmp_path / "beam")]
    root = Path(beam.__file__).parents[2]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "20 frames up to 80x24; samples: train 8, test 3" in done.stderr
    prepare("kitti_raw", source=kitti, data_dir=tmp_path / "threads", **DRIVES)
    names = (open_dataset("kitti_raw", tmp_path / way) for way in ("beam", "threads"))
    assert_same(*names)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("runner=Nope", "Unexpected pipeline runner: Nope. Valid values are .*DirectRunner"),
        ("rnner=DirectRunner", "Apache Beam has no option rnner$"),
        ("direct_num_workers=two", "argument --direct_num_workers: invalid int value: 'two'$"),
    ],
)
def test_options_that_beam_does_not_know_are_refused(kitti, tmp_path, options, message, capfd):
    with pytest.raises(UserError, match=f"--beam_pipeline_options: {message}"):
        prepare("kitti_raw", source=kitti, data_dir=tmp_path, beam_pipeline_options=options)
    assert "usage" not in capfd.readouterr().err


def test_without_beam_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apache_beam.options.pipeline_options", None)
    with pytest.raises(UserError, match=r"needs Apache Beam: pip install 'radepth-jax\[beam\]'"):
        beam.parse_options(DIRECT)


def test_other_data_sets_are_not_prepared_with_it(tmp_path):
    with pytest.raises(UserError, match="street is not prepared with Apache Beam; kitti_raw and"):
        prepare("street/tiny", data_dir=tmp_path, beam_pipeline_options=DIRECT)
    assert not list(tmp_path.rglob("*.array_record*"))


def test_a_pipeline_that_fails_is_one_line_and_leaves_nothing(kitti, tmp_path, monkeypatch):
    def fail(values, path):
        raise OSError(f"{path}: no room for {json.dumps(len(values))} notes")

    monkeypatch.setattr(beam, "_write_json", fail)
    with pytest.raises(UserError, match=r"Apache Beam could not prepare it: .*no room for 20 note"):
        prepare(
            "kitti_raw", source=kitti, data_dir=tmp_path, beam_pipeline_options=DIRECT, **DRIVES
        )
    assert not list(tmp_path.rglob("*.array_record*"))
