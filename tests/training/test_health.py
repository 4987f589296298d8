"""Collapse is reported, and nothing else is. The figures are of runs on the rendered street."""

import pytest

from radepth_jax.training.health import CollapseDetector, lost_camera


def watch(variations, automasked=0.4, **options):
    detector = CollapseDetector(**options)
    return [detector.update(variation, automasked) for variation in variations]


def test_a_healthy_run_is_left_alone():
    # From the flat start of an untrained network to the variation of a learned street.
    grows = [0.03] * 100 + [0.03 + 0.0005 * i for i in range(1000)]
    assert set(watch(grows)) == {None}


def test_a_fall_is_reported_once_the_average_has_followed():
    # Consistency at full weight from a young network, as measured: 0.65, then 0.1 and below.
    messages = watch([0.65] * 300 + [0.1] * 200)
    assert messages[:300] == [None] * 300
    first = next(i for i, message in enumerate(messages) if message)
    assert 330 < first < 480
    assert "has fallen from 0.65" in messages[-1]
    assert "ramps.consistency" in messages[-1]


@pytest.mark.parametrize(
    ("variation", "automasked", "sign"),
    [(0.001, 0.4, "varies by only 0.001"), (0.5, 0.99, "99.0% of the pixels are auto-masked")],
)
def test_a_run_that_never_leaves_its_start_is_reported_after_a_while(variation, automasked, sign):
    messages = watch([variation] * 520, automasked)
    assert messages[:499] == [None] * 499
    assert sign in messages[-1]


def test_one_bad_step_is_no_collapse():
    assert set(watch([0.5] * 100 + [0.0] + [0.5] * 100)) == {None}


def test_a_field_of_view_that_runs_away_is_reported():
    assert [lost_camera(focal) for focal in (0.3, 0.58, 1.2, 4.0)] == [None] * 4
    assert "has come to 157 degrees" in lost_camera(0.1)
    assert "start again from a narrower config.pose.learned_fov" in lost_camera(0.1)
    assert lost_camera(20.0)
