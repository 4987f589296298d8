"""The errors on moving cars and on all else are told apart, and holes are counted."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import moving_objects


def test_moving_pixels_and_others_have_their_own_errors():
    truth = np.full((4, 10), 10.0, np.float32)
    truth[0] = 0.0  # the sky, which counts for nothing
    moving = np.zeros((4, 10), bool)
    moving[1, :4] = True
    predicted = np.full((4, 10), 5.0, np.float32)  # a factor of 2 is made good by the median
    predicted[1, 0] = 15.0  # a hole: three times too far
    predicted[1, 1] = 2.5  # half as far
    predicted[2, 0] = 6.0  # 20 % too far, and nothing moves there
    frame = moving_objects.Frame(np.zeros((4, 10, 3), np.uint8), truth, moving)
    found = moving_objects.measure(predicted[None], [frame])
    assert found == pytest.approx(
        {
            "moving": (2.0 + 0.5) / 4,
            "signed": (2.0 - 0.5) / 4,
            "holes": 1 / 4,
            "static": 0.2 / 26,
            "share": 4 / 30,
        }
    )


def test_a_picture_loses_detail_and_keeps_its_size():
    columns = np.arange(96) % 4 < 2
    fine = np.broadcast_to(255 * columns[None, :, None], (32, 96, 3)).astype(np.uint8)
    reduced = moving_objects.with_detail_of(fine, (24, 8))
    assert reduced.shape == fine.shape
    assert np.std(reduced) < 0.2 * np.std(fine)
    np.testing.assert_array_equal(moving_objects.with_detail_of(fine, (96, 32)), fine)


def test_no_car_moves_in_a_parked_training_world():
    def speeds(world):
        return [solid.motion.speed for solid in world.solids if solid.motion]

    seeds = [(0, split, index) for split in (0, 2) for index in range(12)]
    before = {seed: speeds(moving_objects.make_world(seed, 12)) for seed in seeds}
    assert any(speed > 0 for seed in seeds for speed in before[seed] if not seed[1])
    for seed, had in before.items():
        wanted = had if seed[1] else [0.0 for speed in had if speed < 0]
        assert speeds(moving_objects.parked_world(seed, 12)) == wanted
