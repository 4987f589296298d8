"""Edges of small depth maps, counted by hand, and what must not change a figure."""

import csv
import json
from functools import partial

import hypothesis.extra.numpy as hnp
import jax
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation.edges import DENSE, EDGE_METRICS, RATIOS, THIN, edge_metrics
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.report import edge_note, intervals
from radepth_jax.evaluation.row import make_row
from radepth_jax.runs.protocol import Protocol
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of

PROTOCOL = Protocol()
compiled = jax.jit(edge_metrics, static_argnums=3)
# No ratio of two of these is near a threshold, whatever both are multiplied by.
DEPTHS = (2.0, 2.2, 3.0, 3.5, 7.0, 20.0)


def measure(predicted, truth, protocol=PROTOCOL):
    """`edge_metrics` as floats. Maps are on one of two canvases, to compile for these alone."""
    predicted, truth = np.asarray(predicted), np.asarray(truth)
    canvas = (20, 20) if max(truth.shape) <= 20 else (60, 60)
    given = np.full(canvas, 3, np.float32), np.zeros(canvas, np.float32)
    for padded, values in zip(given, (predicted, truth), strict=True):
        padded[: values.shape[0], : values.shape[1]] = values
    found = compiled(*given, np.array(truth.shape, np.int32), protocol)
    return {name: float(value) for name, value in found.items()}


def rows(*depths, height=4):
    """A map whose rows are all the same."""
    return np.tile(np.array(depths, np.float32), (height, 1))


def maps(**options):
    """Depth maps [6, 9]."""
    return hnp.arrays(np.float32, (6, 9), elements=st.sampled_from(DEPTHS), **options)


def test_the_thresholds_are_ten_from_five_to_25_percent():
    assert len(RATIOS) == 10
    assert RATIOS[0] == pytest.approx(1.05)
    assert RATIOS[-1] == pytest.approx(1.25)
    np.testing.assert_allclose(np.diff(RATIOS), 0.2 / 9)


def test_pairs_are_counted_by_hand():
    """Of the truth's two edges a row one is found, and two are found that are not there."""
    truth = rows(10, 10, 5, 5, 5, 10, 10, 10)
    predicted = rows(10, 10, 5, 5, 5, 5, 10, 5)  # the second edge is late, and one is too many
    found = measure(predicted, truth)
    assert found["edge_precision"] == pytest.approx(1 / 3)
    assert found["edge_recall"] == pytest.approx(1 / 2)
    assert found["edge_f1"] == pytest.approx(2 / 5)
    assert found["dense"]


def test_the_direction_counts():
    """An edge at the right place whose other side is the nearer one is not found."""
    truth, predicted = rows(10, 10, 5, 5), rows(5, 5, 10, 10)
    for turn in (np.asarray, np.transpose):
        found = measure(turn(predicted), turn(truth))
        assert (found["edge_precision"], found["edge_recall"], found["edge_f1"]) == (0, 0, 0)


def test_thresholds_are_weighted_by_their_ratio():
    """The truth's edge of 50 % is at all thresholds, and the predicted one of 12 % at four."""
    found = measure(rows(11.2, 11.2, 10, 10), rows(15, 15, 10, 10))
    ratios = 1 + np.linspace(5, 25, 10) / 100
    share = ratios[:4].sum() / ratios.sum()  # 5, 7.2, 9.4 and 11.7 %
    for name in ("edge_precision", "edge_recall", "edge_f1"):
        assert found[name] == pytest.approx(share, rel=1e-5), name


def test_a_threshold_without_a_true_edge_is_left_out():
    """An edge of 12 % is at four thresholds. What is predicted at the others does not matter."""
    truth = rows(11.2, 11.2, 10, 10)
    assert measure(rows(15, 15, 10, 10), truth)["edge_f1"] == pytest.approx(1)
    flat = rows(10, 10, 10, 10)
    found = measure(truth, flat)
    assert found["dense"]
    assert all(np.isnan(found[name]) for name in EDGE_METRICS)
    assert measure(flat, truth)["edge_f1"] == measure(flat, truth)["edge_precision"] == 0


