import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from radepth_jax.geometry import alignment, camera, sampling, se3

HEIGHT, WIDTH = 48, 96
K = jnp.array([[60.0, 0.0, 47.0], [0.0, 64.0, 24.5], [0.0, 0.0, 1.0]])
FACTORS = (4, 4, 2, 2, 1, 1, 1)


def smooth_noise(seed: int) -> jax.Array:
    """Colours [H, W, 3] with structure of 3 to 12 pixels, which alignment can follow."""
    rng = np.random.default_rng(seed)
    coarse = (jnp.array(rng.random((HEIGHT // n, WIDTH // n, 3)), jnp.float32) for n in (3, 6, 12))
    return sum(jax.image.resize(x, (HEIGHT, WIDTH, 3), "cubic") for x in coarse) / 3


def road_depth() -> jax.Array:
    """Depth [H, W, 1] of a ground plane below a wall, with a box that stands out."""
    rows = jnp.arange(HEIGHT)[:, None, None] * jnp.ones((1, WIDTH, 1))
    depth = jnp.minimum(60.0 / jnp.maximum(rows - 22, 1), 8.0)
    return depth.at[18:34, 60:76].set(2.0)


aligned = jax.jit(lambda *scene: alignment.align(*scene, factors=FACTORS))
warped = jax.jit(sampling.warp)


@given(
    seed=st.integers(0, 100),
    turn=st.tuples(*[st.floats(-0.02, 0.02)] * 3),
    move=st.tuples(*[st.floats(-0.1, 0.1)] * 3),
)
@settings(max_examples=20)
def test_finds_the_motion_that_made_the_target(seed, turn, move):
    source, depth = smooth_noise(seed), road_depth()
    truth = se3.transform_from_pose(jnp.array(turn), jnp.array(move))
    target = warped(source, depth, K, truth)
    found = aligned(target, source, depth, K, jnp.eye(4))
    np.testing.assert_allclose(found[:3, :3], truth[:3, :3], atol=2e-3)
    np.testing.assert_allclose(found[:3, 3], truth[:3, 3], atol=1e-2)


def test_stays_at_the_right_motion():
    source, depth = smooth_noise(0), road_depth()
    truth = se3.transform_from_pose(jnp.array([0.01, -0.01, 0.0]), jnp.array([0.0, 0.02, 0.08]))
    target = warped(source, depth, K, truth)
    np.testing.assert_allclose(aligned(target, source, depth, K, truth), truth, atol=2e-3)


def test_moving_objects_hardly_count():
    source, depth = smooth_noise(0), road_depth()
    truth = se3.transform_from_pose(jnp.zeros(3), jnp.array([0.0, 0.0, 0.1]))
    target = warped(source, depth, K, truth)
    target = target.at[10:40, 10:34].set(1 - target[10:40, 10:34])  # a sixth of the image
    found = aligned(target, source, depth, K, jnp.eye(4))
    np.testing.assert_allclose(found, truth, atol=2e-2)


def test_keeps_a_start_that_fits_better_than_what_it_finds():
    rng = np.random.default_rng(0)
    images = jnp.array(rng.random((2, HEIGHT, WIDTH, 3)), jnp.float32)
    depth = road_depth()
    # Far off, so that almost nothing is in both images; the way back is not to be found.
    start = se3.transform_from_pose(jnp.zeros(3), jnp.array([300.0, 0.0, 0.0]))
    np.testing.assert_array_equal(aligned(*images, depth, K, start), start)
    # The same image twice: standing still cannot be improved on.
    still = aligned(images[0], images[0], depth, K, jnp.eye(4))
    np.testing.assert_allclose(still, jnp.eye(4), atol=1e-6)


def test_without_structure_or_numbers_the_start_is_kept():
    grey, depth = jnp.full((HEIGHT, WIDTH, 3), 0.5), road_depth()
    start = se3.transform_from_pose(jnp.array([0.0, 0.01, 0.0]), jnp.array([0.0, 0.0, 0.1]))
    np.testing.assert_array_equal(aligned(grey, grey, depth, K, start), start)
    missing = jnp.full_like(depth, jnp.nan)
    np.testing.assert_array_equal(aligned(grey, grey, missing, K, start), start)


def test_slopes_are_the_derivative_of_the_projection():
    level = alignment._level(smooth_noise(3), smooth_noise(3), road_depth(), K, 1)
    points = camera.back_project(level.depth, K)[30, 40]

    def project(motion):
        moved = camera.transform_points(se3.transform_from_pose(motion[:3], motion[3:]), points)
        return camera.project(moved, K)

    moves = jax.jacfwd(project)(jnp.zeros(6))  # [2, 6]
    down, right = (slope[30, 40] for slope in jnp.gradient(level.target[..., 0]))
    expected = right * moves[0] + down * moves[1]
    np.testing.assert_allclose(alignment._slopes(level)[30, 40], expected, rtol=1e-4, atol=1e-6)


def test_no_gradient_flows_back():
    source, depth = smooth_noise(0), road_depth()
    target = warped(source, depth, K, jnp.eye(4))

    def total(depth, start):
        return alignment.align(target, source, depth, K, start, factors=(4, 2)).sum()

    for gradient in jax.grad(total, argnums=(0, 1))(depth, jnp.eye(4)):
        np.testing.assert_array_equal(gradient, 0)


def test_without_turns_the_translation_alone_changes():
    source, depth = smooth_noise(1), road_depth()
    truth = se3.transform_from_pose(jnp.array([0.0, 0.01, 0.0]), jnp.array([0.0, 0.0, 0.1]))
    target = warped(source, depth, K, truth)

    @jax.jit
    def move(start, turns):
        scene = (target, source, depth, K, start)
        return alignment.align(*scene, factors=FACTORS, turns=turns)

    turned = truth.at[:3, 3].set(0)
    found = move(turned, False)
    np.testing.assert_array_equal(found[:3, :3], turned[:3, :3])
    np.testing.assert_allclose(found, truth, atol=1e-2)
    np.testing.assert_array_equal(move(jnp.eye(4), False)[:3, :3], jnp.eye(3))
    np.testing.assert_allclose(move(jnp.eye(4), True), truth, atol=1e-2)


def test_on_flat_depth_translations_alone_know_forwards_from_backwards():
    """With turns they may not: so alignment begins without them (`config.pose.turns_from`)."""
    depth = road_depth()
    for seed in range(5):
        source = smooth_noise(seed)
        truth = se3.transform_from_pose(jnp.zeros(3), jnp.array([0.0, 0.0, -0.15]))
        target = warped(source, depth, K, truth)
        flat = jnp.full_like(depth, 4.0)
        start = jnp.eye(4)
        found = alignment.align(target, source, flat, K, start, factors=FACTORS, turns=False)
        assert found[2, 3] < -0.02
