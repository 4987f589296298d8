"""A campaign of bad input through the command line: each case is one clear line, nothing is lost.

A case damages what a command reads. The command must then say what is wrong in the words given
here, without a traceback, leave its inputs as they are, and leave nothing half-made behind.
"""

import hashlib
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from small_data_sets import encode, write_drive

from radepth_jax.runs.checkpoint import FOLDER
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of

ROOT = Path(__file__).parents[2]
DRIVE = "2011_09_26/2011_09_26_drive_0001_sync"


@dataclass
class Place:
    """What a case may damage.

    Attributes:
        inputs: a folder with `shots` (8 frames of 16x12), `kitti` (a raw tree of one drive with
            scans), `data` (`street/tiny`, prepared), `run` (a checkpoint) and `config.py`.
        out: where commands write.
    """

    inputs: Path
    out: Path

    def shot(self, number: int) -> Path:
        return self.inputs / "shots" / f"{number}.png"

    def record_file(self, split: str) -> Path:
        return next((self.inputs / "data").rglob(f"*-{split}.array_record*"))

    def checkpoint_file(self, pattern: str) -> Path:
        """The largest that matches."""
        found = (self.inputs / "run" / FOLDER / "0").glob(pattern)
        return max((path for path in found if path.is_file()), key=lambda path: path.stat().st_size)


CASES: dict[str, tuple[Callable[[Place], list], str, int]] = {}


def case(expected: str, code: int = 2):
    """Register a case: a function that damages and gives the command; the words it must lead to."""

    def register(function):
        name = function.__name__.strip("_").replace("_", " ")
        assert name not in CASES
        CASES[name] = (function, expected, code)
        return function

    return register


def video(place: Place, *flags: str) -> list:
    flags = flags or ("--fov=60",)
    return ["prepare", "video", "--source", place.inputs / "shots", "--data_dir", place.out, *flags]


def kitti(place: Place, *flags: str) -> list:
    source = ["--source", place.inputs / "kitti", "--data_dir", place.out]
    return ["prepare", "kitti_raw", *source, *(flags or ("--test_drives=0001",))]


def train(place: Place, *overrides: str) -> list:
    return [
        "train", f"--config={place.inputs / 'config.py'}", f"--workdir={place.out / 'run'}",
        *overrides,
    ]  # fmt: skip


def predict(place: Place, *inputs) -> list:
    return ["predict", f"--checkpoint={place.inputs / 'run'}", f"--output={place.out}", *inputs]


def evaluate(place: Place) -> list:
    data = ["--dataset=street/tiny", f"--data_dir={place.inputs / 'data'}"]
    return ["evaluate", f"--checkpoint={place.inputs / 'run'}", "--resolutions=64x32", *data]


def convert(place: Place) -> list:
    return ["convert", "--input", place.inputs / "torch", "--output", place.out]


def cut(path: Path, share: float = 0.5) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# Frames, while they are prepared


@case(r"7 frames up to 16x12.*3\.png: .*left out", code=0)
def a_truncated_frame_of_a_video(place):
    cut(place.shot(3))
    return video(place)


@case(r"7 frames up to 16x12.*3\.png: .*left out", code=0)
def an_empty_frame_of_a_video(place):
    place.shot(3).write_bytes(b"")
    return video(place)


@case(r"7 frames up to 16x12.*3\.png: .*left out", code=0)
def an_error_page_in_place_of_a_frame(place):
    place.shot(3).write_text("<html>404</html>")
    return video(place)


@case(
    r"7 frames up to 16x12.*3\.png: 20x10, unlike most frames' 16x12; 1 frame of",
    code=0,
)
def a_frame_of_another_size(place):
    place.shot(3).write_bytes(encode(np.zeros((10, 20, 3), np.uint8)))
    return video(place)


@case(r"7 frames up to 16x12.*3\.png: Is a directory; left out", code=0)
def a_folder_in_place_of_a_frame(place):
    place.shot(3).unlink()
    place.shot(3).mkdir()
    return video(place)


