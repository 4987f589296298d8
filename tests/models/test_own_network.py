"""Networks from outside the package: of any Linen modules, or refused in one line.

`tests/test_extending.py` trains those of docs/extending.md.
"""

import hashlib
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.models import presets, variables
from radepth_jax.models.build import DECODERS, ENCODERS, POSES, build
from radepth_jax.models.decoder import Decoder
from radepth_jax.models.fold import fold_norms
from radepth_jax.models.hrnet import HRNet
from radepth_jax.models.init import HeNormal
from radepth_jax.models.policy import Policy
from radepth_jax.models.recalibrate import recalibrate

SIZE = (64, 32)
IMAGES = jax.random.uniform(jax.random.key(3), (2, 32, 64, 3))


class Grey(HRNet):
    """An encoder that takes grey images; nothing of it is in the package."""

    def __call__(self, images, train=False, groups=1):
        grey = jnp.broadcast_to(images.mean(-1, keepdims=True), images.shape)
        return super().__call__(grey, train, groups)


class Own(nn.Module):
    """Features at 1/2 and 1/4; what tests change is a method of its own."""

    width: int = 4
    policy: Policy = Policy()
    stride = 4

    @nn.compact
    def __call__(self, images, train=False, groups=1):
        features, x = [], images
        for level in range(2):
            x = nn.Conv(self.width, (3, 3), strides=2, name=f"conv{level}")(x)
            x = self.inside(x, level, train)
            features.append(x)
        return features

    def inside(self, x, level, train):
        return x


class Everything(Own):
    """One of each of Linen's layers."""

    def inside(self, x, level, train):
        x = nn.BatchNorm(use_running_average=not train, name=f"batch{level}")(x)
        x = nn.LayerNorm(name=f"layer{level}")(nn.GroupNorm(2, name=f"group{level}")(x))
        x = nn.Conv(4, (3, 3), kernel_init=HeNormal(), name=f"he{level}")(x)
        x = nn.ConvTranspose(4, (3, 3), name=f"transposed{level}")(x)
        x = x * nn.Dense(4, bias_init=nn.initializers.normal(), name=f"dense{level}")(
            x.mean((1, 2), keepdims=True)
        )
        gain = self.param(f"gain{level}", nn.initializers.constant(2.0), (1, 1, 1, 4))
        boxed = nn.with_partitioning(nn.initializers.orthogonal(), (None, None))
        x = x @ self.param(f"boxed{level}", boxed, (4, 4)) * gain
        layers = nn.scan(
            Stacked, variable_axes={"params": 0}, split_rngs={"params": True}, length=2
        )
        return layers(name=f"stacked{level}")(x, None)[0]


class Stacked(nn.Module):
    """Applied twice by `nn.scan`, which stacks its parameters."""

    @nn.compact
    def __call__(self, x, _):
        return nn.relu(nn.Conv(4, (3, 3), kernel_init=HeNormal(), name="conv")(x)), None


class Normed(Decoder):
    """A decoder with Linen's norm, named as the package names what it folds."""

    @nn.compact
    def __call__(self, features, train=False):
        x = nn.Conv(4, (3, 3), use_bias=False, name="conv")(features[0])
        x = nn.BatchNorm(use_running_average=not train, name="bn", use_scale=False)(x)
        x = jnp.repeat(jnp.repeat(x, 2, axis=1), 2, axis=2)
        return (self.disparity(nn.relu(x), name="disparity"),)


@pytest.fixture
def tables(monkeypatch):
    """Puts modules into the package's tables for one test, and gives a model of them."""

    def model(encoder=None, decoder=Normed, pose=None) -> dict:
        config = presets.tiny()
        config["depth"]["encoder"] |= {"width": 4, "stem_width": 4}
        config["pose"] |= {"features": (4, 8), "reach": (1, 1), "widths": (8, 8, 16)}
        for table, module, section, key in (
            (ENCODERS, encoder, config["depth"], "encoder"),
            (DECODERS, decoder, config["depth"], "decoder"),
            (POSES, pose, config, "pose"),
        ):
            if module:
                monkeypatch.setitem(table, "own", module)
                section[key] = presets.settings(table, "own")
        return config

    return model


def init_by_linen(network: nn.Module, key: jax.Array) -> dict:
    init = jax.jit(network.init, compiler_options=FAST_COMPILE)
    return nn.meta.unbox(init(key, IMAGES[:1]))


