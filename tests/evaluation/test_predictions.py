"""Depth maps of other programs, on the rendered street."""

import contextlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.errors import UserError
from radepth_jax.evaluation.loop import evaluate_method
from radepth_jax.evaluation.predictions import find_predictions, folder_method, read_prediction
from radepth_jax.runs.protocol import Protocol

NAMES = ["2011_09_26_drive_0002_sync/2/0000000069", "2011_09_26_drive_0002_sync/2/0000000070"]


@pytest.fixture(scope="module")
def source(street_dir):
    return EvaluationSource(open_dataset("street/tiny", street_dir), "test")


def evaluate_predictions(folder: Path, source, **options):
    (row,) = evaluate_method(folder_method(folder, source, **options), source)
    return row


def write_pfm(path: Path, values: np.ndarray, order: str = "<") -> None:
    h, w = values.shape
    scale = "-1.0" if order == "<" else "1.0"
    body = np.ascontiguousarray(values[::-1]).astype(f"{order}f4").tobytes()
    path.write_bytes(f"Pf\n{w} {h}\n{scale}\n".encode() + body)


def write_all(folder: Path, source, kind: str, function=lambda depth: depth) -> Path:
    """A perfect program's output, through `function`."""
    folder.mkdir()
    for i in range(len(source)):
        sample = source[i]
        h, w = sample["depth_size"]
        depth = sample["depth"][:h, :w]
        values = function(np.where(depth > 0, depth, 50))
        path = folder / f"{sample['name'].replace('/', '_')}{kind}"
        if kind == ".npy":
            np.save(path, values)
        elif kind == ".pfm":
            write_pfm(path, values)
        else:
            Image.fromarray(np.round(values * 256).astype(np.uint16)).save(path)
    return folder


@pytest.mark.parametrize(("kind", "error"), [(".npy", 1e-6), (".pfm", 1e-6), (".png", 2e-3)])
def test_the_truth_itself_has_no_error(source, tmp_path, kind, error):
    folder = write_all(tmp_path / "maps", source, kind)
    row = evaluate_predictions(folder, source, protocol=Protocol(scaling="none"))
    assert row.metrics["abs_rel"] < error
    assert row.metrics["d1"] == 1
    assert row.images == len(source)


def test_scale_and_disparity_are_what_is_said(source, tmp_path):
    folder = write_all(tmp_path / "half", source, ".npy", lambda depth: depth / 2)
    none = evaluate_predictions(folder, source, protocol=Protocol(scaling="none"))
    assert none.metrics["abs_rel"] == pytest.approx(0.5, abs=1e-5)
    times = evaluate_predictions(folder, source, protocol=Protocol(scaling="none"), factor=2.0)
    median = evaluate_predictions(folder, source, protocol=Protocol())
    assert max(times.metrics["abs_rel"], median.metrics["abs_rel"]) < 1e-6
    assert median.scale == pytest.approx(2, rel=1e-5)
    folder = write_all(tmp_path / "inverse", source, ".npy", lambda depth: 1 / depth)
    inverse = evaluate_predictions(
        folder, source, protocol=Protocol(scaling="none"), kind="disparity"
    )
    assert inverse.metrics["abs_rel"] < 1e-6


def test_maps_of_another_size_are_resized(source, tmp_path):
    folder = write_all(tmp_path / "large", source, ".npy", lambda d: d.repeat(2, 0).repeat(2, 1))
    row = evaluate_predictions(folder, source, protocol=Protocol(scaling="none"))
    assert row.metrics["abs_rel"] < 0.05


@pytest.mark.parametrize(
    "files",
    [
        ["2011_09_26_drive_0002_sync_2_0000000069.npy", "2011_09_26_drive_0002_sync_2_70.npy"],
        [
            "2011_09_26_drive_0002_sync/2/0000000069_depth.png",
            "2011_09_26_drive_0002_sync/2/70.pfm",
        ],
        ["2011_09_26_drive_0002_sync/0000000069.npy", "2011_09_26_drive_0002_sync/0000000070.npy"],
        ["0000000069.npy", "70.npy", "71.npy"],
        ["000.png", "001.png"],
    ],
)
def test_files_are_found_by_name_or_by_order(tmp_path, files):
    for file in [*files, "._69.npy"]:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    assert find_predictions(tmp_path, NAMES) == [tmp_path / file for file in files[:2]]