def test_sparse_truth_has_no_figure():
    rng = np.random.default_rng(0)
    truth = np.where(rng.random((40, 60)) < 0.2, rng.choice(DEPTHS, (40, 60)), 0)
    found = measure(np.ones_like(truth), truth)
    assert not found["dense"]
    assert all(np.isnan(found[name]) for name in EDGE_METRICS)
    lines = np.zeros((40, 60), np.float32)
    lines[::4] = rng.choice(DEPTHS, (10, 60))  # a scan's lines: neighbours along rows alone
    assert not measure(lines + 1, lines)["dense"]
    assert not measure(lines.T + 1, lines.T)["dense"]


def test_the_share_of_known_neighbours_decides():
    """The border of the image needs no neighbour beyond it."""
    truth = rows(*[3.0] * 10, height=10)
    assert measure(truth, truth)["dense"]
    holes = truth.copy()
    holes[:, 1] = 0  # 80 known pixels have a place to their right, and 70 of them a neighbour
    assert 70 / 80 > DENSE > 60 / 80
    assert measure(truth, holes)["dense"]
    holes[:, 3] = 0
    assert not measure(truth, holes)["dense"]


def test_thin_structures_are_runs_of_a_few_nearer_pixels():
    """A pole counts, and neither a wall does nor a gap between walls."""
    for width in range(1, THIN + 2):
        truth = rows(*[10] * 4, *[5] * width, *[10] * 4)
        got = measure(truth, truth)["thin_recall"]
        assert got == 1 if width <= THIN else np.isnan(got)
    assert np.isnan(measure(rows(5, 5, 10, 10, 5, 5), rows(5, 5, 10, 10, 5, 5))["thin_recall"])
    step = rows(10, 10, 7, 6, 10, 10)  # begins at the steeper of its two steps
    assert measure(step, step)["thin_recall"] == 1
    assert measure(rows(10, 10, 7, 7, 10, 10), step)["thin_recall"] == 1
    assert measure(rows(10, 10, 10, 7, 10, 10), step)["thin_recall"] == pytest.approx(1 / 2)
    hole = rows(10, 10, 5, 5, 5, 10, 10, height=20)
    hole[0, 3] = 0  # what is unknown makes it no structure, so that of row 0 cannot be missed
    missing = hole.copy()
    missing[0] = 10
    assert measure(missing, hole)["thin_recall"] == 1
    short = rows(10, 5, 10)
    assert measure(short, short)["thin_recall"] == 1


def test_only_the_steepest_of_edges_in_a_row_finds_a_thin_structure():
    """Ratios of 2 and 1.5 follow one another. The true edge is where the smaller one is."""
    truth = rows(30, 30, 10, 10, 30, 30, 30)
    blurred = rows(30, 15, 10, 10, 15, 30, 30)
    found = measure(blurred, truth)
    assert found["edge_recall"] == 1
    assert found["edge_precision"] == pytest.approx(1 / 2)
    assert found["thin_recall"] == 0
    sharper = rows(30, 25, 10, 10, 25, 30, 30)  # now the steepest is at its place
    assert measure(sharper, truth)["thin_recall"] == 1


def test_the_border_to_the_sky_and_beyond_the_range_does_not_count():
    truth = rows(10, 10, 10, 5, 5, 5, 90, 0)
    predicted = rows(10, 10, 10, 5, 5, 5, 1, 80)
    assert measure(predicted, truth, protocol=Protocol(max_depth=80))["edge_f1"] == 1
    farther = measure(predicted, truth, protocol=Protocol(max_depth=100))
    assert farther["edge_f1"] == pytest.approx(1 / 2)  # 90 is known now, and the sky is not


@given(maps())
def test_the_truth_finds_its_own_edges(truth):
    found = measure(truth, truth)
    assume(not np.isnan(found["edge_f1"]))
    for name in ("edge_precision", "edge_recall", "edge_f1"):
        assert found[name] == pytest.approx(1), name