def test_an_encoder_that_is_another_one_s_subclass(monkeypatch):
    monkeypatch.setitem(ENCODERS, "grey", Grey)
    config = presets.tiny("diffnet")  # its decoder needs a field of the encoder
    config["depth"]["encoder"] |= {"name": "grey", "width": 4}
    networks = build(config)
    images = jnp.zeros((1, 32, 64, 3)).at[..., 0].set(0.6)
    variables = jax.jit(networks.depth.init)(jax.random.key(0), images)
    first, second = (networks.depth.apply(variables, x)[0] for x in (images, images[..., ::-1]))
    assert first.shape == (1, 32, 64, 1)
    assert jnp.array_equal(first, second)


def test_leaves_of_linen_s_layers_are_what_linen_makes_them(tables):
    depth = build(tables(Everything)).depth
    key = jax.random.key(7)
    image = jax.ShapeDtypeStruct((1, 32, 64, 3), jnp.float32)
    drawn = variables.draw_variables(depth, key, image)
    expected = init_by_linen(depth, key)
    assert jax.tree.structure(drawn) == jax.tree.structure(expected)
    ours = []  # convolutions with an initialiser of the package, and the disparity's

    def compare(path, a, b):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), path
        if not np.allclose(a, b, rtol=1e-5, atol=1e-7):
            ours.append(jax.tree_util.keystr(path[1:], simple=True, separator="/"))

    jax.tree_util.tree_map_with_path(compare, drawn, expected)
    assert sorted(ours) == [
        "decoder/disparity/conv/bias",
        "decoder/disparity/conv/kernel",
        "encoder/he0/kernel",
        "encoder/he1/kernel",
    ]
    again = variables.draw_variables(depth, key, image)
    jax.tree.map(np.testing.assert_array_equal, drawn, again)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ra_depth", "12c25dc9f463b6c3"),
        ("monodepth2", "2f10c7b946aac625"),
        ("hr_depth", "e5455947b3571cb3"),
        ("diffnet", "df2d337718cc9f80"),
    ],
)
def test_a_seed_gives_our_networks_the_weights_that_it_always_gave(monkeypatch, name, expected):
    traced = []
    original = variables._init
    monkeypatch.setattr(variables, "_init", lambda *a: traced.append(a) or original(*a))
    drawn = models.init_variables(build(presets.tiny(name)), jax.random.key(7), (192, 64))
    assert len(traced) == 2  # each network once, for its shapes: nothing is compiled
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(drawn):
        digest.update(jax.tree_util.keystr(path).encode())
        digest.update(np.asarray(leaf).tobytes())
    assert digest.hexdigest()[:16] == expected


def with_random_statistics(values: dict) -> dict:
    random = np.random.default_rng(0)

    def change(leaf):
        return np.float32(leaf + 0.3 * random.random(leaf.shape))

    return values | {"batch_stats": jax.tree.map(change, values["batch_stats"])}


@pytest.mark.parametrize("encoder", [None, Everything])
def test_folding_leaves_norms_of_one_s_own_alone(tables, encoder):
    networks = build(tables(encoder))
    values = models.init_network(networks, "depth", jax.random.key(0), SIZE)
    values = with_random_statistics(values)
    folded, less = fold_norms(networks.depth, values)
    kept = {"decoder"} if encoder is None else {"encoder", "decoder"}
    assert set(less["batch_stats"]) == kept
    # A change of operations, as an export makes it, changes nothing else.
    folded = folded.with_policy(ops=networks.depth.policy.ops)
    run = [jax.jit(n.apply, compiler_options=FAST_COMPILE) for n in (networks.depth, folded)]
    expected, found = run[0](values, IMAGES)[0], run[1](less, IMAGES)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_recalibration_leaves_norms_of_one_s_own_alone(tables):
    networks = build(tables())
    values = models.init_network(networks, "depth", jax.random.key(0), SIZE)
    values = with_random_statistics(values)
    new = recalibrate(networks.depth, values, IMAGES)
    for kind in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, new[kind]["decoder"], values[kind]["decoder"])
    stem = "stem1"
    old_mean, new_mean = (v["batch_stats"]["encoder"][stem]["bn"]["mean"] for v in (values, new))
    assert not np.allclose(old_mean, new_mean)


