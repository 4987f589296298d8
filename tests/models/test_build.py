"""Networks from configurations: sizes, contracts, errors, groups and devices."""

import functools

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.models import presets
from radepth_jax.models.pose import POSE_SCALE


def mini(**encoder) -> dict:
    """The smallest networks: three branches, one block each."""
    config = presets.tiny()
    config["depth"]["encoder"].update({"width": 4, "stem_width": 4} | encoder)
    config["pose"]["widths"] = (4, 8)
    return config


def random_images(number: int, channels: int = 3) -> jax.Array:
    return jax.random.uniform(jax.random.key(3), (number, 32, 64, channels))


def parameters(tree) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(tree))


def assert_trees_close(found, expected, **tolerance):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **tolerance), found, expected)


def test_published_parameter_counts():
    networks = models.build(ml_collections.ConfigDict(presets.ra_depth()))
    variables = models.init_variables(networks, jax.random.key(0), (640, 192))
    assert parameters(variables["depth"]["params"]["encoder"]) == 9_562_260
    assert parameters(variables["depth"]["params"]["decoder"]) == 416_589
    assert parameters(variables["pose"]["params"]) == 12_500_492
    assert networks.depth.stride == 32


@pytest.mark.parametrize(
    ("name", "expected"),
    # ../shared/TARGETS.md, less the ResNets' classifier (513,000) and what HR-Depth does not use.
    [("monodepth2", 14_329_236), ("hr_depth", 14_068_308), ("diffnet", 10_869_100)],
)
def test_parameters_of_the_compared_systems(name, expected):
    networks = models.build(presets.MODELS[name]())
    shapes = models.variable_shapes(networks, (640, 192))
    assert parameters(shapes["depth"]["params"]) == expected


@pytest.mark.parametrize("name", presets.MODELS)
def test_every_model_has_a_small_form_with_the_same_scales(name):
    images = jax.ShapeDtypeStruct((2, 64, 96, 3), jnp.float32)
    sizes = []
    for config in (presets.MODELS[name](), presets.tiny(name)):
        networks = models.build(config)
        shapes = models.variable_shapes(networks, (192, 64))["depth"]
        disparities = jax.eval_shape(networks.depth.apply, shapes, images)
        sizes.append([disparity.shape for disparity in disparities])
    assert sizes[0] == sizes[1]
    assert sizes[0][0] == (2, 64, 96, 1)
    assert parameters(shapes["params"]) < 400_000


def test_tiny_is_tiny():
    networks = models.build(ml_collections.ConfigDict(presets.tiny()))
    variables = models.init_variables(networks, jax.random.key(0), (192, 64))
    assert 200_000 < parameters(variables["depth"]["params"]) < 400_000
    assert 150_000 < parameters(variables["pose"]["params"]) < 250_000
    assert networks.depth.stride == 16


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_outputs_are_float32_and_in_range(dtype):
    networks = models.build(mini() | {"dtype": dtype})
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    (disparity,) = networks.depth.apply(variables["depth"], random_images(2))
    assert disparity.shape == (2, 32, 64, 1)
    assert disparity.dtype == jnp.float32
    assert 0 < disparity.min() < disparity.max() < 1
    axisangle, translation = networks.pose.apply(variables["pose"], random_images(2, 6))
    assert axisangle.shape == translation.shape == (2, 3)
    assert axisangle.dtype == translation.dtype == jnp.float32


def test_bfloat16_is_near_float32():
    variables = models.init_variables(models.build(mini()), jax.random.key(0), (64, 32))
    images = random_images(2)
    disparities = [
        models.build(mini() | {"dtype": dtype}).depth.apply(variables["depth"], images)[0]
        for dtype in ("float32", "bfloat16")
    ]
    np.testing.assert_allclose(*disparities, atol=0.03)
    assert not np.array_equal(*disparities)


def test_four_branches_reach_one_thirty_second():
    networks = models.build(mini(branches=4, modules=(1, 1, 1)))
    assert networks.depth.stride == 32
    images = jnp.zeros((1, 64, 96, 3))
    features = jax.eval_shape(
        lambda: networks.depth.init_with_output(jax.random.key(0), images, method="encode")[0]
    )
    assert [feature.shape[1:] for feature in features] == [
        (32, 48, 4),
        (16, 24, 4),
        (8, 12, 8),
        (4, 6, 16),
        (2, 3, 32),
    ]


