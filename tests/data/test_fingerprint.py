"""Prepared data sets told apart by what is in them."""

import dataclasses

import numpy as np
import pytest
from small_data_sets import build_toy, toy_contents, toy_depth

from radepth_jax.data import fingerprint as module
from radepth_jax.data import schema
from radepth_jax.data.fingerprint import fingerprint


def changed_frame(number, **fields):
    def make():
        contents = toy_contents()
        frames = list(contents.frames)
        frames[number] = dataclasses.replace(frames[number], **fields)
        return dataclasses.replace(contents, frames=frames)

    return make


def other_picture():
    """Of the same name, size and number of bytes."""
    data = bytearray(list(toy_contents().frames)[13].image)
    data[60] ^= 1
    return changed_frame(13, image=bytes(data))()


def other_depth():
    contents = toy_contents()
    samples = dict(contents.samples)
    samples["test"] = [*samples["test"][:-1], schema.Sample("a", 2, 3, schema.encode_depth(
        toy_depth(3) + np.float32(1e-3)
    ))]  # fmt: skip
    return dataclasses.replace(contents, samples=samples)


def other_order():
    contents = toy_contents()
    samples = dict(contents.samples)
    return dataclasses.replace(contents, samples=samples | {"train": samples["train"][::-1]})


@pytest.mark.parametrize(
    "make",
    [
        other_picture,
        other_depth,
        other_order,
        changed_frame(5, intrinsics=np.eye(3) * [25, 25.001, 1]),
        changed_frame(5, world_T_camera=np.eye(4)),
    ],
)
def test_other_data_of_the_same_names_are_told_apart(toy, tmp_path, make):
    other = build_toy(tmp_path, make)
    assert other.splits == toy.splits
    assert len(fingerprint(toy)) == 32
    assert fingerprint(other) != fingerprint(toy)


def test_the_same_data_from_elsewhere_are_the_same(toy, tmp_path):
    other = build_toy(tmp_path)
    other.metadata.prepared_from = {"source": "elsewhere"}
    assert fingerprint(other) == fingerprint(toy)


def test_of_large_data_records_from_first_to_last_are_read(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_READ_WHOLE", 1)
    monkeypatch.setattr(module, "_SPREAD", 3)
    read = []
    record = type(toy).record
    monkeypatch.setattr(type(toy), "record", lambda *a: read.append(a[1:]) or record(*a))
    fingerprint(toy)
    assert [position for split, position in read if split == "frames"] == [0, 12, 23]
