import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict
from small_data_sets import encode

from radepth_jax.cli import prepare as command
from radepth_jax.data import builder
from radepth_jax.data.array_records import array_records
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.prepare import BUILDERS, load_builder, open_or_prepare, prepare
from radepth_jax.errors import UserError


@pytest.fixture
def shots(tmp_path) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    for i in range(6):
        image = np.random.default_rng(i).integers(0, 256, (12, 16, 3), np.uint8)
        (folder / f"{i}.png").write_bytes(encode(image))
    return folder


def left_behind(data_dir: Path) -> list[str]:
    return sorted(p.name for p in data_dir.rglob("*") if p.is_file() and p.name != ".lock")


def test_a_second_call_does_nothing_and_says_so(shots, tmp_path, capsys):
    first = prepare("video", source=shots, data_dir=tmp_path / "d", fov=60.0)
    times = {p: p.stat().st_mtime_ns for p in first.rglob("*")}
    assert "6 frames up to 16x12; samples: train 5, validation 1" in capsys.readouterr().err
    assert prepare("video", source=shots, data_dir=tmp_path / "d", fov=60.0) == first
    assert f"video is already prepared: {first}" in capsys.readouterr().err
    assert {p: p.stat().st_mtime_ns for p in first.rglob("*")} == times


def test_another_source_or_option_needs_another_name(shots, tmp_path):
    data_dir = tmp_path / "d"
    prepare("video", source=shots, data_dir=data_dir, fov=60.0)
    with pytest.raises(UserError, match=r"prepared with fov 60.0, not 61.0; .* video/other"):
        prepare("video", source=shots, data_dir=data_dir, fov=61.0)
    prepare("video/other", source=shots, data_dir=data_dir, fov=61.0)
    fx = [open_dataset(n, data_dir).image(0)[1][0, 0] for n in ("video", "video/other")]
    assert fx[0] > fx[1]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kitti", "no data set 'kitti'; there are kitti_raw, .*street"),
        ("video/../x", "letters, digits"),
        ("video/a/b", "letters, digits"),
        ("video/.x", "letters, digits"),
        ("street/huge", "there are street/demo"),
    ],
)
def test_unknown_names_are_refused(tmp_path, name, message):
    with pytest.raises(UserError, match=message):
        prepare(name, data_dir=tmp_path)


def test_street_takes_no_source(tmp_path):
    with pytest.raises(UserError, match="street takes no source, fov"):
        prepare("street/tiny", source=tmp_path, data_dir=tmp_path, fov=3.0)


@pytest.mark.parametrize(
    "error",
    [
        # As ArrayRecord words it, writing to /dev/full.
        RuntimeError("write() failed: No space left on device; writing x; at byte 0"),
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    ],
)
def test_a_full_disk_is_reported_and_leaves_nothing(shots, tmp_path, monkeypatch, error):
    class Full:
        def __init__(self, *args):
            pass

        def write(self, record):
            raise error

        def close(self):
            pass

    with monkeypatch.context() as patch:
        patch.setattr(array_records(), "ArrayRecordWriter", Full)
        with pytest.raises(UserError, match=r"the disk of .* is full; free some space"):
            prepare("video", source=shots, data_dir=tmp_path / "d", fov=60.0)
    assert left_behind(tmp_path / "d") == []
    with pytest.raises(UserError, match="not prepared"):
        open_dataset("video", tmp_path / "d")
    prepare("video", source=shots, data_dir=tmp_path / "d", fov=60.0)


def test_array_record_reports_a_full_disk_as_expected():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    writer = array_records().ArrayRecordWriter("/dev/full", "group_size:1")
    writer.write(b"x" * 1000)
    with pytest.raises(RuntimeError, match="No space left on device"):
        writer.close()


def test_an_unwritable_folder_is_reported(shots, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"/file.*: Not a directory"):
        prepare("video", source=shots, data_dir=tmp_path / "file", fov=60.0)


