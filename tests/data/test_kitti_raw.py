import gzip
import http.server
import threading
import time
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from small_data_sets import KITTI_SIZE, OFFSETS, write_drive

from radepth_jax.data import kitti_splits
from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.evaluation_source import EvaluationSource
from radepth_jax.data.kitti_splits import Target, find_drives, read_list
from radepth_jax.data.kitti_velodyne import project_scan, read_calibration, read_scan
from radepth_jax.data.pictures import decode_image
from radepth_jax.data.prepare import prepare
from radepth_jax.data.training_source import TrainingSource
from radepth_jax.errors import UserError

D1 = "2011_09_26/2011_09_26_drive_0001_sync"
D2 = "2011_09_26/2011_09_26_drive_0002_sync"


def problems(dataset) -> list[str]:
    return (dataset.directory / "problems.txt").read_text().splitlines()


def image_path(root: Path, drive: str, camera: int, frame: int, kind="png") -> Path:
    return root / drive / f"image_{camera:02d}" / "data" / f"{frame:010d}.{kind}"


def make(root: Path, data_dir: Path, **options):
    prepare("kitti_raw", source=root, data_dir=data_dir, **options)
    return open_dataset("kitti_raw", data_dir)


def test_drives_make_a_data_set(kitti, tmp_path):
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    assert dataset.canvas == KITTI_SIZE
    assert dataset.splits == {"train": 8, "test": 3}  # 4 inner frames of 2 cameras; 3 scans
    assert len(dataset.metadata.index) == 2 * (6 + 4)
    assert problems(dataset) == []
    for drive in (D1, D2):
        for camera in (2, 3):
            for frame in range(6 if drive == D1 else 4):
                position = dataset.metadata.index.find(drive.split("/")[1], camera, frame)
                record = dataset.record("frames", position)
                stored = image_path(kitti, drive, camera, frame).read_bytes()
                assert record["image"] == stored
                calibration = read_calibration(kitti / "2011_09_26")
                np.testing.assert_allclose(record["intrinsics"], calibration.intrinsics(camera))


def test_training_samples_have_neighbours_and_stereo(kitti, tmp_path):
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    source = TrainingSource(dataset, "train", (0, -1, 1, "s"))
    assert len(source) == 8
    for i, camera in ((0, 2), (4, 3)):
        sample = source[i]
        keys = [(camera, 1), (camera, 0), (camera, 2), (5 - camera, 1)]
        for image, (c, f) in zip(sample["frames"], keys, strict=True):
            expected = decode_image(image_path(kitti, D1, c, f).read_bytes())
            np.testing.assert_array_equal(image, expected)
        shift = (OFFSETS[3] - OFFSETS[2]) * (1 if camera == 2 else -1)
        np.testing.assert_allclose(sample["stereo_T_target"][:3, 3], shift, atol=1e-6)


def test_test_images_have_the_scan_as_depth(kitti, tmp_path):
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    source = EvaluationSource(dataset, "test")
    calibration = read_calibration(kitti / "2011_09_26")
    for frame in range(3):
        scan = read_scan(kitti / D2 / "velodyne_points" / "data" / f"{frame:010d}.bin")
        np.testing.assert_array_equal(source[frame]["depth"], project_scan(scan, calibration, 2))
        assert source[frame]["name"] == f"2011_09_26_drive_0002_sync/2/{frame:010d}"


def test_targets_alone_are_stored_where_that_is_asked_for(kitti, tmp_path):
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "test_files.txt").write_text(f"{D2} 1 l\n{D2} 0000000002 r\n")
    options = {"split_lists": str(tmp_path / "lists"), "targets_only": True}
    dataset = make(kitti, tmp_path, **options)
    index = dataset.metadata.index
    assert [index.locate(i)[1:] for i in range(len(index))] == [(2, 1), (3, 2)]
    assert dataset.splits == {"test": 2}
    assert dataset.metadata.with_depth == {"test": 2}
    assert dataset.metadata.protocol["crop"] == "garg"
    with pytest.raises(UserError, match="prepared with targets_only True, not False"):
        make(kitti, tmp_path, split_lists=options["split_lists"])


@pytest.fixture
def lists(tmp_path):
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "train_files.txt").write_text(f"{D1} 3 r\n{D1} 0000000001 l\n\n{D1} 5 l\n{D1} 9 l\n")
    (folder / "val_files.txt").write_text(f"{D2} 1 r\n2011_09_28/2011_09_28_drive_0001_sync 4 l\n")
    (folder / "test_files.txt").write_text(f"{D2} 0000000002 l\n{D2} 3 l\n")
    return folder


