"""`radepth evaluate` as a user runs it: several checkpoints, every file, and clear refusals."""

import csv
import io
import json
import sys

import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax.cli.evaluate import protocol_from
from radepth_jax.cli.evaluate_options import make_parser
from radepth_jax.data import EvaluationSource
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.row import make_row
from radepth_jax.runs.saved_model import load_model, save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture(scope="module")
def runs(reference_config, tmp_path_factory):
    """Two checkpoints of random networks."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, name in enumerate(("one", "two")):
        config = reference_config.copy_and_resolve_references()
        config.seed = seed
        save_model(variables_of(init_state(config, 1)), config, folder / name)
    return folder


def records(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_two_checkpoints_make_one_table_and_every_file(radepth, runs, tmp_path):
    out = tmp_path / "out"
    code, text, err = radepth(
        "evaluate", f"--checkpoint={runs / 'one'},second={runs / 'two'}",
        "--resolutions=64x32,native", "--row_prior", "--flip", f"--output={out}",
    )  # fmt: skip
    assert code == 0, err
    assert all(word in text for word in ("one", "second", "native", "row prior", "±"))
    table = json.loads((out / "results.json").read_text())
    assert [(r["model"], r["resolution"]) for r in table] == [
        ("one", "64x32"),
        ("one", "native"),
        ("second", "64x32"),
        ("second", "native"),
        ("row prior", "native"),
    ]
    assert table[0]["abs_rel_low"] <= table[0]["abs_rel"] <= table[0]["abs_rel_high"]
    assert (table[0]["dataset"], table[0]["split"], table[0]["flip"]) == (
        "street/tiny",
        "test",
        True,
    )
    assert float(records(out / "results.csv")[2]["abs_rel"]) == table[2]["abs_rel"]
    images = records(out / "per_image.csv")
    assert len(images) == 5 * 3
    own = [float(r["abs_rel"]) for r in images if r["model"] == "second"][:3]
    assert np.mean(own) == pytest.approx(table[2]["abs_rel"], rel=1e-6)
    assert images[0]["image"].startswith("test_000/2/")
    for name, lines in (("depth.png", 2 + 4), ("errors.png", 1 + 4)):
        with Image.open(out / name) as sheet:
            assert sheet.height == lines * 130 - 2  # 128 pixels a line, 2 between them
    assert str(out / "resolutions.png") in text
    page = (out / "report.html").read_text("utf-8")
    assert 1_000_000 < len(page) < 5_000_000
    assert f"second={runs / 'two'} --resolutions=64x32,native --row_prior --flip" in page
    for alt in ("Depth of test_000/2/", "by second at native"):
        assert alt in page
    assert str(out / "report.html") in text


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_files_are_written_whatever_the_terminal_can_show(
    radepth, runs, tmp_path, monkeypatch, encoding
):
    screen = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", screen)
    name = "Übung 界"
    out = tmp_path / name
    code, _, err = radepth("evaluate", f"--checkpoint={name}={runs / 'one'}", f"--output={out}")
    assert code == 0, err
    assert json.loads((out / "results.json").read_text())[0]["model"] == name
    screen.flush()
    text = screen.buffer.getvalue().decode(encoding)
    assert ("±" in text) == (encoding == "utf-8")
    assert ("界" in text) == (encoding == "utf-8")
    assert "results.json" in text


def test_images_without_ground_truth_are_counted(radepth, runs, monkeypatch):
    read = EvaluationSource.__getitem__

    def without_the_first(source, i):
        sample = read(source, i)
        return sample | {"depth": sample["depth"] * (i > 0)}

    monkeypatch.setattr(EvaluationSource, "__getitem__", without_the_first)
    code, text, err = radepth("evaluate", f"--checkpoint={runs / 'one'}")
    assert code == 0, err
    assert "no ground truth in range in 1 of 3 images; they are left out of every row" in text


def test_every_row_is_over_the_same_images(radepth, runs, monkeypatch, tmp_path):
    """The second network shows no ground in the third image, which is hard for the first one."""

    def evaluate(model, source, resolutions, **_):
        errors = np.array([0.1, 0.2, 0.9 if model.name == "one" else np.nan])
        per_image = dict.fromkeys((*METRICS, "scale", "median_ratio"), errors)
        per_image |= {"known": np.full(3, 9), "pixels": np.where(np.isnan(errors), 0, 9)}
        per_image |= dict.fromkeys(("not_finite", "not_positive"), np.zeros(3, int))
        names = [source.name(i) for i in range(3)]
        depths = {i: np.ones((32, 96), np.float32) for i in range(3)}
        return [make_row(model.name, "64x32", "ground", names, per_image, depths=depths)]

    monkeypatch.setattr("radepth_jax.evaluation.loop.evaluate_method", evaluate)
    code, text, err = radepth(
        "evaluate", f"--checkpoint={runs / 'one'},{runs / 'two'}", f"--output={tmp_path}"
    )
    assert code == 0, err
    table = json.loads((tmp_path / "results.json").read_text())
    assert [row["images"] for row in table] == [2, 2]
    assert table[0]["abs_rel"] == table[1]["abs_rel"] == pytest.approx(0.15)
    assert "two (ground) at 64x32: no ground plane in 1 of 3 images; they are left out of" in text
    assert "one (ground) at" not in text


def test_a_measured_scale_is_stored_and_used(radepth, runs, tmp_path):
    one = runs / "one"
    code, _, err = radepth("evaluate", f"--checkpoint={one}", "--scaling=fixed")
    assert code == 2
    assert f"radepth evaluate --checkpoint {one} --store_scale --split validation" in err
    code, text, _ = radepth(
        "evaluate", f"--checkpoint={one}", "--store_scale", "--split=validation"
    )
    assert code == 0
    scale = load_model(one).metric_scale
    assert f"{scale:.4g} metres per unit" in text

    def evaluate(*options):
        out = tmp_path / "-".join(options)
        assert radepth("evaluate", f"--checkpoint={one}", f"--output={out}", *options)[0] == 0
        return json.loads((out / "results.json").read_text())[0], records(out / "per_image.csv")

    median, images = evaluate("--split=validation")
    assert scale == pytest.approx(np.median([float(r["median_ratio"]) for r in images]))
    fixed, images = evaluate("--scaling=fixed")
    assert [float(r["scale"]) for r in images] == pytest.approx([scale] * 3)
    given, _ = evaluate("--scaling=none", f"--scale_factor={scale}")
    assert fixed["abs_rel"] == pytest.approx(given["abs_rel"], rel=1e-6)
    assert fixed["abs_rel"] != pytest.approx(median["abs_rel"], rel=1e-4)


def test_the_range_and_the_crop_are_the_options(radepth, runs, tmp_path):
    def pixels(*options):
        radepth("evaluate", f"--checkpoint={runs / 'one'}", f"--output={tmp_path}", *options)
        return [int(r["pixels"]) for r in records(tmp_path / "per_image.csv")]

    whole = pixels()
    assert all(a < b for a, b in zip(pixels("--max_depth=20"), whole, strict=True))
    assert all(a < b for a, b in zip(pixels("--crop=garg"), whole, strict=True))


def test_options_go_before_the_data_sets_protocol_and_that_before_the_config(runs):
    model = load_model(runs / "one")
    options = make_parser().parse_args(["--checkpoint=x", "--min_depth=0.5"])
    protocol = protocol_from(model.config, {"min_depth": 0.1, "max_depth": 10.0}, options)
    assert (protocol.min_depth, protocol.max_depth, protocol.crop) == (0.5, 10.0, "none")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--crop=eigen"], ["crop: expected one of none, garg, nyu", "'eigen'"]),
        (["--resolutions=70x32"], ["70x32", "multiples of 16", "64x32"]),
        (["--resolutions=64x32,64"], ["--resolutions: expected WIDTHxHEIGHT", "'64'"]),
        (
            ["--scaling=none", "--min_depth=90"],
            ["min_depth: expected less than", "max_depth, 80.0, got 90.0"],
        ),
        (["--scale_factor=2"], ["--scale_factor goes with --scaling none"]),
        (["--scaling=none", "--scale_factor=nan"], ["--scale_factor: expected a positive number"]),
        (["--scaling=none", "--scale_factor=-5"], ["--scale_factor: expected a positive number"]),
        (["--scaling=ground", "--camera_height=0"], ["--camera_height: expected a positive"]),
        (["--confidence=95"], ["--confidence: expected a share such as 0.95"]),
        (["--store_scale", "--resolutions=64x32,96x32"], ["--store_scale: expected one"]),
        (["--split=night"], ["no split 'night'"]),
        (["--dataset=kitti_raw"], ["kitti_raw is not prepared"]),
    ],
)
def test_what_cannot_be_used_is_named(radepth, runs, options, expected):
    code, _, err = radepth("evaluate", f"--checkpoint={runs / 'one'}", *options)
    assert code == 2
    assert all(text in err for text in expected), err
    assert len(err.strip().splitlines()) == 1


def test_checkpoints_of_different_data_need_a_dataset(radepth, runs, reference_config, tmp_path):
    config = reference_config.copy_and_resolve_references()
    variables = jax.tree.map(np.asarray, load_model(runs / "one").variables)
    config.data.name = "video/mine"
    save_model(variables, config, tmp_path / "other")
    code, _, err = radepth(
        "evaluate", f"--checkpoint={runs / 'one'}", f"--checkpoint={tmp_path / 'other'}"
    )
    assert code == 2
    assert "trained on street/tiny, video/mine; name the one to evaluate on" in err


def test_no_ground_plane_is_an_error_not_a_number(radepth, runs):
    """A network of random weights sees a wall."""
    code, _, err = radepth("evaluate", f"--checkpoint={runs / 'one'}", "--scaling=ground")
    assert code == 2
    assert "no ground plane was found" in err


def test_an_exported_network_has_the_checkpoints_figures(radepth, runs, tmp_path):
    pytest.importorskip("onnxruntime", reason="needs the onnx extra")
    code, text, err = radepth(
        "export", f"--checkpoint={runs / 'one'}", "--format=onnx", "--resolution=any",
        f"--output={tmp_path / 'one.onnx'}",
    )  # fmt: skip
    assert code == 0, err
    assert "any multiple of" in text
    options = f"--checkpoint={runs / 'one'}", "--resolutions=64x32,96x64"
    out = tmp_path / "out"
    code, text, err = radepth(
        "evaluate", *options, f"--onnx=file={tmp_path / 'one.onnx'}", f"--output={out}"
    )
    assert code == 0, err
    table = json.loads((out / "results.json").read_text())
    ours, files = table[:2], table[2:]
    assert [row["model"] for row in files] == ["file", "file"]
    for mine, other in zip(ours, files, strict=True):
        assert mine["resolution"] == other["resolution"]
        for metric in ("abs_rel", "rmse", "d1"):
            assert other[metric] == pytest.approx(mine[metric], rel=1e-3)
    assert "file" in (out / "report.html").read_text()


def test_nothing_is_evaluated_before_all_can_be(radepth, runs, monkeypatch, tmp_path):
    monkeypatch.setattr("radepth_jax.evaluation.loop.evaluate_method", None)
    for option, expected in (
        (f"--predictions=theirs={tmp_path / 'nowhere'}", "nowhere: no such folder"),
        (f"--onnx={tmp_path / 'no.onnx'}", "no.onnx: no such file"),
    ):
        code, _, err = radepth("evaluate", f"--checkpoint={runs / 'one'}", option)
        assert code == 2
        assert expected in err