def test_what_is_no_depth_map_is_named(tmp_path, source):
    (tmp_path / "a.npy").write_text("no numbers")
    np.save(tmp_path / "b.npy", np.zeros((2, 3, 4)))
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "c.png")
    (tmp_path / "d.pfm").write_bytes(b"PF\n2 2\n-1\n" + bytes(48))
    (tmp_path / "e.pfm").write_bytes(b"Pf\n2 2\n-1\n" + bytes(8))
    (tmp_path / "f.npy").touch()
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(UserError, match=rf"{path.name}: not a depth map") as error:
            read_prediction(path)
        assert "\n" not in str(error.value)
    with pytest.raises(UserError, match=r"6 depth maps \(a, b, \.\.\.\) for 2 images; expected"):
        find_predictions(tmp_path, NAMES)
    with pytest.raises(UserError, match="no such folder"):
        find_predictions(tmp_path / "nowhere", NAMES)
    folder = write_all(tmp_path / "holes", source, ".npy", lambda d: np.where(d < 20, 0, d))
    with pytest.raises(UserError, match=r"no value at \d+ of the \d+ pixels with ground truth"):
        evaluate_predictions(folder, source, protocol=Protocol())
    with pytest.raises(UserError, match="--scaling median or none, not ground"):
        evaluate_predictions(folder, source, protocol=Protocol(scaling="ground"))


@pytest.mark.parametrize(
    "function", [lambda d: d.T, lambda d: d.T[::2, ::2], lambda d: np.rot90(d)[::2]]
)
def test_maps_that_lie_on_their_side_are_not_stretched(source, tmp_path, function):
    folder = write_all(tmp_path / "maps", source, ".npy", function)
    with pytest.raises(UserError, match=r"\.npy: \d+x\d+, but its image is 96x32: the map lies on"):
        evaluate_predictions(folder, source, protocol=Protocol())


def test_a_pfm_of_either_byte_order_is_the_right_way_up(tmp_path):
    values = np.random.default_rng(0).uniform(1, 9, (5, 7)).astype(np.float32)
    for order in "<>":
        write_pfm(tmp_path / "a.pfm", values, order)
        np.testing.assert_array_equal(read_prediction(tmp_path / "a.pfm"), values)


@pytest.mark.parametrize("name", ["Z", "Y", "left.depth", "RGB", "any"])
def test_an_exr_files_channel_of_depth_is_read(tmp_path, monkeypatch, name):
    """By OpenEXR's own interface, of which this stands in for what is used."""
    values = np.random.default_rng(0).uniform(1, 9, (5, 7)).astype(np.float16)
    pixels = np.stack([values] * 3, -1) if name == "RGB" else values
    channels = {name: SimpleNamespace(pixels=pixels)}
    if name in ("Z", "left.depth"):
        channels["A"] = SimpleNamespace(pixels=0 * values)

    class File(contextlib.AbstractContextManager):
        def __init__(self, path):
            assert path.endswith("a.exr")

        def channels(self):
            return channels

        def __exit__(self, *_):
            return None

    monkeypatch.setitem(sys.modules, "OpenEXR", SimpleNamespace(File=File))
    np.testing.assert_array_equal(read_prediction(tmp_path / "a.exr"), values.astype(np.float32))


def test_exr_files_name_the_extra_that_reads_them(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(UserError, match=r"needs OpenEXR: pip install .*\[exr\]"):
        read_prediction(tmp_path / "a.exr")


def test_the_command_needs_no_checkpoint(radepth, street_dir, source, tmp_path):
    folder = write_all(tmp_path / "theirs", source, ".png")
    out = tmp_path / "out"
    where = ["--dataset=street/tiny", f"--data_dir={street_dir}", f"--output={out}"]
    code, text, err = radepth("evaluate", f"--predictions=Their net={folder}", *where)
    assert code == 0, err
    assert "Their net" in text
    (row,) = json.loads((out / "results.json").read_text())
    assert (row["model"], row["resolution"]) == ("Their net", "as given")
    assert row["abs_rel"] < 2e-3
    assert (out / "errors.png").exists()
    code, _, err = radepth("evaluate", f"--predictions={folder}")
    assert code == 2
    assert "expected --checkpoint DIR, or --predictions DIR or --onnx FILE with" in err
