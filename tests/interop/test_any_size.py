"""One exported file for images of every size, against the model it came from."""

import json

import jax
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.interop.onnx_file import export_onnx
from radepth_jax.interop.onnx_sizes import open_sizes
from radepth_jax.interop.stablehlo import export_stablehlo, load_stablehlo
from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.saved_model import Model

NEEDS_ONNX = "needs the onnx extra: pip install 'radepth-jax[onnx]'"

FIVE = [(64, 64), (96, 32), (128, 64), (160, 96), (96, 128)]  # (width, height)


def small_model(name: str) -> Model:
    config = default_config()
    config.model = presets.tiny(name)
    config.model.depth.encoder.width = 4
    networks = models.build(config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 64))
    rng = np.random.default_rng(1)
    depth = variables["depth"]
    depth["params"] = jax.tree.map(
        lambda x: np.float32(x + 0.05 * rng.normal(size=x.shape)), depth["params"]
    )
    depth["batch_stats"] = jax.tree.map(
        lambda x: np.float32(x + 0.3 * rng.random(x.shape)), depth["batch_stats"]
    )
    return Model(name, networks, variables, config)


@pytest.fixture(scope="module")
def examples():
    """Name of a network -> its model, and the disparities of images of several sizes."""
    made = {}

    def example(name):
        if name not in made:
            model = small_model(name)
            run = jax.jit(model.networks.depth.apply, compiler_options=FAST_COMPILE)
            pairs = []
            for width, height in FIVE if name == "ra_depth" else FIVE[3:]:
                rng = np.random.default_rng(width)
                images = rng.random((2, height, width, 3), np.float32)
                pairs.append((images, np.asarray(run(model.variables["depth"], images)[0])))
            made[name] = model, pairs
        return made[name]

    return example


@pytest.mark.parametrize("name", ["ra_depth", "monodepth2", "hr_depth", "diffnet"])
def test_one_onnx_file_for_all_sizes(tmp_path, examples, name):
    onnxruntime = pytest.importorskip("onnxruntime", reason=NEEDS_ONNX)
    model, pairs = examples(name)
    path = tmp_path / "any.onnx"
    export_onnx(model, None, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", "height", "width", 3]
    assert session.get_outputs()[0].shape == ["batch", "height", "width", 1]
    for images, disparity in pairs:
        ours = session.run(None, {"images": images})[0]
        np.testing.assert_allclose(ours, disparity, atol=1e-4, rtol=0)
        one = session.run(None, {"images": images[:1]})[0]
        np.testing.assert_allclose(one, disparity[:1], atol=1e-4, rtol=0)
    assert session.get_modelmeta().custom_metadata_map["resolution"] == "any"
    assert json.loads(session.get_modelmeta().custom_metadata_map["stride"]) == 16


@pytest.mark.parametrize("resolution", [None, (96, 128)])
def test_half_precision_is_near(tmp_path, examples, resolution):
    onnx = pytest.importorskip("onnx", reason=NEEDS_ONNX)
    onnxruntime = pytest.importorskip("onnxruntime", reason=NEEDS_ONNX)
    model, pairs = examples("ra_depth")
    half = tmp_path / "half.onnx"
    export_onnx(model, resolution, half, half=True)
    kernels = [each for each in onnx.load(half).graph.initializer if len(each.dims) == 4]
    assert len(kernels) > 40
    assert {each.data_type for each in kernels} == {onnx.TensorProto.FLOAT16}
    session = onnxruntime.InferenceSession(half, providers=["CPUExecutionProvider"])
    for images, disparity in pairs if resolution is None else pairs[4:]:
        ours = session.run(None, {"images": images})[0]
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, disparity, atol=5e-3, rtol=0)


@pytest.mark.parametrize("name", ["ra_depth", "monodepth2", "hr_depth", "diffnet"])
def test_one_stablehlo_file_for_all_sizes(tmp_path, examples, name):
    model, pairs = examples(name)
    path = tmp_path / "any.stablehlo"
    export_stablehlo(model, None, path, platforms=("cpu",))
    loaded = load_stablehlo(path)
    run = jax.jit(loaded.call, compiler_options=FAST_COMPILE)
    for images, disparity in pairs:
        np.testing.assert_allclose(run(images)["disparity"], disparity, atol=1e-5)
    with pytest.raises(ValueError, match=r"stride|multiple|divisible|16"):
        loaded.call(np.zeros((1, 40, 64, 3), np.float32))


def test_what_depends_on_the_size_in_a_new_way_is_refused():
    onnx = pytest.importorskip("onnx", reason=NEEDS_ONNX)

    def graph(size):
        width, height = size
        helper = onnx.helper
        shape = ["batch", height, width, 3]
        images, out = (
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
            for name in ("images", "out")
        )
        constant = onnx.numpy_helper.from_array(np.float32(width**0.5), "root")
        node = helper.make_node("Mul", ["images", "root"], ["out"])
        return helper.make_model(helper.make_graph([node], "g", [images], [out], [constant]))

    with pytest.raises(UserError, match="depends on the size in a new way"):
        open_sizes(graph, 16)
