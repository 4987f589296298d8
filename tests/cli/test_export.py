"""`radepth export`: a file that runs, and one line for what does not work."""

import numpy as np
import pytest

from radepth_jax.interop.stablehlo import load_stablehlo
from radepth_jax.runs.saved_model import save_model, store_metric_scale
from radepth_jax.runs.state import init_state, variables_of

NEEDS_ONNX = "needs the onnx extra: pip install 'radepth-jax[onnx]'"


@pytest.fixture(scope="module")
def checkpoint(reference_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "micro"
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    store_metric_scale(folder, 0, 2.0)
    return folder


def test_stablehlo_at_the_training_resolution(radepth, checkpoint, tmp_path):
    path = tmp_path / "depth.stablehlo"
    code, out, _ = radepth(
        "export", f"--checkpoint={checkpoint}", "--format=stablehlo", f"--output={path}",
        "--platforms=cpu",
    )  # fmt: skip
    assert code == 0
    assert out == f"{path}: 64x32 images to disparity\n"
    loaded = load_stablehlo(path)
    assert loaded.metadata["platforms"] == ["cpu"]
    disparity = loaded.call(np.zeros((1, 32, 64, 3), np.float32))["disparity"]
    assert disparity.shape == (1, 32, 64, 1)


def test_onnx_with_depth(radepth, checkpoint, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime", reason=NEEDS_ONNX)
    pytest.importorskip("onnx", reason=NEEDS_ONNX)
    path = tmp_path / "depth.onnx"
    code, out, err = radepth(
        "export", f"--checkpoint={checkpoint}", "--format=onnx", "--resolution=96x64", "--depth",
        f"--output={path}",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert out == f"{path}: 96x64 images to disparity and depth in metres\n"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images = np.random.default_rng(0).random((2, 64, 96, 3), np.float32)
    disparity, depth = session.run(None, {"images": images})
    np.testing.assert_allclose(depth, 2 / (0.01 + 9.99 * disparity), rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--format=stablehlo", "--output=x"], "--checkpoint"),
        (["--checkpoint=nowhere", "--format=onnx", "--output=x"], "nowhere: no checkpoint here"),
        (["--checkpoint=CHECKPOINT", "--format=tflite", "--output=x"], "--format"),
        (["--checkpoint=CHECKPOINT", "--format=onnx"], "--output"),
        (
            ["--checkpoint=CHECKPOINT", "--format=onnx", "--output=x", "--resolution=65x32"],
            "resolution 65x32",
        ),
        (
            ["--checkpoint=CHECKPOINT", "--format=stablehlo", "--output=taken/x"],
            "taken: File exists",
        ),
        (
            ["--checkpoint=CHECKPOINT", "--format=stablehlo", "--output=."],
            "is a folder; name a file",
        ),
        (
            ["--checkpoint=CHECKPOINT", "--format=stablehlo", "--output=x", "--platforms=abacus"],
            "platform 'abacus': expected cpu, cuda, rocm or tpu",
        ),
    ],
)
def test_wrong_arguments_are_one_line(
    radepth, checkpoint, tmp_path, monkeypatch, arguments, expected
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").touch()
    arguments = [argument.replace("CHECKPOINT", str(checkpoint)) for argument in arguments]
    code, _, err = radepth("export", *arguments)
    assert code == 2, err
    assert expected in err
    assert len(err.strip().splitlines()) == 1, err
    assert not (tmp_path / "x").exists()
