"""The evaluation of real images, against the published protocol in plain NumPy, image by image."""

import jax
import numpy as np
import pytest
from published_protocol import bilinear, numpy_metrics, velodyne_depth

from radepth_jax import models
from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.evaluation.metrics import METRICS, depth_metrics
from radepth_jax.inference.disparity import network_input
from radepth_jax.runs.protocol import Protocol
from radepth_jax.runs.saved_model import Model

EIGEN = Protocol(min_depth=1e-3, max_depth=80.0, crop="garg")


@pytest.fixture(scope="module")
def truths(shared_data):
    """The ten depth maps, straight from the scans."""
    date = shared_data / "kitti_raw" / "2011_09_26"
    scans = sorted((date / "2011_09_26_drive_0002_sync" / "velodyne_points" / "data").iterdir())
    assert len(scans) == 10
    return [velodyne_depth(date, scan, 2).astype(np.float32) for scan in scans]  # as exported


def test_a_networks_metrics_on_real_images(kitti_dir, truths, reference_config):
    """From the network's output on: resizing, scaling, cropping, the cap and all metrics."""
    source = EvaluationSource(open_dataset("kitti_raw", kitti_dir), "test")
    networks = models.build(reference_config.model)
    variables = models.init_variables(networks, jax.random.key(3), (64, 32))
    # Random weights see a flat wall; larger ones in the last layers make relief.
    variables["depth"]["params"]["decoder"] = jax.tree.map(
        lambda w: 2 * w, variables["depth"]["params"]["decoder"]
    )
    # One image a call, as below: in another batch size convolutions may round otherwise.
    (row,) = evaluate(
        Model("relief", networks, variables, reference_config), source, [(64, 32)],
        protocol=EIGEN, batch_size=1,
        devices=jax.devices()[:1], show=range(len(source)),
    )  # fmt: skip

    @jax.jit
    def network_output(image, size):
        inputs = network_input(image, size, (64, 32))[None]
        return networks.depth.apply(variables["depth"], inputs)[0][0, ..., 0]

    assert row.images == len(truths)
    for i, truth in enumerate(truths):
        sample = source[i]
        disparity = np.asarray(network_output(sample["image"], sample["size"]), np.float64)
        assert disparity.std() > 0.02 * disparity.mean()
        # 0.1..100 m: the range that disparities stand for.
        predicted = 1 / (0.01 + 9.99 * bilinear(disparity, truth.shape))
        np.testing.assert_allclose(row.depths[i], predicted, rtol=1e-5)
        of_same_depth = numpy_metrics(row.depths[i], truth, EIGEN)
        of_network = numpy_metrics(predicted, truth, EIGEN)
        for name in METRICS:
            got = row.per_image[name][i]
            assert got == pytest.approx(of_same_depth[name], rel=1e-5, abs=1e-5), (name, i)
            # The deltas count: a pixel at a threshold falls to either side by its last digit.
            one_pixel = 1.01 / row.per_image["pixels"][i] if name in ("d1", "d2", "d3") else 0
            assert got == pytest.approx(of_network[name], rel=1e-5, abs=1e-5 + one_pixel), (name, i)


@pytest.mark.parametrize("crop", ["garg", "none"])
def test_metrics_of_good_predictions_on_real_scans(truths, crop):
    """Where errors are small and the thresholds matter."""
    protocol = Protocol(crop=crop)
    compiled = jax.jit(depth_metrics, static_argnums=3)
    rng = np.random.default_rng(0)
    for truth in truths:
        noise = np.exp(bilinear(rng.normal(0, 0.25, (12, 40)), truth.shape))
        predicted = (np.where(truth > 0, truth, 20) * noise / 5.4).astype(np.float32)
        got = compiled(predicted, truth, np.array(truth.shape), protocol)
        expected = numpy_metrics(predicted, truth, protocol)
        assert 0.1 < expected["abs_rel"] < 0.4
        for name in METRICS:
            assert got[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-5), name
