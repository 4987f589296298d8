"""The published tables' scripts: variants, sharing, resuming, and the networks' complexity."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.models import presets
from radepth_jax.runs.checkpoint import FOLDER
from radepth_jax.runs.config import check_config

FOLDER_OF_SCRIPTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module", autouse=True)
def scripts():
    """The scripts import each other as they do when run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(FOLDER_OF_SCRIPTS)
        yield


@pytest.mark.parametrize(
    ("name", "gmacs", "published_parameters"),
    # ../shared/TARGETS.md: measured on the published networks.
    [
        ("ra_depth", 10.66, 9.979e6),
        ("diffnet", 11.84, 10.869e6),
        ("hr_depth", 11.22, 14.614e6),
        ("monodepth2", 8.01, 14.842e6),
    ],
)
def test_complexity_is_that_of_the_published_networks(name, gmacs, published_parameters):
    import complexity

    row = complexity.measure(name, (640, 192), batch=1, repeats=0)
    np.testing.assert_allclose(row["macs"] / 1e9, gmacs, rtol=0.02)
    np.testing.assert_allclose(row["published_parameters"], published_parameters, atol=600)


def test_metrics_are_written_as_published_tables_do():
    import runner

    values = (0.1, 10.466, 20.0, 0.0604, 0.999, 1.0, 0.5)
    written = runner.seven(dict(zip(METRICS, values, strict=True)))
    assert written == ".100 10.466 20.000 .060 .999 1.000 .500"


def test_every_variant_has_a_config_of_both_sizes():
    import variants

    for name in variants.VARIANTS:
        for size in ("small", "full"):
            config = variants.configure(
                name, size=size, dataset="street/full", data_dir="data", steps=100, seed=1
            )
            check_config(config)
            assert config.seed == 1
            assert models.build(config.model).depth.stride <= 32
    with pytest.raises(UserError, match="nothing: no such variant; expected one of monodepth2"):
        variants.configure("nothing", size="full", dataset="", data_dir="", steps=1, seed=0)


def test_runs_share_resume_and_are_not_repeated(street_dir, tmp_path, monkeypatch):
    import runner
    import variants

    sizes = ((64, 32),)
    monkeypatch.setitem(variants.RESOLUTIONS, "small", sizes)
    monkeypatch.setattr(variants, "TRAINED_AT", 0)
    monkeypatch.setattr(runner, "TRAINED_AT", 0)
    monkeypatch.setattr(runner, "dataset_name", lambda options: "street/tiny")
    monkeypatch.setattr(runner, "command", lambda: "python experiments/test.py")
    monkeypatch.setitem(presets._TINY_HRNET, "width", 4)
    monkeypatch.setitem(presets._TINY_HRNET, "stem_width", 4)
    configure = runner.configure

    def one_sample_a_device(*args, **kwargs):
        config = configure(*args, **kwargs)
        config.data.batch_size = config.evaluate.batch_size = jax.local_device_count()
        return config

    monkeypatch.setattr(runner, "configure", one_sample_a_device)
    arguments = ["--budget=2", "--seeds=3", f"--data_dir={street_dir}", f"--workdir={tmp_path}"]
    options = runner.parse("a test", "test", [*arguments, f"--output={tmp_path / 'table'}"])

    results = runner.run_variants(("ra_depth", "dual_hrnet"), options)
    plain, full = (tmp_path / f"{n}_M_2_seed3" for n in ("dual_hrnet", "ra_depth"))
    # The full method went on from the other's first step: it logged only the second.
    first_half = [json.loads(line) for line in (full / "metrics.jsonl").read_text().splitlines()]
    assert {record["step"] for record in first_half} == {2}
    checkpoints = [
        {path.name for path in (run / FOLDER).iterdir() if path.name.isdigit()}
        for run in (plain, full)
    ]
    assert checkpoints == [{"1", "2"}, {"1", "2"}]
    for rows in results.values():
        assert [row["resolution"] for row in rows[0]] == ["64x32"]
        assert all(0 < row["abs_rel"] < 10 for row in rows[0])

    def train_again(*_):
        raise AssertionError("a finished run was trained again")

    monkeypatch.setattr(runner, "train", train_again)
    assert runner.run_variants(("ra_depth", "dual_hrnet"), options) == results

    runner.write(options, "A test", results, "| table |")
    record = json.loads((tmp_path / "table.json").read_text())
    assert record["results"] == results
    assert record["seeds"] == [3]
    text = (tmp_path / "table.md").read_text()
    assert "| table |" in text
    assert f"Commit {record['machine']['commit']}" in text
