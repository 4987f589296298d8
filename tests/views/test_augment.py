"""What the depth network sees of each view: which augmentations, with which keys."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from radepth_jax.errors import UserError
from radepth_jax.views import (
    AUGMENTATIONS,
    ViewOptions,
    Views,
    check_augmentations,
    network_images,
)
from radepth_jax.views.augment import colour_cast, cut_out
from radepth_jax.views.jitter import colour_jitter

NAMES = ("high", "middle", "low")
H, W = 32, 48
RNG = np.random.default_rng(0)
VIEWS = Views(
    names=NAMES,
    images=jnp.asarray(RNG.random((3, 2, H, W, 3)), jnp.float32),
    intrinsics=jnp.tile(jnp.eye(3), (3, 1, 1)),
    size=jnp.tile(jnp.array([H, W]), (3, 1)),
    offset=jnp.zeros((3, 2), jnp.int32),
)
TARGETS, MIDDLE = VIEWS.images[:, 0], NAMES.index("middle")
OPTIONS = ViewOptions(resolution=(W, H))
NUMBERS = {"brightness": 0.2, "contrast": 0.2, "saturation": 0.2, "hue": 0.1}


def with_augmentations(options=OPTIONS, **augmentations):
    return dataclasses.replace(options, augmentations=augmentations)


def seen(options, key=0):
    return network_images(jax.random.key(key), VIEWS, options=options)


@pytest.fixture
def table():
    """The table of augmentations, which is what it was again after the test."""
    before = dict(AUGMENTATIONS)
    yield AUGMENTATIONS
    AUGMENTATIONS.clear()
    AUGMENTATIONS.update(before)


def test_the_middle_view_alone_is_jittered_with_the_published_keys():
    chosen = set()
    for key in range(8):
        chance_key, jitter_key = jax.random.split(jax.random.key(key))
        jittered = colour_jitter(jitter_key, TARGETS[MIDDLE], **NUMBERS)
        happens = bool(jax.random.bernoulli(chance_key, 0.5))
        found = seen(OPTIONS, key)
        np.testing.assert_array_equal(found[MIDDLE], jittered if happens else TARGETS[MIDDLE])
        np.testing.assert_array_equal(found[jnp.array([0, 2])], TARGETS[jnp.array([0, 2])])
        chosen.add(happens)
    assert chosen == {True, False}


def test_an_augmentation_of_no_probability_changes_nothing():
    never = with_augmentations(colour_jitter={"probability": 0.0, **NUMBERS})
    np.testing.assert_array_equal(seen(never), TARGETS)
    np.testing.assert_array_equal(seen(with_augmentations()), TARGETS)


def test_another_augmentation_leaves_the_published_one_as_it_is():
    jitter = {"probability": 1.0, **NUMBERS}
    alone = seen(with_augmentations(colour_jitter=jitter))
    both = seen(
        with_augmentations(cut_out={"probability": 1.0, "share": 0.5}, colour_jitter=jitter)
    )
    kept = jnp.all(both == alone, axis=-1)
    assert jnp.all(kept[jnp.array([0, 2])])
    assert 0.5 < jnp.mean(kept[MIDDLE]) < 1
    hidden = both[MIDDLE][~kept[MIDDLE]]
    np.testing.assert_allclose(
        hidden, jnp.broadcast_to(jnp.mean(alone[MIDDLE], axis=(0, 1)), hidden.shape), rtol=1e-5
    )


def test_every_augmented_view_has_a_draw_of_its_own():
    views = {name: {"scale": OPTIONS.entries[name].scale, "augmented": True} for name in NAMES}
    options = with_augmentations(
        dataclasses.replace(OPTIONS, entries=views),
        colour_cast={"probability": 1.0, "strength": 0.3},
    )
    factors = jnp.median(seen(options) / TARGETS, axis=(1, 2))
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert jnp.max(jnp.abs(factors[one] - factors[other])) > 0.02
    middle = with_augmentations(colour_cast={"probability": 1.0, "strength": 0.3})
    np.testing.assert_array_equal(seen(options)[MIDDLE], seen(middle)[MIDDLE])


def test_a_cut_out_is_a_rectangle_of_the_mean_colour():
    image = TARGETS[MIDDLE]
    keys = jax.random.split(jax.random.key(1), 50)
    cut = np.asarray(jax.vmap(lambda key: cut_out(key, image, share=0.5))(keys))
    sizes = []
    for each in cut:
        changed = (each != np.asarray(image)).any(-1)
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        assert changed[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        assert changed.sum() == len(rows) * len(columns)
        np.testing.assert_allclose(
            each[changed], np.tile(image.mean((0, 1)), (changed.sum(), 1)), rtol=1e-5
        )
        sizes.append((len(rows), len(columns)))
    assert np.max(sizes, axis=0).tolist() == [H // 2, W // 2]
    assert np.min(sizes, axis=0).min() < H // 2  # a part beyond the border
    np.testing.assert_array_equal(cut_out(keys[0], image, share=0.0), image)


def test_a_colour_cast_is_one_factor_for_each_channel():
    image = 0.5 * TARGETS[MIDDLE]  # so that nothing is clipped
    keys = jax.random.split(jax.random.key(1), 20)
    factors = jax.vmap(lambda key: colour_cast(key, image, strength=0.3))(keys) / image[None]
    assert jnp.max(jnp.std(factors, axis=(1, 2))) < 1e-5
    means = jnp.mean(factors, axis=(1, 2))  # [20, 3]
    assert 0.7 < means.min() < 0.8
    assert 1.2 < means.max() < 1.3
    assert jnp.min(jnp.std(means, axis=1)) > 1e-3
    assert colour_cast(keys[0], jnp.ones((4, 4, 3)), strength=1.0).max() <= 1


def test_a_function_of_one_s_own_is_an_entry(table):
    def fog(key, image, *, density=0.25):
        return image + (1 - image) * density

    table["fog"] = fog
    options = with_augmentations(fog={"probability": 1.0})
    check_augmentations(options)
    expected = TARGETS[MIDDLE] + (1 - TARGETS[MIDDLE]) * 0.25
    np.testing.assert_allclose(seen(options)[MIDDLE], expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("fog", {}, "fog: no such augmentation; expected one of colour_jitter, .* that your conf"),
        ("cut_out", {"share": 2.0}, r"cut_out\.share: expected a number from 0 to 1, got 2\.0"),
        ("colour_cast", {"strength": -1}, "colour_cast.strength: expected a number from 0 to 1"),
        ("colour_jitter", NUMBERS | {"hue": 0.6}, r"colour_jitter\.hue: .* from 0 to 0\.5, got"),
        (
            "cut_out",
            {},
            "cut_out: missing a required (keyword-only )?argument: 'share'; .* probability, share",
        ),
        ("cut_out", {"share": 0.5, "size": 3}, "cut_out: got an unexpected .* 'size'; .* share"),
        ("grey", {}, r"grey: expected a function .* same shape and type, got .*shape=\(32, 48\)"),
    ],
)
def test_what_cannot_be_used_is_named(table, name, given, message):
    table["grey"] = lambda key, image: image[..., 0]
    options = with_augmentations(**{name: {"probability": 0.5, **given}})
    with pytest.raises(UserError, match=rf"^config\.views\.augmentations\.{message}.*$"):
        check_augmentations(options)
