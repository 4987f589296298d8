"""Fixtures of small data sets."""

from pathlib import Path

import pytest
from small_data_sets import build_toy, write_drive

from radepth_jax.data.dataset import Dataset


@pytest.fixture(scope="session")
def toy(tmp_path_factory) -> Dataset:
    return build_toy(tmp_path_factory.mktemp("toy"))


@pytest.fixture
def kitti(tmp_path) -> Path:
    """Drives 0001 (six frames) and 0002 (four frames with scans 0-2)."""
    root = tmp_path / "kitti"
    write_drive(root, "0001", range(6))
    write_drive(root, "0002", range(4), scans=range(3))
    return root