def test_equal_blocks_are_traced_once(monkeypatch):
    """`nn.jit` holds blocks apart by their fields alone, so more of them trace nothing more."""

    def activations(width: int, blocks: int) -> int:
        encoder = models.build(mini(width=width, blocks=blocks)).depth.encoder
        variables = jax.eval_shape(encoder.init, jax.random.key(0), jnp.zeros((1, 32, 64, 3)))
        names = variables["params"]["stage2_module0"]
        assert sum(name.startswith("branch0_block") for name in names) == blocks
        calls.clear()
        jax.eval_shape(encoder.apply, variables, jnp.zeros((1, 32, 64, 3)))
        return len(calls)

    calls: list[None] = []
    relu = models.policy.Layers.relu
    counting = lambda layers, x: calls.append(None) or relu(layers, x)  # noqa: E731
    monkeypatch.setattr(models.policy.Layers, "relu", counting)
    # Other widths, since a trace is kept for as long as the process runs.
    one, many = activations(5, blocks=1), activations(7, blocks=4)
    assert one == many > 0


def test_groups_are_separate_calls():
    networks = models.build(mini())
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))["depth"]
    images = random_images(6)

    def train(groups):
        return jax.jit(
            lambda variables, x: networks.depth.apply(
                variables, x, train=True, groups=groups, mutable=["batch_stats"]
            ),
            compiler_options=FAST_COMPILE,
        )

    (together,), stats = train(3)(variables, images)
    separate = []
    for part in jnp.split(images, 3):
        (disparity,), updated = train(1)(variables, part)
        separate.append(disparity)
        variables = {**variables, **updated}
    np.testing.assert_allclose(together, jnp.concatenate(separate), atol=1e-5)
    assert_trees_close(stats["batch_stats"], variables["batch_stats"], rtol=1e-3, atol=1e-5)


def test_devices_together_are_one_batch():
    devices = 4
    synced = models.build(mini(), models.Policy(axis_name="devices"))
    alone = models.build(mini())
    variables = models.init_variables(alone, jax.random.key(0), (64, 32))["depth"]
    images = random_images(devices)

    def train(networks):
        def run(variables, x):
            return networks.depth.apply(variables, x, train=True, mutable=["batch_stats"])

        return run

    (expected,), stats = jax.jit(train(alone), compiler_options=FAST_COMPILE)(variables, images)
    run = jax.pmap(
        train(synced),
        axis_name="devices",
        in_axes=(None, 0),
        out_axes=(0, None),
        devices=jax.devices()[:devices],
    )
    (found,), synced_stats = run(variables, images[:, None])
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-5)
    assert_trees_close(synced_stats, stats, rtol=1e-3, atol=1e-5)


def test_initial_disparity_is_where_training_starts():
    config = mini()
    config["depth"]["decoder"]["initial_disparity"] = 0.05
    networks = models.build(config)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    bias = variables["depth"]["params"]["decoder"]["disparity"]["conv"]["bias"]
    np.testing.assert_allclose(jax.nn.sigmoid(bias), 0.05, rtol=1e-5)


