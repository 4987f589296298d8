import json

import numpy as np
import pytest

from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.errors import UserError

SIZE = (480, 640)
# In our convention, where the first pixel's centre is (0, 0).
EXPECTED = [[525.0, 0, 319.5], [0, 530, 239.5], [0, 0, 1]]

COLMAP = """# Camera list with one line of data per camera:
#   CAMERA_ID, MODEL, WIDTH, HEIGHT, PARAMS[]
# Number of cameras: 1
1 PINHOLE 640 480 525 530 320 240
"""
TRANSFORMS = {"fl_x": 525, "fl_y": 530, "cx": 320, "cy": 240, "w": 640, "h": 480, "k1": 0.0}
CALIBRATION = """image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [525, 0, 319.5, 0, 530, 239.5, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients: {rows: 1, cols: 5, data: [0, 0, 0, 0, 0]}
"""
MESSAGE = """header: {seq: 0, frame_id: camera}
height: 480
width: 640
D: [0.0, 0.0, 0.0, 0.0, 0.0]
K: [525.0, 0.0, 319.5, 0.0, 530.0, 239.5, 0.0, 0.0, 1.0]
---
height: 480
"""
FILES = {
    "cameras.txt": COLMAP,
    "transforms.json": json.dumps(TRANSFORMS),
    "ost.yaml": CALIBRATION,
    "info.yml": MESSAGE,
    "with_marks.txt": "\ufeff" + COLMAP.replace("\n", "\r\n"),
}


@pytest.mark.parametrize("name", FILES)
def test_the_same_camera_from_every_program(tmp_path, name):
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8", newline="")
    np.testing.assert_allclose(parse_intrinsics(str(path), None, SIZE), EXPECTED)
    # Of images twice as large: focal lengths double, and pixel centres move by half a pixel.
    double = parse_intrinsics(str(path), None, (960, 1280))
    np.testing.assert_allclose(double, [[1050, 0, 639.5], [0, 1060, 479.5], [0, 0, 1]])
    with pytest.raises(UserError, match="a camera of 640x480 images, but these are 640x360"):
        parse_intrinsics(str(path), None, (360, 640))


@pytest.mark.parametrize(
    ("model", "numbers"),
    [("SIMPLE_PINHOLE", "525 320 240"), ("SIMPLE_RADIAL", "525 320 240 0"),
     ("RADIAL", "525 320 240 0 0"), ("OPENCV", "525 525 320 240 0 0 0 0")],
)  # fmt: skip
def test_colmaps_models(tmp_path, model, numbers):
    path = tmp_path / "cameras.txt"
    path.write_text(f"7 {model} 640 480 {numbers}\n")
    K = parse_intrinsics(str(path), None, SIZE)
    np.testing.assert_allclose(K, [[525, 0, 319.5], [0, 525, 239.5], [0, 0, 1]])


def test_an_angle_stands_for_a_focal_length(tmp_path):
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({"camera_angle_x": np.pi / 2, "w": 640, "h": 480}))
    K = parse_intrinsics(str(path), None, SIZE)
    np.testing.assert_allclose(K, [[320, 0, 319.5], [0, 320, 239.5], [0, 0, 1]])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.txt", COLMAP + "2 PINHOLE 640 480 525 530 320 240\n", "2 cameras; give a file with"),
        (
            "a.txt",
            "1 FOV 640 480 525 525 320 240 0",
            "line 1: a FOV camera; expected one of SIMPLE",
        ),
        ("a.txt", "1 OPENCV_FISHEYE 640 480 525 525 320 240 0 0 0 0", "its lens bends the image"),
        (
            "a.txt",
            "1 RADIAL 640 480 525 320 240 0.1 0",
            r"its lens bends.*\(coefficients 0.1, 0, 0",
        ),
        ("a.txt", "1 RADIAL 640 480 525 320 240 0.1", "line 1: 4 parameters; a RADIAL has 5"),
        ("a.txt", "1 PINHOLE 640", "not a camera"),
        ("a.txt", "", "0 cameras"),
        ("a.json", json.dumps(TRANSFORMS | {"k1": -0.2}), "its lens bends the image"),
        ("a.json", json.dumps(TRANSFORMS | {"k2": float("nan")}), "not a camera"),
        ("a.json", json.dumps(TRANSFORMS | {"k4": 0.1}), "k4 of a lens that is no fisheye"),
        ("a.json", "[]", "not a camera"),
        ("a.json", "{", "not a camera"),
        ("a.json", '{"a":' * 100_000, "nested deeper than 100 levels"),
        ("a.yaml", "[" * 100_000, "not a camera .RecursionError"),
        ("a.yaml", "a: [", "not a camera"),
        ("a.yaml", "", "not a camera"),
        ("a.yaml", MESSAGE.replace("640", "0"), "not a camera"),
        ("a.json", json.dumps(TRANSFORMS | {"fl_x": 0.8}), "are these pixels"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        parse_intrinsics(str(path), None, SIZE)
    assert "\n" not in str(error.value)


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match=r"nowhere\.txt"):
        parse_intrinsics("nowhere.txt", None, SIZE)