def test_lists_keep_their_order_and_what_is_missing_is_reported(kitti, tmp_path, lists):
    dataset = make(kitti, tmp_path, split_lists=str(lists))
    located = {
        split: [dataset.metadata.index.locate(p)[1:] for p in positions]
        for split, positions in dataset.metadata.targets.items()
    }
    assert located == {
        "train": [(3, 3), (2, 1), (2, 5)],
        "validation": [(3, 1)],
        "test": [(2, 2), (2, 3)],
    }
    assert dataset.has_depth("validation")
    assert sorted(problems(dataset)) == sorted(
        [
            "2011_09_28/2011_09_28_drive_0001_sync: not in the tree; its samples are left out "
            "(1 validation)",
            "train sample 2011_09_26_drive_0001_sync camera 2 frame 5: no neighbour at +1; "
            "it is used only with frame_offsets that do not need it",
            "train sample 2011_09_26_drive_0001_sync camera 2 frame 9: no such frame; left out",
            f"{D2}: no Velodyne scan for 1 test samples; no ground truth",
        ]
    )
    assert len(TrainingSource(dataset, "train", (0, -1, 1))) == 2
    assert len(TrainingSource(dataset, "train", (0, -1))) == 3


def test_a_list_goes_before_drives_and_drives_before_split_lists(kitti, tmp_path, lists):
    one = tmp_path / "one.txt"
    one.write_text(f"{D1} 2 l\n")
    dataset = make(
        kitti,
        tmp_path,
        split_lists=str(lists),
        train_list=one,
        train_drives=("0001",),
        test_drives=(D2,),
    )
    assert dataset.splits == {"train": 1, "validation": 1, "test": 3}


def test_damaged_files_are_reported_by_name(kitti, tmp_path):
    image_path(kitti, D1, 2, 2).write_bytes(b"")
    image_path(kitti, D1, 3, 0).unlink()
    other = image_path(kitti, D2, 2, 3)
    other.write_bytes(image_path(kitti, D2, 2, 3).read_bytes()[:50])
    scan = kitti / D2 / "velodyne_points" / "data" / "0000000001.bin"
    scan.write_bytes(scan.read_bytes()[:-5])
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    found = "\n".join(problems(dataset))
    assert f"camera 2 frame 2 ({image_path(kitti, D1, 2, 2)}): the file is empty" in found
    assert f"{D1}: 1 frames are there for one camera only" in found
    assert f"{scan}: 7995 bytes are not a scan" in found
    assert "train sample 2011_09_26_drive_0001_sync camera 2 frame 2: no such frame" in found
    # Cut after its header: its size is known, so it is stored, and reading it says what is wrong.
    assert dataset.splits == {"train": 6, "test": 3}
    assert dataset.metadata.with_depth["test"] == 2
    assert len(TrainingSource(dataset, "train", (0, -1, 1))) == 4


def test_gzipped_scans_are_read(kitti, tmp_path):
    scans = sorted((kitti / D2 / "velodyne_points" / "data").iterdir())
    expected = [read_scan(scan) for scan in scans]
    for scan in scans[1:]:
        scan.with_name(f"{scan.name}.gz").write_bytes(gzip.compress(scan.read_bytes()))
        scan.unlink()
    scans[2].write_bytes(gzip.compress(expected[2].tobytes())[:-9])  # and the whole one beside it
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    assert dataset.metadata.with_depth["test"] == len(scans) - 1
    np.testing.assert_array_equal(read_scan(Path(f"{scans[1]}.gz")), expected[1])
    assert f"{scans[2]}: gzipped, and damaged" in "\n".join(problems(dataset))


def test_scans_that_are_packed_otherwise_are_named(kitti, tmp_path):
    for scan in (kitti / D2 / "velodyne_points" / "data").iterdir():
        scan.rename(f"{scan}.xz")
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    found = "\n".join(problems(dataset))
    assert f"{D2}: no Velodyne scan for 4 test samples (only 0000000000.bin.xz, " in found
    assert "unpack them to files such as 0000000000.bin); no ground truth" in found


