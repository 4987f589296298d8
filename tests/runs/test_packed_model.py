"""Models that anybody may have packed: only what `radepth push` writes is taken."""

import json
import shutil

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from radepth_jax.errors import UserError
from radepth_jax.runs.packed_model import CONFIG, WEIGHTS, PackedModel, write_packed
from radepth_jax.runs.saved_model import load_model
from radepth_jax.runs.state import camera_variables, init_state, variables_of


@pytest.fixture(scope="module")
def packed(reference_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "good"
    variables = variables_of(init_state(reference_config, 1))
    write_packed(PackedModel(variables, reference_config, 7, 5.4), folder)
    return folder


@pytest.fixture
def copy(packed, tmp_path):
    shutil.copytree(packed, tmp_path / "mine")
    return tmp_path / "mine"


def refused(folder):
    with pytest.raises(UserError) as error:
        load_model(folder)
    assert str(folder) in str(error.value)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_was_written_is_read(copy):
    model = load_model(copy)
    assert (model.step, model.metric_scale) == (7, 5.4)
    save_file({k: v.astype(np.float16) for k, v in load_file(copy / WEIGHTS).items()},
              copy / WEIGHTS)  # fmt: skip
    assert load_model(copy).step == 7


def test_a_learned_camera_is_part_of_it(micro_config, tmp_path):
    micro_config.pose.learned_fov = 60.0
    variables = variables_of(init_state(micro_config, 1))
    assert variables["camera"] == camera_variables(micro_config)["camera"]
    write_packed(PackedModel(variables, micro_config, 1), tmp_path / "mine")
    assert load_model(tmp_path / "mine").learned_fov == pytest.approx(60)
    del variables["camera"]
    write_packed(PackedModel(variables, micro_config, 1), tmp_path / "mine")
    assert "camera/params/log_focal is missing" in refused(tmp_path / "mine")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda flat, name: flat.pop(name), "is missing"),
        (lambda flat, name: flat.update(more=flat[name]), "more is not part of its networks"),
        (lambda flat, name: flat.update({name: flat[name][..., :-1]}), "its config says ["),
        (lambda flat, name: flat.update({name: flat[name].T}), "its config says ["),
        (lambda flat, name: flat[name].__setitem__(..., np.nan), "is NaN or infinite in places"),
        (lambda flat, name: flat[name].flat.__setitem__(3, -np.inf), "is NaN or infinite in"),
        (lambda flat, name: flat.update({name: flat[name] * np.float64(1e300)}), "is NaN or inf"),
        (
            lambda flat, name: flat.update({name: flat[name].astype(np.int8)}),
            "weights that are not floating-point",
        ),
        (lambda flat, name: flat.update({f"{name}/more": flat[name]}), "("),
        (lambda flat, name: [flat.pop(n) for n in list(flat) if n[:5] == "depth"], "is missing"),
        (lambda flat, name: [flat.pop(n) for n in list(flat) if n[:4] == "pose"], "is missing"),
    ],
)
def test_weights_that_do_not_fit_are_named(copy, change, expected):
    flat = dict(load_file(copy / WEIGHTS))
    name = next(n for n, v in flat.items() if n.startswith("depth/params") and v.ndim == 4)
    flat[name] = flat[name].copy()
    change(flat, name)
    save_file({k: np.ascontiguousarray(v) for k, v in flat.items()}, copy / WEIGHTS)
    assert expected in refused(copy)


def test_a_negative_variance_is_named(copy):
    flat = {k: v.copy() for k, v in load_file(copy / WEIGHTS).items()}
    name = next(n for n in flat if n.endswith("/var"))
    flat[name][0] = -1
    save_file(flat, copy / WEIGHTS)
    assert f"{name}, a variance, is negative in places" in refused(copy)


def test_brain_floats_are_floats(copy):
    flat = {k: v.astype(ml_dtypes.bfloat16) for k, v in load_file(copy / WEIGHTS).items()}
    save_file(flat, copy / WEIGHTS)
    assert load_model(copy).step == 7


DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        *(("metres_per_unit", v, "expected a positive number") for v in (-5.4, 0, "5", True)),
        *(
            ("metres_per_unit", v, "expected a positive number")
            for v in (np.nan, np.inf, [1], 10**400)
        ),
        *(("step", v, f"step is {v!r}") for v in (-1, 1.5, "7", None)),
        ("config", None, ""),
        ("config", [1], ""),
        ("config.seed", "x", "Could not override field 'seed'"),
        ("config.seed", None, "config.seed is null"),
        ("config.loss", None, ""),
        ("config.loss.max_depth", "far", ""),
        (
            "config.loss.max_depth",
            -100,
            "loss.min_depth: expected a number above 0 and below loss.max_depth",
        ),
        (
            "config.loss.min_depth",
            np.nan,
            "loss.min_depth: expected a number above 0 and below loss.max_depth",
        ),
        ("config.views.resolution", 640, ""),
        ("config.views.resolution", ["a", "b"], ""),
        ("config.views.resolution", [0, 0], "views.resolution"),
        ("config.evaluate.max_depth", [], "Could not override field 'max_depth'"),
        ("config.model.depth", {}, "no decoder"),
        ("config.model.depth.encoder.name", "vit", "expected one of hrnet"),
        ("config.model.depth.encoder.width", "x", ""),
        ("config.model.depth.encoder.width", -4, ""),
        ("config.model.depth.encoder.width", 2.5, ""),
        ("config.model.depth.encoder.width", 8, "its config says ["),
        ("config.model.dtype", "int8", "expected one of float32"),
    ],
)
def test_a_config_that_does_not_fit_is_named(copy, field, value, expected):
    about = json.loads((copy / CONFIG).read_text())
    *path, last = field.split(".")
    part = about
    for name in path:
        part = part[name]
    part[last] = value
    (copy / CONFIG).write_text(json.dumps(about))
    assert expected in refused(copy)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (DEEP, "config.json: not the config of a model (nested deeper than 100 levels)"),
        ('{"step": 1, "config": ' + DEEP + "}", "nested deeper"),
        ("{}", "no config"),
        ("[]", ""),
        ("{", "config.json: not the config of a model"),
    ],
)
def test_a_file_that_is_no_config_is_named(copy, content, expected):
    (copy / CONFIG).write_text(content)
    assert expected in refused(copy)