def test_pose_is_scaled_and_of_the_first_frame():
    config = presets.tiny()
    config["pose"] = presets.RESNET_POSE
    networks = models.build(config)
    variables = jax.tree.map(
        jnp.zeros_like, models.init_variables(networks, jax.random.key(0), (64, 32))["pose"]
    )
    motion = jnp.arange(1.0, 13.0)
    variables["params"]["head"]["motion"]["conv"]["bias"] = motion
    run = jax.jit(networks.pose.apply, compiler_options=FAST_COMPILE)
    axisangle, translation = run(variables, random_images(1, 6))
    np.testing.assert_allclose(axisangle[0], POSE_SCALE * motion[:3], rtol=1e-6)
    np.testing.assert_allclose(translation[0], POSE_SCALE * motion[3:6], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dtype": "float16"}, "model.dtype: expected one of float32, bfloat16, got 'float16'"),
        (
            {"depth.encoder": {"name": "vgg"}},
            "model.depth.encoder.name: expected one of hrnet, resnet, got 'vgg'",
        ),
        (
            {"depth": {"decoder": presets.ATTENTION_DECODER, "encoder": presets.RESNET18}},
            "decoder.name is 'attention' and .* 'resnet': that decoder needs 'hrnet'",
        ),
        (
            {"depth": {"decoder": presets.SKIP_DECODER}},
            "decoder.channels is .*: expected 4 numbers of channels",
        ),
        (
            {"depth": {"encoder": presets.RESNET18 | {"layers": 34}}},
            "encoder.layers: expected one of 18, 50, got 34",
        ),
        (
            {"depth": {"encoder": presets.RESNET18 | {"stages": 2}}},
            "encoder.stages is 2: expected 3 or 4",
        ),
        (
            {"depth.decoder": {"name": "unet"}},
            "model.depth.decoder.name: expected one of hr, skip, nested, attention, got 'unet'",
        ),
        (
            {"pose": {"name": "lstm"}},
            "model.pose.name: expected one of resnet18, convs, correlation, got 'lstm'",
        ),
        ({"depth.encoder": {"branches": 5}}, "model.depth.encoder.branches is 5: expected 3 or 4"),
        ({"depth.encoder": {"modules": (1, 4, 3)}}, "encoder.modules is .*: expected 2 numbers"),
        ({"depth.encoder": {"width": 0}}, "model.depth.encoder.width is 0"),
        ({"depth.encoder": {"heads": 2}}, "encoder: unknown heads; its fields are name, width"),
        ({"depth": {"name": "resnet"}}, "model.depth: unknown name; its fields are encoder"),
        (
            {"depth.decoder": {"initial_disparity": 1.5}},
            "initial_disparity is 1.5: expected a number",
        ),
        ({"pose": {"widths": ()}}, "model.pose.widths is"),
    ],
)
def test_a_wrong_configuration_is_named(change, message):
    config = presets.tiny()
    for field, value in change.items():
        if isinstance(value, dict):
            functools.reduce(dict.__getitem__, field.split("."), config).update(value)
        else:
            config[field] = value
    with pytest.raises(UserError, match=message):
        models.build(config)


def test_the_pose_network_has_three_or_four_stages():
    config = presets.tiny()
    config["pose"] = presets.RESNET_POSE | {"stages": 3}
    shapes = models.variable_shapes(models.build(config), (64, 32))["pose"]
    assert "stage3_block1" in shapes["params"]["encoder"]
    assert "stage4_block0" not in shapes["params"]["encoder"]
    config["pose"]["stages"] = 2
    with pytest.raises(UserError, match=r"model\.pose\.stages is 2: expected 3 or 4"):
        models.build(config)


def test_a_missing_field_is_named():
    config = presets.tiny()
    del config["depth"]["encoder"]["blocks"]
    with pytest.raises(UserError, match=r"model\.depth\.encoder: missing blocks"):
        models.build(config)


@pytest.mark.parametrize("resolution", [(640, 190), (16, 64)])
def test_a_resolution_that_does_not_fit(resolution):
    networks = models.build(mini())
    with pytest.raises(UserError, match="multiples of 16, 32 at least; the nearest is"):
        models.init_variables(networks, jax.random.key(0), resolution)
    width, height = resolution
    with pytest.raises(UserError, match=f"resolution {width}x{height}"):
        jax.eval_shape(networks.depth.init, jax.random.key(0), jnp.zeros((1, height, width, 3)))


def test_a_batch_that_does_not_split_into_groups():
    networks = models.build(mini())
    with pytest.raises(UserError, match="4 images cannot be split into 3 groups"):
        jax.eval_shape(
            lambda: networks.depth.init(jax.random.key(0), jnp.zeros((4, 32, 32, 3)), groups=3)
        )


@pytest.mark.parametrize(("name", "share"), [("ra_depth", 0.5), ("monodepth2", 0.6)])
def test_rematerialising_keeps_less_for_the_same_gradient(name, share):
    config = presets.tiny(name)
    images = random_images(2)
    variables = models.init_variables(models.build(config), jax.random.key(0), (64, 32))["depth"]

    def loss(params, rematerialise):
        network = models.build(config, models.Policy.native(remat=rematerialise)).depth
        values = variables | {"params": params}
        (disparity, *_), stats = network.apply(values, images, train=True, mutable=["batch_stats"])
        return jnp.mean(jnp.square(disparity)), stats

    kept, found = [], []
    for rematerialise in (False, True):
        part = functools.partial(loss, rematerialise=rematerialise)
        residuals = jax.eval_shape(lambda p, f=part: jax.vjp(f, p)[1], variables["params"])
        kept.append(parameters(residuals))
        gradient = jax.jit(jax.grad(part, has_aux=True), compiler_options=FAST_COMPILE)
        found.append(gradient(variables["params"]))
    assert kept[1] - parameters(variables) < share * (kept[0] - parameters(variables))
    assert_trees_close(found[1], found[0], rtol=1e-4, atol=1e-7)
