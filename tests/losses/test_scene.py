"""What a term of the loss is shown."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.geometry import se3
from radepth_jax.losses import TERMS, LossOptions, objective
from radepth_jax.losses.scene import make_scene, without_scale
from radepth_jax.views import Views

ROOT = Path(__file__).parents[2]
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
NAMES = ("high", "middle", "low")
VIEWS = Views(
    names=NAMES,
    images=jnp.asarray(RNG.random((3, 3, 16, 32, 3)), jnp.float32),
    intrinsics=jnp.tile(jnp.array([[30.0, 0, 15.5], [0, 30.0, 7.5], [0, 0, 1]]), (3, 1, 1)),
    size=jnp.tile(jnp.array([16, 32]), (3, 1)),
    offset=jnp.zeros((3, 2), jnp.int32),
)
DISPARITIES = (jnp.asarray(RNG.uniform(0.1, 0.3, (3, 16, 32, 1)), jnp.float32),)
FORTH = se3.transform_from_pose(jnp.array([0.0, 0.02, 0.0]), jnp.array([0.1, 0.0, 0.3]))
MOTIONS = jnp.stack([se3.invert(FORTH), FORTH])


@pytest.fixture
def added():
    """The table of terms, which is what it was again after the test."""
    before = dict(TERMS)
    yield TERMS
    TERMS.clear()
    TERMS.update(before)


def judge(weights, disparities=DISPARITIES, **shown):
    """The total and the terms of the sample, with these weights alone."""
    options = LossOptions(weights=weights, ramps=shown.pop("ramps", {}), automask=False)

    def total(disparities):
        found, terms, _ = objective(VIEWS, disparities, MOTIONS, KEY, options=options, **shown)
        return found, terms

    return jax.jit(total)(disparities)


def test_a_term_sees_the_step_and_the_predicted_motions(added):
    def spy(scene, options):
        difference = jnp.max(jnp.abs(scene.predicted_motions - scene.source_T_target))
        return {"step": jnp.float32(scene.step), "corrected": difference}

    added["spy"] = spy
    _, terms = judge({"spy": 1.0}, step=7)
    assert (terms["spy_step"], terms["spy_corrected"]) == (7, 0)
    _, terms = judge(
        {"spy": 1.0}, step=7, predicted_motions=MOTIONS + 0.25, motions_from="alignment"
    )
    np.testing.assert_allclose(terms["spy_corrected"], 0.25, rtol=1e-5)


def test_the_terms_key_is_not_one_that_the_noise_has():
    @jax.jit
    def of_terms(key):
        shown = {"step": 0, "predicted_motions": None, "motions_from": "network", "focal": None}
        scene = make_scene(VIEWS, DISPARITIES, MOTIONS, key, options=LossOptions(), **shown)
        return jax.random.key_data(scene.key)

    taken = jax.random.key_data(jax.random.split(KEY, len(NAMES))).tolist()
    assert of_terms(KEY).tolist() not in [*taken, jax.random.key_data(KEY).tolist()]


def test_a_term_of_no_view_has_its_own_name_and_one_of_nothing_has_none(added):
    added["one"] = lambda scene, options: jnp.mean(scene.depth)
    added["none"] = lambda scene, options: {}
    total, terms = judge({"one": 0.5, "none": 2.0})
    assert [name for name in terms if name.startswith(("one", "none"))] == ["one"]
    np.testing.assert_allclose(total, 0.5 * terms["one"], rtol=1e-6)


def test_alignment_has_a_weight_a_ramp_and_an_end():
    shown = {"predicted_motions": MOTIONS + 0.25, "motions_from": "alignment"}
    total, terms = judge({}, **shown)  # no weight is given: the default
    np.testing.assert_allclose(terms["alignment"], 0.25, rtol=1e-5)
    np.testing.assert_allclose(total, 0.25, rtol=1e-5)
    total, _ = judge({"alignment": 3.0}, ramps={"alignment": (100, 200)}, step=150, **shown)
    np.testing.assert_allclose(total, 1.5 * 0.25, rtol=1e-5)
    total, terms = judge({"alignment": 0.0}, **shown)
    assert total == 0
    assert "alignment" not in terms
    assert "alignment" not in judge({})[1]  # nothing was aligned


def test_the_documents_term_of_no_view_judges_steady_motion(added):
    text = (ROOT / "docs/extending.md").read_text()
    (program,) = (p for p in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "steady" in p)
    exec(program, {})
    total, terms = judge({"steady": 1.0}, step=5000)
    np.testing.assert_allclose(terms["steady"], 0, atol=1e-6)
    unsteady = MOTIONS.at[0].set(jnp.eye(4))
    total, terms = judge({"steady": 1.0}, step=5000, predicted_motions=unsteady)
    assert total == terms["steady"] > 1e-2
    assert judge({"steady": 1.0}, step=4999, predicted_motions=unsteady)[0] == 0


def test_no_gradient_changes_the_common_factor_of_disparities():
    """Otherwise alignment that falls a little short would push them to their end."""
    finest = jax.random.uniform(jax.random.key(0), (3, 8, 16, 1))
    coarser = jax.random.uniform(jax.random.key(1), (3, 4, 8, 1))

    def scaled(factor):
        return without_scale((factor * finest, factor * coarser), 1)

    same, slopes = jax.jvp(scaled, (1.0,), (1.0,))
    for given, got, slope in zip((finest, coarser), same, slopes, strict=True):
        np.testing.assert_allclose(got, given, rtol=1e-6)
        np.testing.assert_allclose(slope, 0, atol=1e-6)
    # What differs from pixel to pixel does change.
    _, slope = jax.jvp(lambda x: without_scale((x,), 1)[0], (finest,), (finest**2,))
    assert float(jnp.abs(slope).max()) > 1e-2


def test_only_the_scale_that_images_do_not_tell_is_held(added):
    """A term of the predicted disparity may change the common factor even with aligned motions."""
    added["free"] = lambda scene, options: jnp.mean(scene.predicted_disparity)
    added["held"] = lambda scene, options: jnp.mean(scene.disparities[0][scene.middle])
    slopes = {}
    for name in ("free", "held"):

        def total(factor, name=name):
            disparities = (factor * DISPARITIES[0],)
            return judge({name: 1.0}, disparities, motions_from="alignment")[0]

        slopes[name] = float(jax.grad(total)(1.0))
    assert slopes["free"] > 0.1
    assert abs(slopes["held"]) < 1e-6