def test_images_of_another_size_than_calibrated_are_left_out(kitti, tmp_path):
    path = image_path(kitti, D1, 2, 0)
    PIL.Image.new("RGB", (40, 12)).save(path)
    dataset = make(kitti, tmp_path, train_drives=("0001",))
    assert problems(dataset) == [
        f"2011_09_26_drive_0001_sync camera 2 frame 0 ({path}): 40x12, but it is calibrated for "
        "80x24; left out"
    ]


def test_hidden_files_are_no_files_and_drives_are_folders(kitti, tmp_path):
    """What a Mac and Windows leave beside every file when they copy a tree."""
    for path in [kitti / "2011_09_26", *kitti.rglob("*")]:
        if not path.name.startswith("._"):
            (path.parent / f"._{path.name}").write_bytes(b"\0\5\x16\7")
    (kitti / "2011_09_26" / "2011_09_26_drive_0001_sync.zip").touch()
    (kitti / "2011_09_26" / "2011_09_26_drive_0009_sync").touch()  # a failed download
    (kitti / D1 / "image_02" / "data" / "Thumbs.db").touch()
    (kitti / ".DS_Store").touch()
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0002",))
    assert dataset.splits == {"train": 8, "test": 3}
    assert problems(dataset) == []


def test_the_calibration_that_scans_need_is_named_where_it_is_missing(kitti, tmp_path):
    (kitti / "2011_09_26" / "calib_velo_to_cam.txt").unlink()
    dataset = make(kitti, tmp_path, test_drives=("0002",))
    (problem,) = problems(dataset)
    assert "2011_09_26/calib_velo_to_cam.txt is missing" in problem
    assert "3 test samples" in problem
    assert not dataset.has_depth("test")


def test_a_scan_that_no_pixel_sees_is_said_to_be_no_ground_truth(kitti, tmp_path):
    scans = sorted((kitti / D2 / "velodyne_points" / "data").iterdir())
    scans[0].write_bytes(np.full((4, 4), -5, "<f4").tobytes())  # behind the car
    dataset = make(kitti, tmp_path, test_drives=("0002",))
    (problem,) = problems(dataset)
    assert problem.endswith("no pixel has a value (all 0); its test sample has no ground truth")
    assert dataset.metadata.with_depth["test"] == 2


def test_text_files_may_come_from_any_editor(kitti, tmp_path):
    for path in (kitti / "2011_09_26").glob("*.txt"):
        path.write_bytes(("\r\n".join(path.read_text().splitlines()) + "\r\n\r\n").encode("utf-16"))
    (tmp_path / "list.txt").write_bytes(f"\ufeff# test\r\n\r\n{D2} 0000000001 l\r\n".encode())
    dataset = make(kitti, tmp_path, test_list=tmp_path / "list.txt")
    assert dataset.splits == {"test": 1}
    assert problems(dataset) == []


