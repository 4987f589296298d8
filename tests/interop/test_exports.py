"""The exported depth network against the model it came from, at two resolutions."""

import json
import sys
import zipfile

import jax
import numpy as np
import pytest
from published_networks import FAST_COMPILE

from radepth_jax import models
from radepth_jax.errors import UserError
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.interop.onnx_file import export_onnx
from radepth_jax.interop.stablehlo import export_stablehlo, load_stablehlo
from radepth_jax.models import presets
from radepth_jax.runs.config import default_config
from radepth_jax.runs.saved_model import Model

# jax 0.12 has no `ClosedJaxpr`, which jax2onnx 0.13.0 asks for.
needs_older_jax = pytest.mark.skipif(
    jax.__version_info__ >= (0, 12), reason="jax2onnx 0.13.0 does not work with jax 0.12"
)
NEEDS_ONNX = "needs the onnx extra: pip install 'radepth-jax[onnx]'"

RESOLUTIONS = [(64, 32), (96, 64)]


@pytest.fixture(scope="module")
def model() -> Model:
    """A tiny model with a metric scale, whose BatchNorm statistics are not at their start."""
    config = default_config()
    config.model = presets.tiny()
    config.model.depth.encoder.update(width=4, stem_width=4)
    networks = models.build(config.model)
    variables = models.init_variables(networks, jax.random.key(0), (64, 32))
    rng = np.random.default_rng(1)
    statistics = variables["depth"]["batch_stats"]
    variables["depth"]["batch_stats"] = jax.tree.map(
        lambda x: np.asarray(x + 0.3 * rng.random(x.shape), np.float32), statistics
    )
    return Model("tiny", networks, variables, config, step=7, metric_scale=5.4)


@pytest.fixture(scope="module", params=RESOLUTIONS, ids=lambda r: "{}x{}".format(*r))
def example(model, request):
    """Resolution, three images, and what the model makes of them: disparity, depth in metres."""
    width, height = request.param
    images = np.random.default_rng(0).random((3, height, width, 3), np.float32)
    run = jax.jit(model.networks.depth.apply, compiler_options=FAST_COMPILE)
    disparity = run(model.variables["depth"], images)[0]
    depth = 5.4 * depth_from_disparity(disparity, min_depth=0.1, max_depth=100.0)
    return request.param, images, np.asarray(disparity), np.asarray(depth)


def test_stablehlo_is_the_model_for_any_batch(model, tmp_path, example):
    resolution, images, disparity, depth = example
    path = tmp_path / "depth.stablehlo"
    export_stablehlo(model, resolution, path, with_depth=True)
    loaded = load_stablehlo(path)
    run = jax.jit(loaded.call, compiler_options=FAST_COMPILE)
    for batch in (1, 3):
        outputs = run(images[:batch])
        assert set(outputs) == {"disparity", "depth"}
        np.testing.assert_allclose(outputs["disparity"], disparity[:batch], atol=1e-6)
        np.testing.assert_allclose(outputs["depth"], depth[:batch], rtol=1e-5)
    assert loaded.metadata["resolution"] == "{}x{}".format(*resolution)
    assert loaded.metadata["platforms"] == ["cpu", "cuda", "tpu"]
    assert loaded.metadata["depth_unit"] == "metres"


def test_a_stablehlo_file_opens_without_this_package(model, tmp_path):
    export_stablehlo(model, (64, 32), tmp_path / "depth.zip", platforms=("cpu",))
    with zipfile.ZipFile(tmp_path / "depth.zip") as archive:
        exported = jax.export.deserialize(bytearray(archive.read("exported")))
    (images,) = exported.in_avals
    assert str(images.shape) == "(batch, 32, 64, 3)"
    # For one platform the program is plain: no choice between platforms, and no gathers.
    program = exported.mlir_module()
    assert "stablehlo.convolution" in program
    assert "stablehlo.case" not in program
    assert "gather" not in program


@needs_older_jax
def test_onnxruntime_agrees_with_the_model_for_any_batch(model, tmp_path, example):
    onnxruntime = pytest.importorskip("onnxruntime", reason=NEEDS_ONNX)
    pytest.importorskip("onnx", reason=NEEDS_ONNX)
    resolution, images, disparity, depth = example
    path = tmp_path / "depth.onnx"
    export_onnx(model, resolution, path, with_depth=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == ["disparity", "depth"]
    for batch in (1, 3):
        ours = session.run(None, {"images": images[:batch]})
        np.testing.assert_allclose(ours[0], disparity[:batch], atol=1e-4, rtol=0)
        np.testing.assert_allclose(ours[1], depth[:batch], rtol=1e-4)
    properties = session.get_modelmeta().custom_metadata_map
    assert json.loads(properties["metres_per_unit"]) == 5.4
    assert properties["model"] == "tiny"


@pytest.mark.parametrize("export", [export_stablehlo, export_onnx])
def test_a_resolution_that_does_not_fit_is_refused(model, tmp_path, export):
    with pytest.raises(UserError, match=r"resolution 100x32: .* nearest is 96x32"):
        export(model, (100, 32), tmp_path / "file")
    assert not (tmp_path / "file").exists()


def test_without_jax2onnx_it_says_what_to_install(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(UserError, match=r"needs jax2onnx: pip install 'radepth-jax\[onnx\]'"):
        export_onnx(model, (64, 32), tmp_path / "depth.onnx")


def test_a_jax_that_jax2onnx_does_not_know_is_named(model, tmp_path, monkeypatch):
    jax2onnx = pytest.importorskip("jax2onnx", reason=NEEDS_ONNX)

    def to_onnx(*args, **kwargs):
        return jax.a_part_that_went_away

    monkeypatch.setattr(jax2onnx, "to_onnx", to_onnx)
    with pytest.raises(UserError, match=r"does not work with jax \S+; run pip install 'jax<0.12'"):
        export_onnx(model, (64, 32), tmp_path / "depth.onnx")
    assert not (tmp_path / "depth.onnx").exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_a_file_of_another_kind_is_named(tmp_path, content):
    (tmp_path / "depth.stablehlo").write_bytes(content)
    with pytest.raises(UserError, match=r"depth\.stablehlo: not a file of `radepth export"):
        load_stablehlo(tmp_path / "depth.stablehlo")


def test_a_damaged_program_is_named(model, tmp_path):
    path = tmp_path / "depth.stablehlo"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("exported", b"\x10" * 64)
    with pytest.raises(UserError, match=r"depth\.stablehlo: not a file of"):
        load_stablehlo(path)
