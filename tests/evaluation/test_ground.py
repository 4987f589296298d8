"""The camera's height from depth alone: exact on planes, close on the rendered street."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation.compare import ground_scale
from radepth_jax.geometry.ground import ground_height

compiled = jax.jit(ground_height)
scale_of = jax.jit(ground_scale, static_argnames="camera_height")


def plane(height, pitch=0.0, size=(48, 128), canvas=(56, 128)):
    """Depth of flat ground `height` below a camera pitched down by `pitch`, a wall above it."""
    K = np.array([[100.0, 0, 63.5], [0, 100.0, 20.0], [0, 0, 1]], np.float32)
    v = np.arange(canvas[0])[:, None] + np.zeros((1, canvas[1]))
    ray = (v - K[1, 2]) / K[1, 1]
    down = ray * np.cos(pitch) + np.sin(pitch)  # of the ray with z = 1, along gravity
    depth = np.where(down > 0.05, height / np.maximum(down, 0.05), 30.0)
    depth[size[0] :] = 7.0
    return depth.astype(np.float32), K, np.array(size, np.int32)


@pytest.mark.parametrize("pitch", [0.0, 0.03, -0.03])
def test_the_height_over_a_plane_is_exact(pitch):
    height, pixels = compiled(*plane(1.65, pitch))
    assert height == pytest.approx(1.65, rel=1e-3)
    assert pixels > 2000


def test_walls_ceilings_and_steep_ground_are_not_ground():
    depth, K, size = plane(1.65)
    wall = np.full_like(depth, 12.0)
    assert np.isnan(compiled(wall, K, size)[0])
    assert np.isnan(compiled(*plane(1.65, pitch=0.2))[0])  # 11 degrees
    ceiling = depth[: size[0]][::-1]
    upside_down = K.copy()
    upside_down[1, 2] = size[0] - 1 - K[1, 2]
    height, pixels = compiled(np.pad(ceiling, ((0, 8), (0, 0))), upside_down, size)
    assert np.isnan(height)
    assert pixels == 0


def test_unknown_depth_and_the_canvas_do_not_count():
    depth, K, size = plane(1.65)
    depth[:, 40:60] = 0
    depth[30:, 100] = 0
    height, pixels = compiled(depth, K, size)
    assert height == pytest.approx(1.65, rel=1e-3)
    full = compiled(*plane(1.65))[1]
    assert pixels < full - 20 * 20


def test_scaled_exact_street_depth_finds_its_metres(street_dir):
    """The camera is 1.65 m up, give or take its suspension's 15 mm."""
    source = EvaluationSource(open_dataset("street/tiny", street_dir), "train")
    rng = np.random.default_rng(0)
    for i in range(len(source)):
        sample = source[i]
        unit = float(np.exp(rng.uniform(-3, 3)))
        scale = scale_of(
            sample["depth"] / unit, sample["intrinsics"], sample["size"], camera_height=1.65
        )
        assert scale == pytest.approx(unit, rel=0.02), sample["name"]


def test_it_runs_under_vmap():
    depth, K, size = plane(1.65)
    height, _ = jax.vmap(ground_height)(
        jnp.stack([depth, 2 * depth]), jnp.stack([K, K]), jnp.stack([size, size])
    )
    np.testing.assert_allclose(height, [1.65, 3.3], rtol=1e-3)
