import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radepth_jax.errors import UserError
from radepth_jax.geometry.camera import project
from radepth_jax.views import ViewOptions, make, make_views

W, H = 96, 32
OPTIONS = ViewOptions(resolution=(W, H))
ENTRIES = OPTIONS.entries
K = np.array([[180.0, 0, 97.3], [0, 170.0, 41.2], [0, 0, 1]], np.float32)


def generated_frame(h, w):
    """Texture at all scales, 8 bits: noise smoothed to different sizes."""
    rng = np.random.default_rng(3)
    total = np.zeros((h, w, 3))
    for cells in (4, 16, 64):
        noise = (255 * rng.random((cells, 3 * cells, 3))).astype(np.uint8)
        total += np.asarray(Image.fromarray(noise).resize((w, h), Image.Resampling.BICUBIC)) / 3
    return (total + rng.integers(0, 12, (h, w, 3))).clip(0, 255).astype(np.uint8)


def on_canvas(frame, extra=(9, 14)):
    """Frame, edge-padded as the loader pads it, as the only frame of a sample."""
    return np.pad(frame, ((0, extra[0]), (0, extra[1]), (0, 0)), mode="edge")[None]


def scaled(high, low, **options):
    """Options with one scale for the high view, and one for the low view."""
    entries = ENTRIES | {
        "high": {"scale": (high, high), "crop": True},
        "low": {"scale": (low, low)},
    }
    return dataclasses.replace(OPTIONS, entries=entries, flip=0.0, **options)


def pillow_view(frame, view, size):
    """What METHOD describes, step by step, with Pillow."""
    h, w = (int(n) for n in view.size)
    height, width = size
    resized = np.asarray(Image.fromarray(frame).resize((w, h), Image.Resampling.LANCZOS))
    if h < height:
        resized = np.concatenate([resized, resized[:, 2 * w - width :]], axis=1)
        return np.concatenate([resized, resized[2 * h - height :]], axis=0)
    y, x = view.offset
    return resized[y : y + height, x : x + width]


def check_against_pillow(frame, options):
    size = jnp.array(frame.shape[:2])
    make = jax.jit(lambda key: make_views(key, on_canvas(frame), size, K, options=options))
    for seed in range(3):
        views = make(jax.random.key(seed))
        for name in views.names:
            view = views[name]
            expected = pillow_view(frame, view, options.size)
            difference = np.abs(np.asarray(view.images[0]) - expected / 255)
            assert difference.mean() < 0.5 / 255, (name, 255 * difference.mean())
            assert np.quantile(difference, 0.99) < 2 / 255, name


@pytest.mark.parametrize("high", [1.1, 2.0])
@pytest.mark.parametrize("low", [0.7, 0.9])
def test_views_are_pillows_on_a_generated_frame(high, low):
    check_against_pillow(generated_frame(91, 203), scaled(high, low))