@case(r"7 frames up to 16x12.*3\.png: No such file or directory; left out", code=0)
def a_link_to_a_frame_that_is_gone(place):
    place.shot(3).unlink()
    place.shot(3).symlink_to("nowhere.png")
    return video(place)


@case(r"shots: 0 usable frames, at least 3 are needed \(8 problems, the first: .*0\.png")
def no_frame_that_decodes(place):
    for number in range(8):
        place.shot(number).write_bytes(b"GIF89a")
    return video(place)


@case(r"film\.mp4: not a video that FFmpeg can read")
def a_text_file_as_a_video(place):
    (place.inputs / "film.mp4").write_text("no video")
    return ["prepare", "video", "--source", place.inputs / "film.mp4", "--fov=60",
            "--data_dir", place.out]  # fmt: skip


@case(r"film\.mp4: not a video that FFmpeg can read")
def an_empty_video(place):
    (place.inputs / "film.mp4").write_bytes(b"")
    return ["prepare", "video", "--source", place.inputs / "film.mp4", "--fov=60",
            "--data_dir", place.out]  # fmt: skip


@case(r"0000000001\.png\): the file is empty; left out", code=0)
def an_empty_frame_of_kitti(place):
    (place.inputs / "kitti" / DRIVE / "image_02/data/0000000001.png").write_bytes(b"")
    return kitti(place, "--train_drives=0001")


@case(r"40x20, but it is calibrated for 80x24; left out", code=0)
def a_frame_of_kitti_of_another_size(place):
    path = place.inputs / "kitti" / DRIVE / "image_02/data/0000000001.png"
    path.write_bytes(encode(np.zeros((20, 40, 3), np.uint8)))
    return kitti(place, "--train_drives=0001")


@case(r"0000000001\.bin: 4003 bytes are not a scan of 16-byte points", code=0)
def a_truncated_scan(place):
    path = place.inputs / "kitti" / DRIVE / "velodyne_points/data/0000000001.bin"
    path.write_bytes(path.read_bytes()[:4003])
    return kitti(place)


# Cameras


@case(r"calib_cam_to_cam\.txt: expected a line 'P_rect_02:' with 12 numbers")
def nan_in_a_calibration(place):
    path = place.inputs / "kitti/2011_09_26/calib_cam_to_cam.txt"
    text = path.read_text()
    start = text.index("P_rect_02: ") + len("P_rect_02: ")
    path.write_text(text[:start] + "nan" + text[text.index(" ", start) :])
    return kitti(place)


@case(r"calib_cam_to_cam\.txt: expected a line 'S_rect_02:' with 2 numbers")
def an_empty_calibration(place):
    (place.inputs / "kitti/2011_09_26/calib_cam_to_cam.txt").write_text("")
    return kitti(place)


@case(r"calib_cam_to_cam\.txt: not a text file")
def a_calibration_that_is_no_text(place):
    (place.inputs / "kitti/2011_09_26/calib_cam_to_cam.txt").write_bytes(b"\xff\xfe\x00\x81")
    return kitti(place)


@case(r"calib_cam_to_cam\.txt: No such file or directory; every KITTI date")
def a_calibration_that_is_missing(place):
    (place.inputs / "kitti/2011_09_26/calib_cam_to_cam.txt").unlink()
    return kitti(place)


@case(r"calib_cam_to_cam\.txt: expected focal lengths above 0 in line 'P_rect_02:'")
def a_calibration_without_focal_length(place):
    path = place.inputs / "kitti/2011_09_26/calib_cam_to_cam.txt"
    zeros = "P_rect_02: " + " ".join(["0"] * 12)
    path.write_text(re.sub(r"P_rect_02: .*", zeros, path.read_text()))
    return kitti(place)