def test_a_killed_preparation_is_cleared_away_and_finished(shots, tmp_path):
    code = f"""
import sys
import time
from radepth_jax.data import rows
from radepth_jax.data.prepare import prepare
size = rows.image_size
def slow(data):
    sys.stdout.write("storing\\n")
    sys.stdout.flush()
    time.sleep(60)
    return size(data)
rows.image_size = slow
prepare("video", source={str(shots)!r}, data_dir={str(tmp_path / "d")!r}, fov=60.0)
"""
    root = Path(builder.__file__).parents[2]
    process = subprocess.Popen([sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b"storing\n"
        process.send_signal(signal.SIGKILL)
    leftovers = list((tmp_path / "d" / "video" / "default").glob("incomplete.*"))
    assert len(leftovers) == 1
    with pytest.raises(UserError, match="not prepared"):
        open_dataset("video", tmp_path / "d")
    prepare("video", source=shots, data_dir=tmp_path / "d", fov=60.0)
    assert not leftovers[0].exists()
    assert len(open_dataset("video", tmp_path / "d").metadata.index) == 6


def test_a_second_preparation_waits_for_the_first(shots, tmp_path):
    code = f"""
from radepth_jax.data.prepare import prepare
prepare("video", source={str(shots)!r}, data_dir={str(tmp_path / "d")!r}, fov=60.0)
"""
    root = Path(builder.__file__).parents[2]
    command = [sys.executable, "-c", code]
    processes = [
        subprocess.Popen(command, cwd=root, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    messages = [process.communicate()[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], messages
    assert sorted("already prepared" in message for message in messages) == [False, True]


def config(**values) -> ConfigDict:
    defaults = {
        "name": "video",
        "data_dir": "nowhere",
        "source": "",
        "intrinsics": "",
        "fov": 0.0,
        "stride": 1,
    }
    return ConfigDict(defaults | values)


def test_training_prepares_footage_in_its_own_folder(shots, tmp_path):
    data = config(source=str(shots), fov=60.0, stride=2)
    dataset = open_or_prepare(data, tmp_path / "run")
    assert dataset.directory.is_relative_to(tmp_path / "run" / "data")
    assert len(dataset.metadata.index) == 3
    again = open_or_prepare(data, tmp_path / "run")
    assert again.directory == dataset.directory
    assert open_or_prepare(config(data_dir=str(tmp_path / "run" / "data")), "x").splits
    with pytest.raises(UserError, match=r"config\.data\.source: only a video"):
        open_or_prepare(config(name="kitti_raw", source=str(shots)), tmp_path)


def test_the_command_line_prepares(shots, kitti, tmp_path, capsys):
    data_dir = ["--data_dir", str(tmp_path / "d")]
    command.main(["video/mine", "--source", str(shots), "--intrinsics", "9,9,8,6", *data_dir])
    command.main(
        [
            *["kitti_raw", "--source", str(kitti), *data_dir],
            *["--train_drives", "0001,0002", "--test_drives", "0002"],
        ]
    )
    assert open_dataset("video/mine", tmp_path / "d").image(0)[1][0, 0] == 9
    assert open_dataset("kitti_raw", tmp_path / "d").splits == {"train": 12, "test": 3}
    assert "prepared" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nothing"],
        ["make3d"],
        ["video", "--source", "x", "--stride", "two"],
        ["street", "--fov"],
    ],
)
def test_the_command_line_refuses_what_it_does_not_know(argv):
    with pytest.raises(UserError, match=r"see radepth prepare.* --help") as error:
        command.main(argv)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", BUILDERS)
def test_every_option_of_a_data_set_is_explained(family, capsys):
    """Fields of the configuration, each with what its docstring says, and where the files are."""
    with pytest.raises(SystemExit):
        command.main([family, "--help"])
    builder, text = load_builder(family), " ".join(capsys.readouterr().out.split())
    assert "".join(builder.DOWNLOADS.split()) in "".join(text.split())
    explained = command.describe_fields(
        builder.CONFIG_CLASS.__doc__ if builder.CONFIG_CLASS else ""
    )
    for name in builder.options():
        assert f"--{name}" in text
        assert len(explained[name]) > 10
    assert ("--beam_pipeline_options" in text) == builder.BEAM


def test_all_data_sets_are_listed(capsys):
    command.main(["--help"])
    out = capsys.readouterr().out
    assert all(f"  {family} " in out for family in BUILDERS)


def test_a_data_set_has_the_name_of_its_class(monkeypatch):
    class Mine(FrameDatasetBuilder):
        """Runs twice where its file is a config and a plugin as well."""

    again = type("Mine", (FrameDatasetBuilder,), {})
    assert again is not Mine
    monkeypatch.setitem(BUILDERS, "mine", Mine)
    assert load_builder("mine") is Mine
    monkeypatch.setitem(BUILDERS, "my_data", Mine)
    with pytest.raises(UserError, match="lie in folders named mine; name the entry 'mine'"):
        load_builder("my_data")


def test_options_are_read_as_their_fields_types_say():
    def parse(family, *options):
        return command.make_parser(family, load_builder(family)).parse_args(
            ["--source", "x", *options]
        )

    found = parse("kitti_raw", "--targets_only", "--test_drives", "0001,0002")
    assert (found.targets_only, found.test_drives) == (True, ("0001", "0002"))
    assert (found.train_drives, found.train_list) == ((), None)
    found = parse("video", "--stride", "3", "--fov", "60", "--fov", "70", "--source", "y")
    assert (found.stride, found.fov, found.min_change) == (3, [60.0, 70.0], 0.5)
    assert (found.source, found.sampling) == (["x", "y"], "length")
    with pytest.raises(UserError, match="--test_drives: given twice"):
        parse("kitti_raw", "--test_drives", "0001", "--test_drives", "0002")
    assert parse("kitti_odometry").sequences == ("09", "10")
    with pytest.raises(UserError, match=r"invalid choice: 'thin'.*filled"):
        parse("nyu_v2", "--depth", "thin")
    with pytest.raises(UserError, match="required: --annotated"):
        parse("kitti_improved")
