import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.geometry import se3
from radepth_jax.losses import LossOptions, objective
from radepth_jax.views import ViewOptions, Views, make_views

H, W = 32, 64
NAMES = ("high", "middle", "low")
OPTIONS = LossOptions()
RNG = np.random.default_rng(0)


def make_sample(sources=2, **options):
    """Views of frames that shift by two native pixels each, random disparities, small poses."""
    cells = RNG.integers(0, 256, (12, 24, 3), np.uint8)
    wide = jax.image.resize(jnp.array(cells, jnp.float32), (60, 140, 3), "cubic")
    wide = np.asarray(jnp.clip(wide, 0, 255)).astype(np.uint8)
    frames = np.stack([wide[:, 2 * i : 2 * i + 120] for i in range(sources + 1)])
    intrinsics = jnp.array([[90.0, 0, 60], [0, 90.0, 30], [0, 0, 1]])
    views = make_views(
        jax.random.key(4),
        frames,
        jnp.array([60, 120]),
        intrinsics,
        options=ViewOptions(resolution=(W, H), **options),
    )
    disparities = jnp.array(RNG.uniform(0.05, 0.3, (len(views.names), H, W, 1)), jnp.float32)
    transforms = jnp.stack(
        [
            se3.transform_from_pose(jnp.zeros(3), jnp.array([0.05 * (i + 1), 0, 0.01]))
            for i in range(sources)
        ]
    )
    return views, disparities, transforms


SAMPLE = make_sample()
KEY = jax.random.key(0)


@partial(jax.jit, static_argnames="options")
def run(views, disparities, transforms, key, weights, options):
    return objective(views, (disparities,), transforms, key, options=options, weights=weights)


def judge(sample=SAMPLE, names=NAMES, key=KEY, options=OPTIONS, weights=None):
    views, disparities, transforms = sample
    chosen = np.array([views.names.index(name) for name in names])
    arrays = (views.images, views.intrinsics, views.size, views.offset)
    views = Views(names, *(array[chosen] for array in arrays))
    return run(views, disparities[chosen], transforms, key, weights, options)


def test_terms_make_the_total():
    total, terms, aux = judge()
    expected = sum(terms[f"photometric_{n}"] for n in NAMES)
    expected += 1e-3 * sum(terms[f"smoothness_{n}"] for n in NAMES)
    expected += terms["consistency_high"] + terms["consistency_low"]
    np.testing.assert_allclose(total, expected, rtol=1e-6)
    np.testing.assert_allclose(terms["automasked"], 1 - aux["automask"].mean(), rtol=1e-5)
    disparity = SAMPLE[1][NAMES.index("middle")]
    np.testing.assert_allclose(terms["disparity_mean_middle"], disparity.mean(), rtol=1e-5)
    np.testing.assert_allclose(terms["disparity_std_middle"], disparity.std(), rtol=1e-5)
    assert aux["automask"].shape == (H, W)
    assert aux["warped"].shape == (H, W, 3)
    assert all(term.shape == () for term in terms.values())


def test_weights_can_be_given():
    _, terms, _ = judge()
    both = terms["consistency_high"] + terms["consistency_low"]
    for weight in (0.0, 0.3):
        weights = OPTIONS.weights | {"consistency": jnp.float32(weight)}
        total, _, _ = judge(weights=weights)
        np.testing.assert_allclose(total, terms["total"] - (1 - weight) * both, rtol=1e-5)


@pytest.mark.parametrize("left_out", ["photometric", "smoothness", "consistency"])
def test_a_term_of_no_weight_is_left_out(left_out):
    weights = OPTIONS.weights | {left_out: 0.0}
    total, terms, _ = judge(options=LossOptions(weights=weights))
    _, everything, _ = judge()
    assert [name for name in everything if name not in terms] == [
        name for name in everything if name.startswith(left_out)
    ]
    weighed = OPTIONS.weights[left_out] * sum(
        value for name, value in everything.items() if name.startswith(left_out)
    )
    np.testing.assert_allclose(total, everything["total"] - weighed, rtol=1e-5)