@case(r"intrinsics 'nan,9,8,6': expected positive fx, fy")
def nan_intrinsics(place):
    return video(place, "--intrinsics=nan,9,8,6")


@case(r"intrinsics '9,9,8': expected four numbers 'fx,fy,cx,cy'")
def three_intrinsics(place):
    return video(place, "--intrinsics=9,9,8")


@case(r"fov nan: expected degrees between 5 and 170")
def a_field_of_view_of_nan(place):
    return video(place, "--fov=nan")


@case(r"list\.txt.*line 1.*expected")
def a_malformed_split_list(place):
    (place.inputs / "list.txt").write_text("half a line\n")
    return kitti(place, f"--train_list={place.inputs / 'list.txt'}")


# Prepared data sets


def records(place: Place) -> list:
    return train(place, f"--config.data.data_dir={place.inputs / 'data'}")


@case(r"street/tiny: record \d+ of 'frames' .* cannot be read .*; prepare it again")
def truncated_records(place):
    cut(place.record_file("frames"))
    return records(place)


@case(r"street/tiny: record \d+ of 'frames' .* cannot be read .*; prepare it again")
def empty_records(place):
    place.record_file("frames").write_bytes(b"")
    return records(place)


@case(r"street/tiny: record \d+ of 'frames' .* cannot be read .*; prepare it again")
def garbage_for_records(place):
    path = place.record_file("frames")
    path.write_bytes(b"\x55" * path.stat().st_size)
    return records(place)


@case(r"array_record.* is missing; delete .* and run 'radepth prepare street/tiny' again")
def missing_records(place):
    place.record_file("frames").unlink()
    return records(place)


@case(r"street/tiny: unreadable metadata .*; delete .* and run 'radepth prepare street/tiny' again")
def truncated_metadata(place):
    cut(next((place.inputs / "data").rglob("metadata.json")))
    return records(place)


@case(r"street/tiny: unreadable metadata .*; delete .* and run 'radepth prepare street/tiny' again")
def empty_features(place):
    next((place.inputs / "data").rglob("features.json")).write_text("")
    return records(place)


@case(r"street/tiny: record \d+ of 'test' .* cannot be read .*; prepare it again")
def truncated_records_to_evaluate_on(place):
    cut(place.record_file("test"))
    return evaluate(place)


# Checkpoints


@case(r"run/checkpoints/0: cannot be read as a checkpoint .*, nor can an older one")
def truncated_weights(place):
    cut(place.checkpoint_file("state/**/d/*"))
    return predict(place, place.shot(0))


@case(r"run/checkpoints/0: cannot be read .*\(its values are not those that were saved\)")
def a_damaged_weight(place):
    # In the middle of the largest file, which holds numbers there.
    flip(place.checkpoint_file("state/**/d/*"))
    return predict(place, place.shot(0))


@case(r"run/checkpoints/0: cannot be read as a checkpoint .*, nor can an older one")
def an_empty_config_in_a_checkpoint(place):
    place.checkpoint_file("config/*").write_text("")
    return ["export", f"--checkpoint={place.inputs / 'run'}", "--format=stablehlo",
            "--resolution=64x32", f"--output={place.out / 'depth'}"]  # fmt: skip


@case(r"run/checkpoints/0: cannot be read as a checkpoint .*, nor can an older one")
def a_checkpoint_without_its_state(place):
    shutil.rmtree(place.inputs / "run" / FOLDER / "0" / "state")
    return ["convert", "--input", place.inputs / "run", "--output", place.out, "--to=safetensors"]


@case(r"run/checkpoints: no checkpoint here; give a training run's --workdir")
def a_checkpoint_that_was_never_finished(place):
    folder = place.inputs / "run" / FOLDER
    (folder / "0").rename(folder / "0.orbax-checkpoint-tmp")
    return predict(place, place.shot(0))


