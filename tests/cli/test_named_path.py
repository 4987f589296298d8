"""`NAME=PATH`, wherever a command takes it."""

import pytest

from radepth_jax.cli.named_path import split_name, split_names
from radepth_jax.errors import UserError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("runs/x", ("", "runs/x")),
        (" mine=runs/x ", ("mine", "runs/x")),
        ("=runs/x", ("", "runs/x")),
        ("mine=hf:owner/name", ("mine", "hf:owner/name")),
        ("mine=runs/lr=1", ("mine", "runs/lr=1")),
        ("{}/lr=1", ("", "{}/lr=1")),
        ("mine={}/lr=1", ("mine", "{}/lr=1")),
        ("lr=1={}/plain", ("lr=1", "{}/plain")),
        ("lr=1={}/lr=1", ("lr=1", "{}/lr=1")),
        ("mine=~/lr=1", ("mine", "~/lr=1")),
    ],
)
def test_names_and_paths_may_hold_the_sign(tmp_path, monkeypatch, text, expected):
    for name in ("plain", "lr=1"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert split_name(text.format(tmp_path)) == tuple(part.format(tmp_path) for part in expected)


@pytest.mark.parametrize("text", ["", "=", "mine=", " mine= "])
def test_a_path_is_needed(text):
    with pytest.raises(UserError, match=r"expected PATH or NAME=PATH"):
        split_name(text)


def test_lists_leave_out_what_is_empty():
    assert split_names(" a=x, y,,") == [("a", "x"), ("", "y")]
    assert split_names(",") == []