def test_a_decoder_is_told_whether_it_trains(tables):
    depth = build(tables()).depth
    values = models.init_network(build(tables()), "depth", jax.random.key(0), SIZE)
    _, new = depth.apply(values, IMAGES, train=True, groups=2, mutable=["batch_stats"])
    mean = new["batch_stats"]["decoder"]["bn"]["mean"]
    assert mean.shape == (4,)
    assert np.abs(mean).max() > 0


def changed(inside: Callable, **members) -> type[Own]:
    return type("Changed", (Own,), {"inside": inside, "__module__": __name__} | members)


def own_state(self, x, level, train):
    self.variable("memory", f"last{level}", jnp.zeros, (3,))
    return x


def whole_numbers(self, x, level, train):
    self.variable("batch_stats", f"count{level}", lambda: jnp.zeros((), jnp.int32))
    return x


def half(self, x, level, train):
    return nn.Conv(4, (3, 3), param_dtype=jnp.bfloat16, name=f"half{level}")(x)


def noise(self, x, level, train):
    return nn.Dropout(0.5, deterministic=False)(x)


def restless(self, x, level, train):
    return nn.BatchNorm(use_running_average=False)(x)


def too_small(self, x, level, train):
    return x[:, ::2, ::2]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (changed(own_state), r"memory/encoder/last0: .*params and batch_stats alone; put what"),
        (changed(whole_numbers), r"batch_stats/encoder/count0 is int32: expected float32"),
        (changed(half), r"params/encoder/half0/bias is bfloat16: expected float32"),
        (changed(noise), r"Changed fails outside of training.*neither draw random numbers"),
        (changed(restless), r"Changed fails outside of training.*immutable.*neither draw"),
        (changed(too_small), r"Changed gives .*features of 2 sizes, \(h, w\) \[\(16, 32\)"),
        (changed(Own.inside, stride=6), r"encoder.name is 'own': its stride is 6; .*power of two"),
        (changed(Own.inside, stride=None), r"'own': its stride is None; expected a power"),
    ],
)
def test_what_a_run_cannot_hold_is_refused_in_one_line(tables, module, expected):
    with pytest.raises(UserError, match=expected) as error:
        models.check_own_networks(build(tables(module)), SIZE)
    assert "\n" not in str(error.value)


class NoPolicy(nn.Module):
    """An encoder that lacks the field that all networks have."""

    stride = 4


class NoGroups(Own):
    """An encoder that is called otherwise."""

    def __call__(self, images, train=False):
        return super().__call__(images, train)


class Twice(Normed):
    """A decoder whose disparity has two channels."""

    def __call__(self, features):
        return (jnp.concatenate(super().__call__(features) * 2, axis=-1),)


class Still(nn.Module):
    """A pose network without parameters."""

    policy: Policy = Policy()

    def __call__(self, pairs, train=False, groups=1):
        return jnp.zeros((len(pairs), 3)), jnp.zeros((len(pairs), 3))


class Six(nn.Module):
    """A pose network that gives six numbers in one array."""

    policy: Policy = Policy()

    @nn.compact
    def __call__(self, pairs, train=False, groups=1):
        return nn.Dense(6)(pairs.mean((1, 2)))


class WithFunction(Own):
    """A field that no config can hold."""

    activation: Callable = nn.relu


@pytest.mark.parametrize(
    ("modules", "expected"),
    [
        ({"encoder": NoPolicy}, "NoPolicy has no field policy; expected policy: Policy"),
        ({"encoder": NoGroups}, "has the arguments images, train: expected train=False and gr"),
        (
            {"decoder": Twice},
            r"Twice gives .*\(1, 32, 64, 2\) in a tuple: expected a tuple",
        ),
        ({"pose": Still}, "Still has no parameters"),
        ({"pose": Six}, r"Six gives arrays of shape \(1, 6\)"),
        (
            {"encoder": WithFunction},
            "WithFunction.activation has <.*> for a default: expected",
        ),
    ],
)
def test_what_a_network_lacks_is_named(tables, modules, expected):
    with pytest.raises(UserError, match=expected) as error:
        models.check_own_networks(build(tables(**modules)), SIZE)
    assert "\n" not in str(error.value)


def test_networks_of_linen_s_layers_pass(tables):
    models.check_own_networks(build(tables(Everything)), SIZE)
    models.check_own_networks(build(tables(Own, decoder=None)), SIZE)
