"""The images that recalibrate norms."""

import numpy as np
import pytest

from radepth_jax.data import TrainingSource, open_or_prepare
from radepth_jax.training.calibration import NUMBER, calibration_images


@pytest.mark.parametrize(("offset", "first"), [(-1, 1), (1, 0)])
def test_targets_and_pairs_in_temporal_order(micro_config, tmp_path, offset, first):
    dataset = open_or_prepare(micro_config.data, tmp_path)
    source = TrainingSource(dataset, "train", (0, offset))
    images = calibration_images(source, (64, 32))
    number = min(NUMBER, len(source))
    assert images["depth"].shape == (number, 32, 64, 3)
    assert images["pose"].shape == (number, 32, 64, 6)
    halves = images["pose"][..., :3], images["pose"][..., 3:]
    np.testing.assert_array_equal(halves[first], images["depth"])
    assert np.abs(halves[1 - first] - images["depth"]).max() > 0
    # In [0, 1], as the frames are in [0, 255].
    frames = np.stack([source[i]["frames"][0] for i in range(len(source))]) / 255
    assert abs(float(images["depth"].mean()) - frames.mean()) < 0.05
    again = calibration_images(source, (64, 32))
    np.testing.assert_array_equal(images["depth"], again["depth"])
