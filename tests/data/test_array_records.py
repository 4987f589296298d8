import sys

import pytest

from radepth_jax.data.array_records import array_records
from radepth_jax.data.dataset import Dataset, open_dataset
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError


@pytest.fixture
def hidden(monkeypatch):
    monkeypatch.setitem(sys.modules, "array_record.python", None)


def test_the_writer_is_there():
    assert callable(array_records().ArrayRecordWriter)


@pytest.mark.parametrize(
    ("system", "remedy"),
    [
        ("win32", "which has no version for Windows; use Linux, macOS or WSL"),
        ("linux", "which cannot be imported; run 'pip install array-record'"),
    ],
)
def test_without_the_package_the_remedy_fits_the_system(hidden, monkeypatch, system, remedy):
    monkeypatch.setattr(sys, "platform", system)
    with pytest.raises(UserError) as error:
        array_records()
    assert str(error.value) == f"data sets need the package array-record, {remedy}"


def test_data_sets_ask_for_the_package_before_anything_else(hidden, tmp_path):
    with pytest.raises(UserError, match="need the package array-record"):
        open_dataset("kitti_raw", tmp_path)
    with pytest.raises(UserError, match="need the package array-record"):
        Dataset(tmp_path, "kitti_raw")
    with pytest.raises(UserError, match="need the package array-record"):
        prepare("street/tiny", data_dir=tmp_path / "data")
    assert not list((tmp_path / "data").rglob("*"))
