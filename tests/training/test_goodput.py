import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radepth_jax.training.goodput import SaveClock, best_interval, interval


def test_a_costly_checkpoint_is_said_once_with_what_would_be_cheap():
    said = []
    clock = SaveClock(said.append)
    for step in (10, 20, 30):
        time.sleep(0.1)
        clock.time(step, lambda: time.sleep(0.05))
    (line,) = said
    found = re.search(r"0\.0\d s every 10 steps, (\d+)% .*checkpoint_every=(\d+) would", line)
    assert 20 < int(found[1]) < 50
    assert 250 < int(found[2]) < 900  # about 0.05 s a save and 0.01 s a step


def test_a_cheap_checkpoint_is_not_worth_a_word():
    said = []
    clock = SaveClock(said.append)
    for step in (10, 20):
        time.sleep(0.2)
        clock.time(step, lambda: None)
    assert said == []


@given(st.floats(1e-3, 10), st.floats(1e-3, 10))
def test_the_interval_costs_its_share(save, step):
    steps = interval(save, step)
    assert save / (save + steps * step) <= 0.01 + 1e-9
    assert steps == 1 or save / (save + (steps - 1) * step) > 0.01 - 1e-9


@given(st.floats(0.01, 10), st.floats(100, 1e5))
def test_the_best_interval_loses_least(save, between):
    def lost(seconds):
        return save / seconds + seconds / 2 / between

    best = best_interval(save, between)
    assert lost(best) <= min(lost(best * 0.9), lost(best * 1.1))
    assert best == pytest.approx((2 * save * between) ** 0.5)
