import importlib.metadata

import numpy as np
import pytest

from radepth_jax.predict import Predictor


def test_it_says_what_a_bug_report_needs(radepth):
    code, out, err = radepth("doctor")
    assert (code, err) == (0, "")
    facts = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert facts["jax"] == importlib.metadata.version("jax")
    assert facts["orbax-checkpoint"] == importlib.metadata.version("orbax-checkpoint")
    assert "cpu:0" in facts["devices"]
    assert "first depth              right" in out
    assert "MISSING" not in out


def test_a_network_that_answers_nonsense_is_a_failure(radepth, monkeypatch):
    monkeypatch.setattr(Predictor, "__call__", lambda self, image: np.full(image.shape[:2], np.nan))
    code, out, _ = radepth("doctor")
    assert code == 1
    assert "NOT FINITE" in out


@pytest.mark.parametrize("argument", ["now", "--fast"])
def test_it_takes_no_arguments(radepth, argument):
    code, _, err = radepth("doctor", argument)
    assert code == 2
    assert err.count("\n") == 1
