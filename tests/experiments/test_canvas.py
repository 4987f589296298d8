"""Pictures of another resolution keep their ground truth."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "experiments"))

import canvas


def test_pictures_are_reduced_and_the_ground_truth_is_not():
    rows, columns = np.mgrid[:32, :96]
    image = np.stack([8 * rows, 2 * columns, 0 * rows], -1).astype(np.uint8)
    padded = np.pad(image, ((0, 16), (0, 32), (0, 0)), mode="edge")
    depth = np.ones((48, 128), np.float32)
    sample = {"image": padded, "size": np.array([32, 96], np.int32), "depth": depth, "name": "a"}
    reduced = canvas.Reduced([sample], (24, 8))
    assert len(reduced) == 1
    found = reduced[0]
    assert (found["name"], found["size"].tolist()) == ("a", [8, 24])
    assert found["depth"] is depth
    assert found["image"].dtype == np.uint8
    inside = (slice(1, -1), slice(1, -1))
    mean = image.reshape(8, 4, 24, 4, 3).mean((1, 3))
    np.testing.assert_allclose(found["image"][inside], mean[inside], atol=1.5)