@case(r"metric_scale.*json: cannot be read .*; delete it and measure again")
def a_scale_that_is_no_number(place):
    (place.inputs / "run" / FOLDER / "0" / "metric_scale.json").write_text("{}")
    return predict(place, place.shot(0))


@case(r"config\.py: no checkpoint here")
def a_file_as_a_checkpoint(place):
    return ["predict", f"--checkpoint={place.inputs / 'config.py'}", f"--output={place.out}",
            place.shot(0)]  # fmt: skip


# Settings


@case(r"config\.data\.batch_size: 0 cannot be split evenly over 8 devices; set it to 8")
def a_batch_of_none(place):
    return train(place, "--config.data.batch_size=0")


@case(r"config\.train\.log_every: expected a number from 1, got 0")
def logging_every_0_steps(place):
    return train(place, "--config.train.log_every=0")


@case(r"config\.data\.workers: expected a number from -1, got -2")
def minus_two_workers(place):
    return train(place, "--config.data.workers=-2")


@case(r"config\.seed: expected a number from 0 to 4294967295, got -1")
def a_negative_seed(place):
    return train(place, "--config.seed=-1")


@case(r"config\.optimizer\.learning_rate: expected a number from 0, got nan")
def a_learning_rate_of_nan(place):
    return train(place, "--config.optimizer.learning_rate=nan")


@case(r"views\.entries\.high\.scale: expected \(smallest, largest\), got \(2\.0, 1\.1\)")
def scales_the_wrong_way_round(place):
    return train(place, "--config.views.entries.high.scale=(2.0,1.1)")


@case(r"frame_offsets: expected distinct whole numbers or 's', the first of them 0, got")
def frame_offsets_without_the_target(place):
    return train(place, "--config.data.frame_offsets=(-1,1)")


@case(r"--config.*config\.py.*(invalid syntax|was never closed)")
def a_config_with_a_syntax_error(place):
    (place.inputs / "config.py").write_text("def get_config(:\n")
    return train(place)


@case(r"--config.*config\.py.*get_config")
def a_config_without_get_config(place):
    (place.inputs / "config.py").write_text("x = 1\n")
    return train(place)


@case(r"--config.*config\.py.*name 'nothing' is not defined")
def a_config_with_an_unknown_name(place):
    (place.inputs / "config.py").write_text("def get_config():\n    return nothing\n")
    return train(place)


@case(r"--config.*config\.py.*No module named 'nowhere'")
def a_config_with_an_unknown_module(place):
    (place.inputs / "config.py").write_text("import nowhere\n")
    return train(place)


# Files of PyTorch


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path):
        self.trace = str(trace)

    def __reduce__(self):
        return os.mkdir, (self.trace,)


@case(r"encoder\.pth: refused, because it holds more than weights \(posix\.mkdir\)")
def a_hostile_pth(place):
    torch = pytest.importorskip("torch", reason="needs the torch extra")
    (place.inputs / "torch").mkdir()
    torch.save({"a": Hostile(place.out / "it_ran")}, place.inputs / "torch/encoder.pth")
    return convert(place)


@case(r"encoder\.pth: (refused|not a readable PyTorch file)")
def a_hostile_pickle_of_no_torch(place):
    pytest.importorskip("torch", reason="needs the torch extra")
    (place.inputs / "torch").mkdir()
    content = pickle.dumps({"a": Hostile(place.out / "it_ran")})
    (place.inputs / "torch/encoder.pth").write_bytes(content)
    return convert(place)


@case(r"encoder\.pth: not a readable PyTorch file")
def an_empty_pth(place):
    pytest.importorskip("torch", reason="needs the torch extra")
    (place.inputs / "torch").mkdir()
    (place.inputs / "torch/encoder.pth").write_bytes(b"")
    return convert(place)


@case(r"encoder\.safetensors: not a readable safetensors file")
def truncated_safetensors(place):
    (place.inputs / "torch").mkdir()
    path = place.inputs / "torch/encoder.safetensors"
    safetensors.numpy.save_file({"a": np.zeros(100, np.float32)}, path)
    cut(path)
    return convert(place)