def test_weights_grow_along_their_ramps():
    options = LossOptions(ramps={"consistency": (100, 300)}, weights={"consistency": 0.5})
    for step, expected in ((0, 0.0), (100, 0.0), (200, 0.25), (300, 0.5), (1000, 0.5)):
        assert options.weights_at(jnp.int32(step))["consistency"] == expected
    assert LossOptions().weights_at(jnp.int32(0)) == LossOptions().weights


def test_an_unknown_term_is_named_with_the_known_ones():
    options = LossOptions(weights={"photometric": 1.0, "fotometric": 1.0})
    with pytest.raises(UserError, match=r"weights.fotometric.*photometric, smoothness, consis"):
        judge(options=options)


@pytest.mark.parametrize("names", [("middle",), ("middle", "high"), ("low", "middle")])
def test_any_views_with_the_middle_one(names):
    options = dataclasses.replace(OPTIONS, noise=0.0)
    total, terms, _ = judge(names=names, options=options)
    _, everything, _ = judge(options=options)
    for name, term in terms.items():
        if name != "total":
            np.testing.assert_allclose(term, everything[name], rtol=1e-5, err_msg=name)
    assert ("consistency_low" in terms) == ("low" in names)
    assert np.isfinite(total)


@pytest.mark.parametrize("sources", [1, 3])
def test_any_number_of_sources(sources):
    total, terms, _ = judge(make_sample(sources))
    assert np.isfinite(total)
    assert terms["photometric_middle"] > 0


def test_gradients_are_finite_and_reach_everything():
    views, disparities, transforms = SAMPLE

    def loss(disparities, transforms):
        return objective(views, (disparities,), transforms, KEY, options=OPTIONS)[0]

    gradients = jax.jit(jax.grad(loss, argnums=(0, 1)))
    cases = {
        "ordinary": (disparities, transforms),
        "no motion": (disparities, jnp.tile(jnp.eye(4), (2, 1, 1))),
        "constant": (jnp.full_like(disparities, 0.5), transforms),
        "nearest": (jnp.ones_like(disparities), transforms.at[:, 2, 3].set(-0.1)),
        "farthest": (jnp.zeros_like(disparities), transforms),
    }
    for name, case in cases.items():
        for gradient in jax.tree.leaves(gradients(*case)):
            assert np.isfinite(gradient).all(), name
    for gradient in jax.tree.leaves(gradients(disparities, transforms)):
        assert np.abs(gradient).max() > 0


def test_forward_mode():
    """Along a direction: `jvp` is the gradient's product, and the slope between two points."""
    views, disparities, transforms = SAMPLE
    options = LossOptions(noise=0.0, mask_low_filler=True)
    direction = jnp.array(RNG.uniform(-1, 1, disparities.shape), jnp.float32)

    def loss(disparities):
        return objective(views, (disparities,), transforms, KEY, options=options)[0]

    @jax.jit
    def derivatives(point):
        gradient = jax.grad(loss)
        slope = jax.jvp(loss, (point,), (direction,))[1]
        turned = jax.jvp(gradient, (point,), (direction,))[1]
        return slope, jnp.sum(gradient(point) * direction), turned

    slope, product, turned = derivatives(disparities)
    np.testing.assert_allclose(slope, product, rtol=1e-4)
    assert np.isfinite(turned).all()
    assert np.abs(turned).max() > 0
    with jax.enable_x64(True):
        step = 1e-6
        wide = jax.jit(loss)
        points = (disparities.astype(jnp.float64) + sign * step * direction for sign in (1, -1))
        after, before = (float(wide(point)) for point in points)
    np.testing.assert_allclose(slope, (after - before) / (2 * step), rtol=2e-3)


