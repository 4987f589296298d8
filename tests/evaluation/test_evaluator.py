"""Evaluation at several resolutions, its yardsticks and its reports."""

import csv
import dataclasses
import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from radepth_jax import models
from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation import evaluator, priors, report
from radepth_jax.evaluation.loop import evaluate_method
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.row import Row, UnusablePredictionError
from radepth_jax.runs.protocol import Protocol
from radepth_jax.runs.saved_model import Model


@pytest.fixture
def source(street_dir):
    return EvaluationSource(open_dataset("street/tiny", street_dir), "test")


@pytest.fixture
def model(micro_config):
    networks = models.build(micro_config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    return Model("untrained", networks, variables, micro_config)


class Mixed:
    """Eleven images of the training split, every second one a smaller part of its frame."""

    def __init__(self, street_dir):
        self.source = EvaluationSource(open_dataset("street/tiny", street_dir), "train")

    def __len__(self):
        return 11

    def __getitem__(self, i):
        sample = self.source[i]
        if i % 2:
            h, w = sample["size"] - (2 * i, 3 * i)
            pad = ((0, 32 - h), (0, 96 - w))
            sample["image"] = np.pad(sample["image"][:h, :w], (*pad, (0, 0)), mode="edge")
            sample["depth"] = np.pad(sample["depth"][:h, :w], pad)
            sample["size"] = sample["depth_size"] = np.array((h, w), np.int32)
        return sample


def test_device_count_and_ragged_batches_change_nothing(model, street_dir):
    source = Mixed(street_dir)

    def per_image(batch_size, devices):
        (row,) = evaluator.evaluate(
            model, source, [(64, 32)], protocol=Protocol(),
            batch_size=batch_size, devices=jax.devices()[:devices],
        )  # fmt: skip
        assert row.images == len(source) == len(row.names)
        assert row.metrics["abs_rel"] == pytest.approx(row.per_image["abs_rel"].mean())
        return np.stack([row.per_image[name] for name in METRICS])

    alone = per_image(1, 1)
    assert len(np.unique(alone[0])) == len(source)
    np.testing.assert_allclose(per_image(4, 1), alone, rtol=2e-5)  # 4 + 4 + 3
    np.testing.assert_allclose(per_image(8, 8), alone, rtol=2e-5)  # 8 + 3


class Brightness:
    """In place of a depth network: brightness, but `value` at one pixel of the images above."""

    stride = 1

    def __init__(self, above, value):
        self.above, self.value = above, value

    def apply(self, variables, images, train):
        del variables, train
        bright = (images.mean((1, 2, 3)) > self.above)[:, None, None, None]
        pixel = np.zeros((1, *images.shape[1:3], 1), bool)
        pixel[:, 20, 30] = True
        return (jnp.where(bright & pixel, self.value, 0.1 + images[..., 1:2] / 2),)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize(("flip", "scaling"), [(False, "ground"), (True, "none")])
def test_an_image_without_a_finite_prediction_cannot_better_the_mean(
    model, street_dir, value, flip, scaling
):
    source = EvaluationSource(open_dataset("street/tiny", street_dir), "train")
    brightness = [source[i]["image"].mean() / 255 for i in range(len(source))]
    last = np.argsort(brightness)[-1]
    networks = model.networks._replace(depth=Brightness(np.sort(brightness)[-2:].mean(), value))
    with pytest.raises(UnusablePredictionError) as error:
        evaluator.evaluate(
            dataclasses.replace(model, networks=networks), source, [(96, 32)], flip=flip,
            protocol=Protocol(scaling=scaling), devices=jax.devices()[:2],
        )  # fmt: skip
    assert "untrained at 96x32: the predicted depth is NaN or infinite" in str(error.value)
    assert f"in 1 of {len(source)} images" in str(error.value)
    assert f"({source.name(last)})" in str(error.value)


def test_one_trace_serves_a_resolution(model, street_dir, monkeypatch):
    """Whatever the batches, the images' sizes, and the checkpoints of one architecture."""
    real, traces = evaluator.predict_disparity, []
    limited = {
        r: chex.assert_max_traces(n=1)(lambda *args, resolution=r: traces.append(resolution))
        for r in [(64, 32), (96, 32), None]
    }

    def counted(*args, resolution, **kwargs):
        limited[resolution]()  # raises at a second trace
        return real(*args, resolution=resolution, **kwargs)

    evaluator.compiled_step.cache_clear()
    monkeypatch.setattr(evaluator, "predict_disparity", counted)
    variables = jax.tree.map(lambda x: x * 1.01, model.variables)
    other = dataclasses.replace(model, variables=variables)
    rows = [
        evaluator.evaluate(
            m, Mixed(street_dir), [(64, 32), (96, 32), None], protocol=Protocol(), batch_size=8
        )
        for m in (model, other)
    ]  # fmt: skip
    evaluator.compiled_step.cache_clear()
    assert traces == [(64, 32), (96, 32), None]
    assert [row.resolution for row in rows[0]] == ["64x32", "96x32", "native"]
    assert rows[0][2].width == 96
    assert rows[0][0].metrics != rows[1][0].metrics
    # Whole frames are 96x32: there, native is that resolution.
    native, same = (row.per_image["abs_rel"][::2] for row in (rows[0][2], rows[0][1]))
    np.testing.assert_allclose(native, same, rtol=1e-4)


def test_a_given_factor_is_what_depth_is_multiplied_by(model, source):
    (row,) = evaluator.evaluate(
        model, source, [(64, 32)], protocol=Protocol(scaling="none"),
        factor=3.0, show=[0, 2],
    )  # fmt: skip
    assert sorted(row.depths) == [0, 2]
    for i, depth in row.depths.items():
        truth = source[i]["depth"]
        known = (truth > 1e-3) & (truth < 80)
        error = np.abs(np.clip(3 * depth, 1e-3, 80) - truth)[known] / truth[known]
        assert row.per_image["abs_rel"][i] == pytest.approx(error.mean(), rel=1e-5)
        ratio = np.median(truth[known]) / np.median(depth[known])
        assert row.per_image["median_ratio"][i] == pytest.approx(ratio, rel=1e-5)
    assert set(row.per_image["scale"]) == {3.0}
    ratios = row.per_image["median_ratio"]
    assert row.scale_spread == pytest.approx(np.std(ratios / np.median(ratios)))


def test_the_row_prior_is_each_rows_median(street_dir):
    train = EvaluationSource(open_dataset("street/tiny", street_dir), "train")
    prior = priors.row_prior(train, Protocol())
    depths = np.stack([train[i]["depth"] for i in range(len(train))])
    row = depths.shape[1] - 3
    values = depths[:, row][(depths[:, row] > 1e-3) & (depths[:, row] < 80)]
    assert prior[row, 0] == pytest.approx(np.median(values))
    assert (prior == prior[:, :1]).all()
    assert (prior > 0).all()


def test_a_constant_map_is_judged_on_every_image(source):
    class Two:
        def __len__(self):
            return 2

        def __getitem__(self, i):
            return source[i] | {"depth": np.float32(1 + i) * source[0]["depth"]}

    depth = np.where(source[0]["depth"] > 0, source[0]["depth"], 1)
    protocol = Protocol(max_depth=1e4)
    method = priors.constant_method(depth, protocol=protocol, model="x")
    (row,) = evaluate_method(method, Two())
    assert row.images == 2
    assert row.metrics["abs_rel"] == pytest.approx(0, abs=1e-6)  # both up to scale
    fixed = Protocol(max_depth=1e4, scaling="none")
    (row,) = evaluate_method(priors.constant_method(depth, protocol=fixed, model="x"), Two())
    assert row.metrics["abs_rel"] == pytest.approx((0 + 0.5) / 2, abs=1e-6)


def test_reports_hold_what_was_measured(tmp_path, capsys):
    rows = [
        Row("ours", "64x32", dict.fromkeys(METRICS, 0.25), 3, 10.0),
        Row("ours", "96x32", dict.fromkeys(METRICS, 0.5), 3, 5.0),
        Row("row prior", "native", dict.fromkeys(METRICS, 0.75), 3),
    ]
    report.print_table(rows, "title")
    assert "0.250" in capsys.readouterr().out
    table, data, plot = report.write_report(rows, tmp_path / "out", about={"split": "test"})
    records = list(csv.DictReader(table.read_text().splitlines()))
    assert [(r["model"], r["resolution"], float(r["abs_rel"])) for r in records] == [
        ("ours", "64x32", 0.25),
        ("ours", "96x32", 0.5),
        ("row prior", "native", 0.75),
    ]
    assert {r["split"] for r in records} == {"test"}
    assert json.loads(data.read_text())[2]["images"] == 3
    with Image.open(plot) as picture:
        assert picture.size[0] > 100


def test_the_depth_of_the_worst_images_is_kept(model, street_dir):
    source = Mixed(street_dir)

    def evaluate(**options):
        return evaluator.evaluate(
            model, source, [(64, 32), (96, 32)], protocol=Protocol(), batch_size=4,
            devices=jax.devices()[:1], **options,
        )  # fmt: skip

    rows = evaluate(show=[0], show_worst=3)
    order = np.argsort(-np.mean([row.per_image["abs_rel"] for row in rows], axis=0))
    worst = [i for i in order if i != 0][:3]
    assert all(set(row.depths) == {0, *worst} for row in rows)
    everything = evaluate(show=range(len(source)))
    for row, full in zip(rows, everything, strict=True):
        for i, depth in row.depths.items():
            np.testing.assert_allclose(depth, full.depths[i], rtol=1e-5)