@case(r"torch: expected encoder\.pth, depth\.pth, .*; found none of them")
def a_folder_without_weights(place):
    (place.inputs / "torch").mkdir()
    return convert(place)


# Pictures to predict


@case(r"radepth predict: failed: .*0\.png", code=1)
def a_truncated_picture(place):
    cut(place.shot(0))
    return predict(place, place.shot(0))


@case(r"radepth predict: failed: .*0\.png", code=1)
def an_empty_picture(place):
    place.shot(0).write_bytes(b"")
    return predict(place, place.shot(0))


@case(r"radepth predict: failed: .*film\.mp4", code=1)
def a_text_file_as_a_video_to_predict(place):
    (place.inputs / "film.mp4").write_text("no video")
    return predict(place, place.inputs / "film.mp4")


@case(r"radepth predict: failed: .*picture\.npy", code=1)
def a_pickle_as_a_picture(place):
    np.save(place.inputs / "picture.npy", np.array([Hostile(place.out / "it_ran")], object))
    return predict(place, place.inputs / "picture.npy")


# The campaign


@pytest.fixture(scope="module")
def sound(reference_config, street_dir, tmp_path_factory):
    """Inputs before any damage."""
    inputs = tmp_path_factory.mktemp("sound") / "inputs"
    (inputs / "shots").mkdir(parents=True)
    for number in range(8):
        image = np.random.default_rng(number).integers(0, 256, (12, 16, 3), np.uint8)
        (inputs / f"shots/{number}.png").write_bytes(encode(image))
    write_drive(inputs / "kitti", "0001", range(4), scans=range(4))
    shutil.copytree(street_dir, inputs / "data")
    save_model(variables_of(init_state(reference_config, 1)), reference_config, inputs / "run")
    config = reference_config.to_json()
    (inputs / "config.py").write_text(
        "import json\nfrom ml_collections import ConfigDict\n\n\ndef get_config():\n"
        "    from radepth_jax.runs.migrations import from_json\n"
        f"    return from_json(json.loads({config!r}))\n"
    )
    return inputs


def digest(folder: Path) -> dict[str, str]:
    """Relative path -> what is there."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_one_clear_line(name, sound, tmp_path, radepth, monkeypatch):
    monkeypatch.delitem(sys.modules, "config_config", raising=False)  # an earlier config file
    damage, expected, wanted = CASES[name]
    place = Place(inputs=tmp_path / "inputs", out=tmp_path / "out")
    shutil.copytree(sound, place.inputs)
    place.out.mkdir()
    arguments = damage(place)
    before = digest(place.inputs)
    code, out, err = radepth(*arguments)
    assert code == wanted, err
    assert re.search(expected, err, re.DOTALL), err
    assert "Traceback" not in out + err
    if wanted == 2:
        assert err.strip().startswith(f"radepth {arguments[0]}: error: "), err
        assert len(err.strip().splitlines()) == 1, err
        made = {path.name for path in place.out.rglob("*") if path.is_file()}
        assert all(name in (".lock", "metrics.jsonl") or "tfevents" in name for name in made), made
    assert digest(place.inputs) == before
    assert not (place.out / "it_ran").exists()


def test_the_campaign_has_forty_cases():
    assert len(CASES) >= 40


def test_after_the_repair_the_same_command_works(sound, tmp_path, radepth):
    place = Place(inputs=tmp_path / "inputs", out=tmp_path / "out")
    shutil.copytree(sound / "shots", place.inputs / "shots")
    for number in range(8):
        cut(place.shot(number))
    assert radepth(*video(place))[0] == 2
    shutil.copytree(sound / "shots", place.inputs / "shots", dirs_exist_ok=True)
    code, _, err = radepth(*video(place))
    assert code == 0, err
    assert "8 frames up to 16x12" in err