@given(maps(), maps(), st.sampled_from([0.01, 0.3, 1.7, 40.0]))
def test_no_scale_changes_a_figure(truth, predicted, scale):
    expected = measure(predicted, truth)
    assert measure(np.float32(scale) * predicted, truth) == pytest.approx(expected, nan_ok=True)
    wide = Protocol(min_depth=1e-6, max_depth=1e6)
    scaled = measure(predicted, np.float32(scale) * truth, protocol=wide)
    assert scaled == pytest.approx(expected, nan_ok=True)


@given(maps(), maps())
def test_no_mirror_changes_a_figure(truth, predicted):
    expected = measure(predicted, truth)
    sides = measure(predicted[:, ::-1], truth[:, ::-1])
    assert sides == pytest.approx(expected, nan_ok=True)
    heights = measure(predicted[::-1], truth[::-1])
    assert heights == pytest.approx(expected, nan_ok=True)
    turned = measure(predicted.T, truth.T)  # thin structures alone lie along rows
    del turned["thin_recall"], expected["thin_recall"]
    assert turned == pytest.approx(expected, nan_ok=True)


@given(maps(), maps(), st.data())
def test_what_is_predicted_where_the_truth_is_unknown_does_not_matter(truth, predicted, data):
    holes = data.draw(hnp.arrays(bool, truth.shape, elements=st.booleans()))
    assume(holes.mean() < 0.15)
    truth = np.where(holes, 0, truth)
    expected = measure(predicted, truth)
    for value in (1e-3, 1e3, 0, np.nan):
        found = measure(np.where(holes, value, predicted), truth)
        assert found == pytest.approx(expected, nan_ok=True)


@given(maps(), st.integers(0, 5), st.integers(0, 8))
def test_an_unknown_pixel_is_no_edge(truth, row, column):
    """A pixel that becomes unknown takes its edges away, and its neighbours have no new ones."""
    assume(not np.isnan(measure(truth, truth)["edge_f1"]))
    holes = truth.copy()
    holes[row, column] = 0
    found = measure(truth, holes)
    assume(found["dense"] and not np.isnan(found["edge_f1"]))
    assert found["edge_precision"] == found["edge_recall"] == pytest.approx(1)


def blur(depth):
    """The mean of every pixel and its eight neighbours."""
    padded = np.pad(depth, 1, mode="edge")
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).mean((2, 3))


def test_a_blurred_prediction_finds_fewer_edges():
    rng = np.random.default_rng(1)
    truth = np.kron(rng.choice(DEPTHS, (5, 12)), np.ones((8, 4)))  # blocks of 4 by 8 pixels
    truth[3:-3, 2::12] = 1.2  # poles of one pixel
    assert all(measure(truth, truth)[name] == pytest.approx(1) for name in EDGE_METRICS)
    for blurred in (blur(truth), blur(blur(truth))):
        assert all(measure(blurred, truth)[name] < 0.8 for name in EDGE_METRICS)


def test_a_batch_is_its_images():
    rng = np.random.default_rng(2)
    truth, predicted = rng.choice(DEPTHS, (2, 3, 20, 20)).astype(np.float32)
    sizes = np.full((3, 2), 20, np.int32)
    together = jax.jit(jax.vmap(partial(edge_metrics, protocol=PROTOCOL)))(predicted, truth, sizes)
    for i in range(3):
        alone = measure(predicted[i], truth[i])
        assert {k: float(v[i]) for k, v in together.items()} == pytest.approx(alone, nan_ok=True)


def evaluate(radepth, *options, out):
    """`radepth evaluate --edges` -> its output, `results.json` and `per_image.csv`."""
    code, text, err = radepth("evaluate", *options, "--edges", f"--output={out}")
    assert code == 0, err
    images = list(csv.DictReader((out / "per_image.csv").read_text().splitlines()))
    return text, json.loads((out / "results.json").read_text()), images


