"""The pictures of `report.html`: their order, their colours and their size."""

import base64
import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.evaluation.page_pictures import make_cards, mean_abs_rel, steps_of
from radepth_jax.evaluation.row import Row, pictured_rows

TRUTH = np.linspace(5, 50, 64 * 160, dtype=np.float32).reshape(64, 160)


def make_source(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "image": rng.integers(0, 255, (64, 160, 3), np.uint8),
            "size": np.array((64, 160)),
            "depth": TRUTH,
            "depth_size": np.array((64, 160)),
            "name": str(i),
        }
        for i in range(count)
    ]


def make_row(errors, resolution="64x32", model="m", depth=TRUTH / 2):
    errors = np.asarray(errors, float)
    known = np.isfinite(errors)
    per_image = {name: errors for name in METRICS}
    per_image |= {"scale": np.where(known, 2.0, np.nan), "pixels": known * 9}
    depths = {i: depth for i in range(len(errors))}
    return Row(model, resolution, {}, int(known.sum()), per_image=per_image, depths=depths)


def picture(uri):
    kind, _, data = uri.partition(",")
    assert kind == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"), int)


def test_the_worst_come_first_and_those_without_truth_last():
    rows = [make_row([0.1, np.nan, 0.5, 0.2]), make_row([0.3, np.nan, 0.1, 0.3], "96x32")]
    np.testing.assert_allclose(mean_abs_rel(rows), [0.2, np.nan, 0.3, 0.25])
    cards = make_cards(rows, make_source(4))
    assert [card.name for card in cards] == ["2", "3", "0", "1"]
    assert [(card.rank, card.ranked) for card in cards] == [(1, 3), (2, 3), (3, 3), (0, 3)]
    assert cards[-1].truth == ""
    assert np.isnan(cards[-1].models[0][1][0].abs_rel)


def test_a_right_prediction_looks_like_the_truth_and_a_wrong_one_does_not():
    rows = [make_row([0.1]), make_row([0.9], "96x32", depth=TRUTH[::-1, ::-1] / 2)]
    (card,) = make_cards(rows, make_source(1))
    right, wrong = (picture(one.uri) for one in card.models[0][1])
    truth = picture(card.truth)
    assert np.abs(right - truth).mean() < 3
    assert np.abs(wrong - truth).mean() > 30


def test_pictures_shrink_to_what_fits_and_then_the_last_images_go():
    source, rows = make_source(6), [make_row(np.linspace(0.6, 0.1, 6))]
    whole = make_cards(rows, source)
    assert whole[0].size == (160, 64)  # never enlarged
    total = sum(card.bytes for card in whole)
    small = make_cards(rows, source, max_bytes=total - 1)
    assert len(small) == 6
    assert small[0].size == (128, 51)
    assert picture(small[0].photo).shape == (51, 128, 3)
    few = make_cards(rows, source, max_bytes=small[0].bytes * 3)
    assert 1 <= len(few) < 6
    assert [card.name for card in few] == ["0", "1", "2"][: len(few)]
    assert sum(card.bytes for card in few) <= small[0].bytes * 3


@pytest.mark.parametrize("depths", [{}, {1: TRUTH}])
def test_only_images_that_every_row_shows_are_there(depths):
    rows = [make_row([0.1, 0.2]), make_row([0.1, 0.2], "96x32")]
    rows[1] = replace(rows[1], depths=depths)
    cards = make_cards(pictured_rows(rows), make_source(2))
    assert [card.name for card in cards] == (["1"] if depths else ["1", "0"])


def test_steps_go_up_and_native_comes_after_its_equal():
    rows = [
        Row("m", "native", {}, 1, width=96),
        Row("m", "128x64", {}, 1),
        Row("m", "96x32", {}, 1),
        Row("n", "96x32", {}, 1),
    ]
    assert [name for name, _ in steps_of(rows)] == ["96x32", "native", "128x64"]
