"""`radepth predict` that breaks off: what it says, what stays, and what the same command does."""

import dataclasses
import json
import os
import signal
import time

import jax
import numpy as np
import pytest
from PIL import Image

from radepth_jax.predict import outputs, predictor
from radepth_jax.runs.saved_model import save_model
from radepth_jax.runs.state import init_state, variables_of


@pytest.fixture(scope="module")
def checkpoint(reference_config, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "micro"
    save_model(variables_of(init_state(reference_config, 1)), reference_config, folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(6):
        noise = np.random.default_rng(i).integers(0, 255, (32, 64, 3), np.uint8)
        Image.fromarray(noise).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def written(monkeypatch):
    """The names of NPY files that are written, in order; set `stop_at` and how to break off."""

    class Writes(list):
        stop_at, stop = None, None

    names, write_npy = Writes(), outputs.write_npy

    def write(path, depth):
        if names.stop_at is not None and len(names) >= names.stop_at:
            time.sleep(1)  # until the main thread has the signal, however busy the machine is
        write_npy(path, depth)
        names.append(path.name)
        if len(names) == names.stop_at:
            names.stop()

    monkeypatch.setattr(outputs, "write_npy", write)
    monkeypatch.setattr("os.cpu_count", lambda: 1)  # one writes, in order
    return names


@pytest.fixture
def predict(radepth, checkpoint, pictures, tmp_path):
    def run(*options):
        # A shell starts what runs in the background with Ctrl-C ignored.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            return radepth(
                "predict", "--checkpoint", checkpoint, "--output", tmp_path / "out", "--save",
                "npy", "--batch_size", 1, *options, pictures,
            )  # fmt: skip
        finally:
            signal.signal(signal.SIGINT, before)

    return run


def record(tmp_path):
    return json.loads((tmp_path / "out" / "predict.json").read_text())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_command_goes_on(predict, written, tmp_path, number):
    written.stop_at, written.stop = 3, lambda: os.kill(os.getpid(), number)
    code, _, err = predict()
    assert code == 128 + number
    finished = record(tmp_path)["finished"]
    assert 0 < len(finished) < 6
    assert f"interrupted; {len(finished)} of 6 inputs are finished; the same command goes on" in err
    assert record(tmp_path)["complete"] is False
    assert not list((tmp_path / "out").glob(".*"))
    written.clear()
    written.stop_at = None
    code, out, err = predict()
    assert code == 0
    assert f"{len(finished)} of 6 inputs were finished before" in err
    assert f"{6 - len(finished)} image" in out
    assert sorted(written) == [f"{i}_depth.npy" for i in range(6) if str(i) not in finished]
    assert record(tmp_path)["complete"] is True
    assert sorted(record(tmp_path)["finished"]) == list("012345")
    written.clear()
    code, _, _ = predict()  # of a complete run nothing is skipped
    assert (code, len(written)) == (0, 6)


@pytest.fixture
def broken_off(predict, written, tmp_path):
    """After three of six pictures, or four."""
    written.stop_at, written.stop = 3, lambda: os.kill(os.getpid(), signal.SIGINT)
    predict()
    written.clear()
    written.stop_at = None
    return list(record(tmp_path)["finished"])


@pytest.mark.parametrize("options", [["--flip"], ["--scale", "2"], ["--resolution", "96x32"]])
def test_outputs_of_other_settings_are_not_mixed(predict, written, broken_off, options):
    code, _, _ = predict(*options)
    assert (code, len(written)) == (0, 6)


def test_another_network_in_the_same_place_starts_over(
    predict, written, broken_off, checkpoint, reference_config, monkeypatch
):
    def load_other(workdir, **options):
        model = load_model(workdir, **options)
        (head, *_), tree = jax.tree.flatten(model.variables["depth"])
        variables = tree.unflatten([head + 1, *jax.tree.leaves(model.variables["depth"])[1:]])
        return dataclasses.replace(model, variables=model.variables | {"depth": variables})

    load_model = predictor.load_model
    monkeypatch.setattr(predictor, "load_model", load_other)
    code, _, _ = predict()
    assert (code, len(written)) == (0, 6)


def test_what_has_changed_or_is_gone_is_predicted_again(
    predict, written, broken_off, pictures, tmp_path
):
    changed, gone, *kept = broken_off
    noise = np.random.default_rng(9).integers(0, 255, (32, 64, 3), np.uint8)
    Image.fromarray(noise).save(pictures / f"{changed}.png")
    (tmp_path / "out" / f"{gone}_depth.npy").unlink()
    code, _, _ = predict()
    assert code == 0
    assert sorted(written) == [f"{i}_depth.npy" for i in range(6) if str(i) not in kept]


@pytest.mark.parametrize("text", ["", "[]", '{"complete": false, "finished": 3}'])
def test_a_record_that_is_none_starts_over(predict, written, broken_off, tmp_path, text):
    (tmp_path / "out" / "predict.json").write_text(text)
    code, _, _ = predict()
    assert (code, len(written)) == (0, 6)


def test_a_full_disk_says_so_and_the_same_command_goes_on(predict, written, tmp_path):
    def full():
        raise OSError(28, "No space left on device")

    written.stop_at, written.stop = 4, full
    code, _, err = predict()
    assert code == 2
    assert err.splitlines()[-1].startswith("radepth predict: error: the disk of ")
    assert record(tmp_path)["complete"] is False
    finished = record(tmp_path)["finished"]
    written.clear()
    written.stop_at = None
    assert predict()[0] == 0
    assert len(written) == 6 - len(finished) < 6