def test_a_view_of_one_s_own_is_pillows_too():
    """One much larger and cut at random, one cut in the middle, and one much smaller."""
    entries = ENTRIES | {
        "near": {"scale": (2.5, 3.0), "crop": True},
        "centre": {"scale": (1.5, 1.5)},
        "far": {"scale": (0.5, 0.6)},
    }
    names = ("near", "centre", "far", "middle", "low")
    options = dataclasses.replace(OPTIONS, names=names, entries=entries, flip=0.0)
    assert options.names == ("middle", "low", "near", "centre", "far")
    check_against_pillow(generated_frame(91, 203), options)
    views = make_views(jax.random.key(0), on_canvas(FRAME), SIZE, K, options=options)
    np.testing.assert_array_equal(views["centre"].size, [1.5 * H, 1.5 * W])
    np.testing.assert_array_equal(views["centre"].offset, [H // 4, W // 4])
    np.testing.assert_array_equal(views["far"].offset, 0)


@pytest.mark.parametrize(("high", "low"), [(1.1, 0.9), (2.0, 0.7)])
def test_views_are_pillows_on_a_real_frame(shared_data, high, low):
    folder = shared_data / "kitti_raw/2011_09_26/2011_09_26_drive_0002_sync/image_02/data"
    frame = np.asarray(Image.open(folder / "0000000000.png"))
    check_against_pillow(frame, scaled(high, low, resolution=(320, 96)))


@jax.jit
def sample(key, frames, size):
    return make_views(key, frames, size, K, options=OPTIONS)


FRAME = generated_frame(91, 203)
SIZE = jnp.array(FRAME.shape[:2])


def test_only_the_true_size_is_seen():
    poisoned = on_canvas(FRAME)
    poisoned[:, 91:], poisoned[:, :, 203:] = 255, 0
    key = jax.random.key(1)
    for a, b in zip(
        jax.tree.leaves(sample(key, on_canvas(FRAME), SIZE)),
        jax.tree.leaves(sample(key, poisoned, SIZE)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


@given(seed=st.integers(0, 10_000))
def test_draws_stay_in_range(seed):
    views = sample(jax.random.key(seed), on_canvas(FRAME), SIZE)
    canvas = np.array([H, W])
    high, low = views["high"], views["low"]
    assert (np.floor(1.1 * canvas) <= high.size).all()
    assert (high.size <= 2 * canvas).all()
    assert (high.offset >= 0).all()
    assert (high.offset <= high.size - canvas).all()
    assert (np.floor(0.7 * canvas) <= low.size).all()
    assert (low.size <= 0.9 * canvas).all()
    np.testing.assert_array_equal(views["middle"].size, canvas)
    assert views.images.min() >= 0
    assert views.images.max() <= 1


def test_crops_reach_every_border():
    keys = jax.random.split(jax.random.key(0), 200)
    high = jax.jit(jax.vmap(lambda k: sample(k, on_canvas(FRAME), SIZE)["high"]))(keys)
    last = high.size - jnp.array([[H, W]])
    assert (high.offset == 0).any(axis=0)[0]
    assert (high.offset == last).any(axis=0)[0]
    share = high.offset[:, 1] / jnp.maximum(last[:, 1], 1)
    np.testing.assert_allclose(share.mean(), 0.5, atol=0.1)


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    x=st.floats(-0.5, 0.5),
    y=st.floats(-0.2, 0.2),
    z=st.floats(1, 20),
)
def test_a_point_shows_the_same_scene_in_every_view(seed, x, y, z):
    """Frames whose colours are a linear function of position tell where a view's pixels come from.

    A linear function survives resampling (away from borders), so a view's colour at the point's
    projection has to be the native frame's colour at its native projection.
    """
    rows, columns = np.mgrid[:91, :203]
    ramp = np.stack([columns, 2 * rows, 0 * rows], axis=-1).astype(np.uint8)
    point = jnp.array([x * z, y * z, z], jnp.float32)
    u, v = np.asarray(project(point, K))
    views = sample(jax.random.key(seed), on_canvas(ramp), SIZE)
    if views["middle"].flipped:
        u = 202 - u
        point = point * jnp.array([-1.0, 1, 1])
    for name in views.names:
        view = views[name]
        pixel = np.asarray(project(point, view.intrinsics))
        # K_view is an exact affine map of K_native.
        scale = np.asarray(view.size)[::-1] / np.array([203, 91])
        native = (pixel + np.asarray(view.offset)[::-1] + 0.5) / scale - 0.5
        np.testing.assert_allclose(native, [u, v], atol=2e-3, err_msg=name)
        inside = np.minimum(np.array([W, H]), np.asarray(view.size)[::-1])
        if (pixel < 5).any() or (pixel > inside - 6).any():
            continue
        colour = 255 * np.asarray(bilinear(view.images[0], pixel))
        shown = 202 - u if view.flipped else u
        np.testing.assert_allclose(colour[:2], [shown, 2 * v], atol=0.3, err_msg=name)


def bilinear(image, pixel):
    (u, v), (x, y) = pixel, np.floor(pixel).astype(int)
    top = image[y, x] * (x + 1 - u) + image[y, x + 1] * (u - x)
    bottom = image[y + 1, x] * (x + 1 - u) + image[y + 1, x + 1] * (u - x)
    return top * (y + 1 - v) + bottom * (v - y)


def test_flip_mirrors_frames_and_intrinsics():
    def views(flip, frame, intrinsics):
        options = dataclasses.replace(OPTIONS, flip=flip)
        return make_views(jax.random.key(5), frame[None], SIZE, intrinsics, options=options)

    mirrored_k = jnp.array(K).at[0, 2].set(202 - K[0, 2])
    flipped = views(1.0, FRAME, jnp.array(K))
    by_hand = views(0.0, np.ascontiguousarray(FRAME[:, ::-1]), mirrored_k)
    assert flipped.flipped
    assert not by_hand.flipped
    np.testing.assert_allclose(flipped.images, by_hand.images, atol=1e-5)
    np.testing.assert_allclose(flipped.intrinsics, by_hand.intrinsics, rtol=1e-5)
    np.testing.assert_array_equal(flipped.size, by_hand.size)
    np.testing.assert_array_equal(flipped.offset, by_hand.offset)
    middle = flipped["middle"]
    unflipped = views(0.0, FRAME, jnp.array(K))["middle"]
    np.testing.assert_allclose(middle.images, unflipped.images[:, :, ::-1], atol=1e-5)
    np.testing.assert_allclose(
        middle.intrinsics[0, 2], W - 1 - unflipped.intrinsics[0, 2], rtol=1e-5
    )


def test_views_depend_on_the_key_alone():
    one = sample(jax.random.key(0), on_canvas(FRAME), SIZE)
    again = sample(jax.random.key(0), on_canvas(FRAME), SIZE)
    other = sample(jax.random.key(1), on_canvas(FRAME), SIZE)
    np.testing.assert_array_equal(one["high"].images, again["high"].images)
    assert not np.array_equal(one["high"].images, other["high"].images)
    only_middle = make_views(
        jax.random.key(0),
        on_canvas(FRAME),
        SIZE,
        K,
        options=dataclasses.replace(OPTIONS, names=("middle",)),
    )
    assert only_middle.names == ("middle",)
    # Two programs, whose coordinates near 200 may be a float32 rounding apart.
    np.testing.assert_allclose(only_middle["middle"].images, one["middle"].images, atol=1e-5)


def test_the_published_views_have_the_published_keys():
    """High, crop and low come out of one split, whatever other views there are."""
    entries = ENTRIES | {"far": {"scale": (0.5, 1.5), "crop": True}}
    names = (*OPTIONS.names, "far")
    key = jax.random.key(3)
    more = dataclasses.replace(OPTIONS, names=names, entries=entries)
    sizes, offsets = make.draw_placements(key, options=more)
    high_key, crop_key, low_key = jax.random.split(key, 3)
    canvas = np.array([H, W])
    high = np.floor(jax.random.uniform(high_key, minval=1.1, maxval=2.0) * canvas).astype(int)
    low = np.floor(jax.random.uniform(low_key, minval=0.7, maxval=0.9) * canvas).astype(int)
    np.testing.assert_array_equal(sizes[:3], [high, canvas, low])
    crop = jax.random.randint(crop_key, (2,), 0, jnp.array(high - canvas + 1))
    np.testing.assert_array_equal(offsets[:3], [crop, [0, 0], [0, 0]])
    again = dataclasses.replace(more, names=("middle", "far"))
    alone = make.draw_placements(key, options=again)
    np.testing.assert_array_equal(alone, [sizes[jnp.array([1, 3])], offsets[jnp.array([1, 3])]])


@pytest.mark.parametrize(
    "wrong",
    [
        {"names": ("high", "low")},
        {"names": ("middle", "tall")},
        {"names": ("middle", "middle")},
        {"resolution": (640,)},
        {"flip": 1.5},
        {"entries": ENTRIES | {"middle": {"scale": (0.9, 1.0)}}},
        {"entries": ENTRIES | {"low": {"scale": (0.4, 0.9)}}},
        {"entries": ENTRIES | {"low": {"scale": (0.9, 0.7)}}},
        {"entries": ENTRIES | {"low": {"scale": 0.7}}},
        {"entries": ENTRIES | {"low": {"scale": (0.7, 0.9), "crop": "yes"}}},
        {"entries": ENTRIES | {"low": {"scales": (0.7, 0.9)}}},
        {"entries": ENTRIES | {"low": 0.7}},
        {"augmentations": {"cut_out": 0.5}},
        {"augmentations": {"cut_out": {"share": 0.5}}},
        {"augmentations": {"cut_out": {"probability": 2.0}}},
    ],
)
def test_options_that_cannot_be_used_are_named(wrong):
    (field,) = wrong
    with pytest.raises(UserError, match=rf"^config\.views\.{field}.*: expected .*, got .*$"):
        ViewOptions(**wrong)


def test_options_take_lists():
    options = ViewOptions(resolution=[640, 192], names=["middle"])
    assert options == ViewOptions(names=("middle",))
    assert options.size == (192, 640)


def test_the_order_in_which_the_published_views_are_named_does_not_matter():
    assert ViewOptions(names=("low", "middle", "high")) == ViewOptions()