def test_the_command_measures_all_methods(radepth, reference_config, street_dir, tmp_path):
    """A network, the truth in files, the truth in files of half the size, and the prior."""
    save_model(variables_of(init_state(reference_config, 1)), reference_config, tmp_path / "net")
    source = EvaluationSource(open_dataset("street/tiny", street_dir), "test")
    for name, step in (("exact", 1), ("half", 2)):
        (tmp_path / name).mkdir()
        for i in range(len(source)):
            depth = np.where(source[i]["depth"] > 0, source[i]["depth"], 79)[::step, ::step]
            np.save(tmp_path / name / f"{source[i]['name'].replace('/', '_')}.npy", depth)
    out = tmp_path / "out"
    text, table, images = evaluate(
        radepth, f"--checkpoint={tmp_path / 'net'}", f"--predictions={tmp_path / 'exact'}",
        f"--predictions={tmp_path / 'half'}", "--row_prior", out=out,
    )  # fmt: skip
    assert [row["model"] for row in table] == ["net", "exact", "half", "row prior"]
    net, exact, half, prior = table
    for name in ("edge_precision", "edge_recall", "edge_f1"):
        assert exact[name] == pytest.approx(1)
        assert exact[name] > half[name] > prior[name] >= 0
        assert 0 <= net[f"{name}_low"] <= net[name] <= net[f"{name}_high"] <= 1
        assert name in text
    assert exact["thin_recall"] == pytest.approx(1)
    assert prior["thin_recall"] == 0  # it is constant along each row
    assert "edges: over the 3 of 3 images whose ground truth is dense" in text
    own = [float(image["edge_f1"]) for image in images if image["model"] == "half"]
    assert np.mean(own) == pytest.approx(half["edge_f1"])
    page = (out / "report.html").read_text("utf-8")
    assert all(word in page for word in (">Edge F1<", "Recall of thin structures", "over the 3 of"))


def test_sparse_truth_is_said_to_have_no_edges(radepth, street_dir, tmp_path, monkeypatch):
    read = EvaluationSource.__getitem__

    def every_third(source, i):
        sample = read(source, i)
        kept = np.arange(sample["depth"].shape[1]) % 3 == 0
        return sample | {"depth": sample["depth"] * kept}

    source = EvaluationSource(open_dataset("street/tiny", street_dir), "test")
    for i in range(len(source)):
        np.save(tmp_path / f"{source[i]['name'].replace('/', '_')}.npy", source[i]["depth"] + 1)
    monkeypatch.setattr(EvaluationSource, "__getitem__", every_third)
    text, table, images = evaluate(
        radepth, f"--predictions=x={tmp_path}", "--dataset=street/tiny",
        f"--data_dir={street_dir}", out=tmp_path / "out",
    )  # fmt: skip
    assert "edges: not measured, because the ground truth is sparse" in text
    assert not {*table[0], *images[0]} & set(EDGE_METRICS)
    assert table[0]["abs_rel"] > 0
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "not measured, because the ground truth is sparse" in page
    assert ">Edge F1<" not in page


def test_edge_figures_are_averages_over_the_images_that_have_them():
    """Images 0 and 2 have edges, and image 2 alone has thin structures. Image 3 does not count."""
    nan = np.nan
    figures = {
        "edge_precision": [0.5, nan, 0.7, 0.9], "edge_recall": [0.1, nan, 0.3, 0.9],
        "edge_f1": [0.2, nan, 0.4, 0.9], "thin_recall": [nan, nan, 0.6, 0.9],
        "dense": [True, False, True, True], "pixels": [9, 9, 9, 0], "known": [9] * 4,
    }  # fmt: skip
    per_image = {name: np.array(values) for name, values in figures.items()}
    per_image |= dict.fromkeys((*METRICS, "scale", "median_ratio"), np.ones(4))
    per_image |= dict.fromkeys(("not_finite", "not_positive"), np.zeros(4, int))
    row = make_row("x", "64x32", "median", list("abcd"), per_image)
    assert row.metrics["edge_f1"] == pytest.approx(0.3)
    assert row.metrics["edge_precision"] == pytest.approx(0.6)
    assert row.metrics["thin_recall"] == pytest.approx(0.6)
    low, high = intervals(row, 0.95)["edge_f1"]
    assert (low, high) == pytest.approx((0.2, 0.4))
    assert edge_note([row]) == (
        "edges: over the 2 of 3 images whose ground truth is dense and has any; "
        "thin structures: over 1"
    )
