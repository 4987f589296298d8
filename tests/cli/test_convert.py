"""`radepth convert`: what it says, and one line for what does not work."""

import jax
import numpy as np
import pytest

from radepth_jax import models
from radepth_jax.interop.torch_files import read_folder, write_folder
from radepth_jax.interop.torch_keys import torch_from_variables
from radepth_jax.models import presets


def small() -> dict:
    config = presets.ra_depth()
    config["depth"]["encoder"].update(width=2, branches=3, modules=(1, 1), blocks=1, stem_width=2)
    return config


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A small network's depth files, as safetensors."""
    monkeypatch.setitem(presets.MODELS, "ra_depth", small)
    variables = models.init_variables(models.build(small()), jax.random.key(0), (64, 64))
    parts = torch_from_variables(variables, small())
    write_folder(
        {part: parts[part] for part in ("encoder", "depth")}, tmp_path / "in", "safetensors"
    )
    return tmp_path / "in"


def test_there_and_back(radepth, folder, tmp_path):
    code, out, _ = radepth("convert", f"--input={folder}", f"--output={tmp_path / 'run'}")
    assert code == 0
    assert "has no pose_encoder and no pose: the pose network is freshly initialised" in out
    assert f"converted to {tmp_path / 'run'}: ra_depth, 640x192, at step 0" in out

    back = tmp_path / "back"
    code, out, _ = radepth(
        "convert", f"--input={tmp_path / 'run'}", f"--output={back}", "--to=safetensors"
    )
    assert code == 0
    assert out.split() == [
        str(back / f"{part}.safetensors") for part in ("encoder", "depth", "pose_encoder", "pose")
    ]
    given, returned = read_folder(folder), read_folder(back)
    for part, values in given.items():
        for key, value in values.items():
            np.testing.assert_array_equal(returned[part][key], value)

    for arguments, expected in [
        ([f"--input={tmp_path / 'run'}", "--output=x"], "is a checkpoint already"),
        ([f"--input={folder}", f"--output={tmp_path / 'run'}"], "already holds a checkpoint"),
        ([f"--input={tmp_path / 'run'}", f"--output={back}", "--to=safetensors"], "already exists"),
        ([f"--input={folder}", "--output=x", "--to=torch"], "no checkpoint here"),
    ]:
        assert_one_line(radepth("convert", *arguments), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--output=x"], "--input"),
        (["--input=nowhere", "--output=x"], "nowhere: no such folder"),
        (["--input=.", "--output=x", "--to=keras"], "--to"),
        (["--input=.", "--output=x", "--model=other"], "--model"),
    ],
)
def test_wrong_arguments_are_one_line(radepth, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert_one_line(radepth("convert", *arguments), expected)
    assert not (tmp_path / "x").exists()


def assert_one_line(result, expected):
    code, _, err = result
    assert code == 2, err
    assert expected in err
    assert len(err.strip().splitlines()) == 1, err
