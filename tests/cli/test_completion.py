"""What a shell offers after TAB, asked as `register-python-argcomplete` asks."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("radepth pr", ["prepare", "predict"]),
        ("radepth predict --res", ["--resolution"]),
        ("radepth export --format ", ["stablehlo", "onnx"]),
        ("radepth evaluate --scaling m", ["median"]),
        ("radepth prepare kitti_r", ["kitti_raw"]),
        ("radepth prepare video --fo", ["--fov"]),
        ("radepth train --wor", ["--workdir"]),
        ("radepth con", ["config", "convert"]),
        ("radepth config --conf", ["--config.FIELD"]),
        ("radepth nothing --", []),
    ],
)
def test_what_may_come_next(tmp_path, line, expected):
    out = tmp_path / "out"
    out.touch()
    asked = {
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(out),
    }
    command = [sys.executable, "-m", "radepth_jax"]
    done = subprocess.run(
        command, env=os.environ | asked, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    offered = [word for word in out.read_text().split() if word not in ("-h", "--help")]
    assert offered == expected