def test_the_low_views_filler_can_be_left_out():
    """With the mask, losses are those of the low view without its strips."""
    views, disparities, transforms = SAMPLE
    options = LossOptions(noise=0.0, mask_low_filler=True)
    _, terms, _ = judge(options=options)
    _, plain, _ = judge(options=LossOptions(noise=0.0))
    h, w = (int(n) for n in views["low"].size)
    low = views["low"]
    arrays = (low.images[:, :h, :w], low.intrinsics, low.size, low.offset)
    cropped = Views(("middle",), *(array[None] for array in arrays))
    _, alone, _ = objective(
        cropped,
        (disparities[NAMES.index("low")][None, :h, :w],),
        transforms,
        KEY,
        options=LossOptions(noise=0.0),
    )
    for term in ("photometric", "smoothness"):
        np.testing.assert_allclose(terms[f"{term}_low"], alone[f"{term}_middle"], rtol=1e-4)
        assert abs(plain[f"{term}_low"] - alone[f"{term}_middle"]) > 1e-5
        for name in ("high", "middle"):
            np.testing.assert_allclose(terms[f"{term}_{name}"], plain[f"{term}_{name}"], rtol=1e-4)


def test_a_view_is_judged_by_its_scale_whatever_its_name():
    """One named "small" as the low view of the same scale, and a much larger one."""
    entries = {
        "middle": {"augmented": True},
        "low": {"scale": (0.8, 0.8)},
        "small": {"scale": (0.8, 0.8)},
        "near": {"scale": (2.0, 3.0), "crop": True},
    }
    views, disparities, transforms = make_sample(entries=entries, names=tuple(entries))
    assert views.names == ("middle", "low", "small", "near")
    disparities = disparities.at[2].set(disparities[1])
    for mask in (False, True):
        options = LossOptions(automask=False, mask_low_filler=mask)
        _, terms, _ = objective(views, (disparities,), transforms, KEY, options=options)
        for term in ("photometric", "smoothness", "consistency"):
            assert terms[f"{term}_near"] > 0
            np.testing.assert_allclose(terms[f"{term}_small"], terms[f"{term}_low"], rtol=1e-6)
    true = jnp.full_like(disparities, 0.1)
    _, terms, _ = objective(views, (true,), transforms, KEY, options=options)
    np.testing.assert_allclose(terms["consistency_near"], 0, atol=1e-5)


def test_true_depth_and_pose_explain_every_view():
    """A plane facing the camera that moves sideways: every view's warp is exact, up to sampling."""
    views, _, _ = SAMPLE
    # Two native pixels a frame at f = 90 and depth 4: the camera moves 2 * 4 / 90, and as the scene
    # moves left in the image, the point's x shrinks by that. Flipped, the other way.
    step = 2 * 4 / 90 * (1 if views["middle"].flipped else -1)
    transforms = jnp.stack([jnp.eye(4).at[0, 3].set(step * i) for i in (1, 2)])
    disparity = (1 / 4 - 1 / 100) / (10 - 1 / 100)
    true = jnp.full((3, H, W, 1), disparity)
    options = LossOptions(automask=False)
    moved = judge((views, true, transforms), options=options)[1]
    unmoved = judge((views, true, jnp.tile(jnp.eye(4), (2, 1, 1))), options=options)[1]
    for name in NAMES:
        assert moved[f"photometric_{name}"] < 0.4 * unmoved[f"photometric_{name}"], name
    np.testing.assert_allclose(moved["consistency_high"], 0, atol=1e-5)
    np.testing.assert_allclose(moved["consistency_low"], 0, atol=1e-5)


def test_noise_depends_on_the_key_alone():
    one, again, other = judge(key=KEY)[0], judge(key=KEY)[0], judge(key=jax.random.key(1))[0]
    assert one == again
    assert one != other


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("min_depth", 0.0),
        ("max_depth", 0.05),
        ("ssim", 2.0),
        ("noise", -1.0),
        ("weights", {"consistency": -1.0}),
        ("ramps", {"consistency": (200, 100)}),
    ],
)
def test_options_that_cannot_be_used_are_named(field, value):
    with pytest.raises(UserError, match=rf"^config\.loss\.(?=.*{field}).*: expected .*, got "):
        LossOptions(**{field: value})