def test_short_drives_and_jpegs(kitti, tmp_path):
    write_drive(kitti, "0003", range(2), kind="jpg")
    dataset = make(kitti, tmp_path, train_drives=("0001",), test_drives=("0003",))
    assert dataset.splits == {"train": 8, "test": 2}
    assert not dataset.has_depth("test")
    sequence = "2011_09_26_drive_0003_sync"
    record = dataset.record("frames", dataset.metadata.index.find(sequence, 3, 1))
    path = image_path(kitti, f"2011_09_26/{sequence}", 3, 1, "jpg")
    assert record["image"] == path.read_bytes()
    found = "\n".join(problems(dataset))
    assert f"2011_09_26/{sequence} camera 2: 2 frames, too few" in found
    assert "no Velodyne scan for 2 test samples" in found
    with pytest.raises(UserError, match=r"no sample is left|none of the drives"):
        prepare("kitti_raw/x", source=kitti, data_dir=tmp_path, train_drives=("0003",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_drives": ("0009",)}, "'0009': no such drive; there are 2011_09_26/"),
        (
            {"train_list": "nowhere.txt"},
            "nowhere.txt: No such file .*; expected a split list",
        ),
        ({"split_lists": "eigne"}, "'eigne': expected one of eigen_zhou, eigen"),
        ({"train_drive": ("0001",)}, "kitti_raw takes no train_drive"),
    ],
)
def test_unusable_options_are_refused(kitti, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        prepare("kitti_raw", source=kitti, data_dir=tmp_path / "d", **options)
    assert "\n" not in str(error.value)


def test_drives_given_twice_are_refused(kitti, tmp_path, radepth):
    twice = ["--test_drives=0001", "--test_drives=0002"]
    code, _, err = radepth(
        "prepare", "kitti_raw", f"--source={kitti}", f"--data_dir={tmp_path}", *twice
    )
    assert code == 2
    assert "--test_drives: given twice; give all its values at once, by commas" in err


def test_unusable_sources_are_refused(tmp_path):
    options = {"data_dir": tmp_path / "d", "train_drives": ("0001",)}
    with pytest.raises(UserError, match="--source is missing"):
        prepare("kitti_raw", **options)
    with pytest.raises(UserError, match="no such folder"):
        prepare("kitti_raw", source=tmp_path / "nowhere", **options)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no KITTI drives in it"):
        prepare("kitti_raw", source=tmp_path / "empty", **options)


def test_drives_without_images_are_refused(kitti, tmp_path):
    for camera in (2, 3):
        for frame in range(4):
            image_path(kitti, D2, camera, frame).unlink()
    with pytest.raises(UserError, match="is there"):
        prepare("kitti_raw", source=kitti, data_dir=tmp_path / "d", test_drives=("0002",))


@pytest.mark.parametrize(
    "line", [f"{D1} 3", "drive 3 l", f"{D1} x l", f"{D1} 3 m", f"{D1} -3 l", "9 0 l"]
)
def test_bad_list_lines_are_named(tmp_path, line):
    path = tmp_path / "list.txt"
    path.write_text(f"{D1} 1 l\n{line}\n")
    with pytest.raises(UserError, match=r"list.txt, line 2: expected 'DATE/DRIVE FRAME l\|r'"):
        read_list(path)


def test_empty_and_doubled_lists(tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("\n")
    with pytest.raises(UserError, match="no frames"):
        read_list(path)
    path.write_text(f"{D1} 1 l\n{D1} 0001 l\n{D1} 1 r\n")
    assert read_list(path) == [Target(D1, 1, 2), Target(D1, 1, 3)]


def test_drives_are_found_by_number_name_and_path():
    present = [D1, D2, "2011_09_28/2011_09_28_drive_0001_sync"]
    assert find_drives(["0002", D1, "2011_09_28_drive_0001_sync"], present) == [
        D2,
        D1,
        present[2],
    ]
    with pytest.raises(UserError, match="several drives match 2011_09_26"):
        find_drives(["0001"], present)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("eigen_zhou/train_files.txt", 39810),
        ("eigen_zhou/val_files.txt", 4424),
        ("eigen/test_files.txt", 697),
    ],
)
def test_published_lists_read_in_full(shared_data, name, count):
    assert name in kitti_splits.PUBLISHED["eigen_zhou"].values()
    assert len(read_list(shared_data / "kitti_splits" / name)) == count


def test_published_lists_are_downloaded(kitti, tmp_path, lists, monkeypatch):
    texts = {
        f"/{path}": (lists / path.split("/")[1]).read_bytes()
        for path in kitti_splits.PUBLISHED["eigen_zhou"].values()
    }

    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200 if self.path in texts else 404)
            self.end_headers()
            self.wfile.write(texts.get(self.path, b""))

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(kitti_splits, "SPLIT_LISTS_URL", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        dataset = make(kitti, tmp_path / "d")  # without lists or drives: Eigen-Zhou's
        monkeypatch.setattr(kitti_splits, "SPLIT_LISTS_URL", f"{url}/gone")
        with pytest.raises(UserError, match=rf"cannot be downloaded from {url}/gone"):
            prepare("kitti_raw", source=kitti, data_dir=tmp_path / "e", split_lists="eigen_zhou")
        while len(seen) < 6:  # else the other downloads would retry for minutes
            time.sleep(0.01)
        server.shutdown()
    assert dataset.splits == {"train": 3, "validation": 1, "test": 2}


def test_real_drives(shared_data, tmp_path):
    root = shared_data / "kitti_raw"
    dataset = make(root, tmp_path, train_drives=("0002",), test_drives=("0002",))
    assert dataset.canvas == (375, 1242)
    assert dataset.splits == {"train": 16, "test": 10}
    assert problems(dataset) == []
    item = EvaluationSource(dataset, "test")[0]
    np.testing.assert_allclose(
        item["intrinsics"], [[721.5377, 0, 609.5593], [0, 721.5377, 172.854], [0, 0, 1]]
    )
    assert 0.03 < (item["depth"] > 0).mean() < 0.06
    sample = TrainingSource(dataset, "train", (0, "s"))[0]
    assert sample["stereo_T_target"][0, 3] == pytest.approx(-0.5327, abs=1e-4)
