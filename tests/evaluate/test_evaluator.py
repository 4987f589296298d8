"""Evaluation at several resolutions, its yardsticks and its reports."""

import csv
import json

import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax import models
from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluate import evaluator, priors, report
from radepth_jax.evaluate.metrics import METRICS, Protocol


@pytest.fixture
def source(street_dir):
    return EvaluationSource(open_dataset("street/tiny", street_dir), "test")


@pytest.fixture
def network(micro_config):
    networks = models.build(micro_config.model)
    return networks, models.init_variables(networks, jax.random.key(0), (64, 32))


def test_a_ragged_last_batch_changes_nothing(network, source):
    networks, variables = network
    kwargs = {"protocol": Protocol(), "resolutions": [(64, 32)]}
    one = evaluator.evaluate(variables, networks, source, batch_size=1, **kwargs)
    assert len(source) % 2 == 1
    two = evaluator.evaluate(variables, networks, source, batch_size=2, **kwargs)
    assert one[0].images == two[0].images == len(source)
    assert one[0].metrics == pytest.approx(two[0].metrics, rel=1e-5)


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
    row = priors.evaluate_constant(depth, Two(), protocol=Protocol(max_depth=1e4), model="x")
    assert row.images == 2
    assert row.metrics["abs_rel"] == pytest.approx(0, abs=1e-6)  # both up to scale
    fixed = Protocol(max_depth=1e4, median_scaling=False)
    row = priors.evaluate_constant(depth, Two(), protocol=fixed, model="x")
    assert row.metrics["abs_rel"] == pytest.approx((0 + 0.5) / 2, abs=1e-6)


def test_reports_hold_what_was_measured(tmp_path, capsys):
    rows = [
        evaluator.Row("ours", "64x32", dict.fromkeys(METRICS, 0.25), 3, 10.0),
        evaluator.Row("ours", "96x32", dict.fromkeys(METRICS, 0.5), 3, 5.0),
        evaluator.Row("row prior", "native", dict.fromkeys(METRICS, 0.75), 3),
    ]
    report.print_table(rows, "title")
    assert "0.250" in capsys.readouterr().out
    table, data, plot = report.write_report(rows, tmp_path / "out")
    records = list(csv.DictReader(table.read_text().splitlines()))
    assert [(r["model"], r["resolution"], float(r["abs_rel"])) for r in records] == [
        ("ours", "64x32", 0.25),
        ("ours", "96x32", 0.5),
        ("row prior", "native", 0.75),
    ]
    assert json.loads(data.read_text())[2]["images"] == 3
    with Image.open(plot) as picture:
        assert picture.size[0] > 100
