"""A short form of `experiments/fuzz.py`, and that it can find something."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[2] / "experiments"))

import fuzz

READERS = {reader.name: reader for reader in fuzz.readers()}


@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_explained_in_one_line(name, tmp_path):
    reader = READERS[name]
    rng = np.random.default_rng(0)
    for _ in range(100):
        data = fuzz.damage(reader.seeds[int(rng.integers(len(reader.seeds)))], rng)
        fault = fuzz.attempt(reader, data, tmp_path)
        assert fault is None, (data, fault)


def test_a_fault_is_found(tmp_path):
    def read(path):
        return 1 / len(path.read_bytes().split(b"a")[1:])

    reader = fuzz.Reader("a.txt", (b"a",), read)
    assert fuzz.attempt(reader, b"a", tmp_path) is None
    assert "ZeroDivisionError" in fuzz.attempt(reader, b"b", tmp_path)


def test_the_command_counts(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fuzz, "readers", lambda: [READERS["pose.txt"]])
    monkeypatch.setattr(
        sys, "argv", ["fuzz.py", "--minutes", "0.005", "--output", str(tmp_path / "out")]
    )
    with pytest.raises(SystemExit) as end:
        fuzz.main()
    assert end.value.code == 0
    assert "0 kinds of fault" in capsys.readouterr().out
