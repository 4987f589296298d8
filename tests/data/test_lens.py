"""Pictures through lenses that bend, made straight again."""

import json

import numpy as np
import pytest
from test_video import write_video

from radepth_jax.data.dataset import open_dataset
from radepth_jax.data.intrinsics import parse_camera
from radepth_jax.data.lens import Lens, brown, kannala_brandt, straightener
from radepth_jax.data.prepare import prepare
from radepth_jax.errors import UserError

pytest.importorskip("cv2", reason="needs the lens extra: pip install 'radepth-jax[lens]'")

SIZE = (96, 128)
K = np.array([[80.0, 0, 63.5], [0, 82.0, 47.5], [0, 0, 1]])


def scene(x, y, shift=0.0):
    """The colour of the direction (x, y, 1): uint8 [..., 3]."""
    waves = [np.sin(9 * x + shift), np.cos(7 * y), np.sin(5 * (x + y) + shift)]
    return np.uint8(127.5 + 100 * np.stack(waves, -1))


def directions(K, size=SIZE):
    v, u = np.mgrid[: size[0], : size[1]].astype(float)
    return (u - K[0, 2]) / K[0, 0], (v - K[1, 2]) / K[1, 1]


def bend(x, y, lens):
    """Where a lens shows the direction (x, y, 1), by the formulas of OpenCV's documentation."""
    r2 = x * x + y * y
    if lens.fisheye:
        r = np.sqrt(r2) + 1e-12
        t = np.arctan(r)
        k1, k2, k3, k4 = lens.coefficients
        bent = t * (1 + k1 * t**2 + k2 * t**4 + k3 * t**6 + k4 * t**8)
        return x * bent / r, y * bent / r
    k1, k2, p1, p2, k3, k4, k5, k6 = (*lens.coefficients, *(0,) * 8)[:8]
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y,
    )


def seen_through(lens, shift=0.0):
    """A picture of the scene: each pixel's direction, found by iterating `bend`."""
    bent_x, bent_y = directions(K)
    x, y = bent_x.copy(), bent_y.copy()
    for _ in range(100):
        found_x, found_y = bend(x, y, lens)
        x, y = x + 0.7 * (bent_x - found_x), y + 0.7 * (bent_y - found_y)
    return scene(x, y, shift)


LENSES = {
    "barrel": brown([-0.25, 0.05, 0.002, -0.001]),
    "pincushion": brown([0.15]),
    "rational": brown([0.1, 0.02, 0.001, 0.001, 0.01, 0.2, 0.05, 0.01]),
    "fisheye": kannala_brandt([0.02, -0.01]),
}


@pytest.mark.parametrize("name", LENSES)
def test_what_it_returns_is_a_pinhole_cameras_picture(name):
    straighten, new = straightener(K, LENSES[name], SIZE)
    got = straighten(seen_through(LENSES[name]))
    expected = scene(*directions(new))
    error = np.abs(got.astype(float) - expected)[2:-2, 2:-2]
    assert error.mean() < 1.5
    bent = np.abs(seen_through(LENSES[name]).astype(float) - expected)
    assert bent.mean() > 5 * error.mean()
    assert error.max() < 40  # no empty border


def test_a_clip_is_stored_straight(tmp_path):
    lens = LENSES["barrel"]
    frames = [seen_through(lens, 0.3 * i) for i in range(8)]
    clip = write_video(tmp_path / "clip.mp4", frames)
    k1, k2, p1, p2 = lens.coefficients
    camera = {"w": 128, "h": 96, "fl_x": 80, "fl_y": 82, "cx": 64, "cy": 48}
    (tmp_path / "transforms.json").write_text(
        json.dumps(camera | {"k1": k1, "k2": k2, "p1": p1, "p2": p2})
    )
    options = {"source": clip, "intrinsics": str(tmp_path / "transforms.json")}
    prepare("video", data_dir=tmp_path / "data", **options)
    dataset = open_dataset("video", tmp_path / "data")
    for i in range(8):
        image, intrinsics = dataset.image(i)
        expected = scene(*directions(intrinsics), 0.3 * i)
        assert np.abs(image.astype(float) - expected)[2:-2, 2:-2].mean() < 6
    notes = (dataset.directory / "problems.txt").read_text()
    assert "clip.mp4: straightened, because its lens bends the image" in notes


def test_which_lenses_bend():
    assert not Lens().bends
    assert not brown([0, 0, 0, 0, 0]).bends
    assert not brown([1e-5]).bends
    assert brown([0, -0.2]).bends
    assert kannala_brandt([]).bends
    with pytest.raises(ValueError, match="5 coefficients of a fisheye"):
        kannala_brandt([0] * 5)


@pytest.mark.parametrize(
    ("text", "lens"),
    [
        ("1 SIMPLE_RADIAL 128 96 80 64 48 0.1", brown([0.1])),
        ("1 RADIAL 128 96 80 64 48 0.1 0.2", brown([0.1, 0.2])),
        ("1 OPENCV 128 96 80 80 64 48 1 2 3 4", brown([1, 2, 3, 4])),
        ("1 FULL_OPENCV 128 96 80 80 64 48 1 2 3 4 5 6 7 8", brown([1, 2, 3, 4, 5, 6, 7, 8])),
        ("1 RADIAL_FISHEYE 128 96 80 64 48 0.1 0.2", kannala_brandt([0.1, 0.2])),
        ("1 OPENCV_FISHEYE 128 96 80 80 64 48 1 2 3 4", kannala_brandt([1, 2, 3, 4])),
    ],
)
def test_colmaps_lenses(tmp_path, text, lens):
    (tmp_path / "cameras.txt").write_text(text)
    assert parse_camera(str(tmp_path / "cameras.txt"), None, SIZE)[1] == lens


def test_ros_says_which_model_it_has(tmp_path):
    info = "width: 128\nheight: 96\nK: [80, 0, 63.5, 0, 80, 47.5, 0, 0, 1]\nD: [1, 2, 3, 4]\n"
    for model, lens in (("plumb_bob", brown), ("equidistant", kannala_brandt)):
        (tmp_path / "info.yaml").write_text(f"{info}distortion_model: {model}\n")
        found = parse_camera(str(tmp_path / "info.yaml"), None, SIZE)[1]
        assert found == lens([1, 2, 3, 4])


def test_without_opencv_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UserError, match=r"needs OpenCV: pip install 'radepth-jax\[lens\]'"):
        straightener(K, LENSES["barrel"], SIZE)
