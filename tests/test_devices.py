"""What is chosen by the machine."""

import os

import jax
import pytest

from radepth_jax.devices import loader_workers


@pytest.mark.parametrize(
    ("backend", "cores", "samples", "expected"),
    [("gpu", 16, 12, 12), ("gpu", 4, 12, 3), ("gpu", 1, 12, 0), ("cpu", 16, 12, 0)],
)
def test_workers_leave_a_core_to_the_step(monkeypatch, backend, cores, samples, expected):
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert loader_workers(samples) == expected
