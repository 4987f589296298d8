import numpy as np
import pytest
from PIL import Image

from radepth_jax.geometry.camera import back_project
from radepth_jax.pictures import colorize
from radepth_jax.predict import outputs


@pytest.fixture
def depth():
    return np.random.default_rng(0).uniform(1, 90, (5, 8)).astype(np.float32)


def test_png_is_depth_times_256_and_says_what_it_cut(tmp_path, depth):
    depth[0, :2] = 300, 0.001
    share = outputs.write_png(tmp_path / "d.png", depth)
    with Image.open(tmp_path / "d.png") as image:
        assert image.mode == "I;16"
        levels = np.asarray(image)
    assert share == 1 / 40
    assert list(levels[0, :2]) == [65535, 1]  # 0 means no value
    np.testing.assert_allclose(levels.ravel()[2:] / 256, depth.ravel()[2:], atol=1 / 512 + 1e-6)


def test_npy_is_float32(tmp_path, depth):
    outputs.write_npy(tmp_path / "deeper" / "d.npy", depth)
    loaded = np.load(tmp_path / "deeper" / "d.npy")
    assert loaded.dtype == np.float32
    np.testing.assert_array_equal(loaded, depth)


def test_colours_are_inverse_depth(tmp_path, depth):
    outputs.write_color(tmp_path / "c.png", depth)
    with Image.open(tmp_path / "c.png") as image:
        np.testing.assert_array_equal(np.asarray(image), colorize(1 / depth))
    assert colorize(1 / depth).sum(-1).ravel()[depth.argmin()] == 252 + 253 + 191  # magma's end
    assert colorize(1 / depth).sum(-1).ravel()[depth.argmax()] == 0 + 0 + 4


@pytest.mark.parametrize("floats", [False, True])
def test_ply_holds_every_pixels_point_and_colour(tmp_path, depth, floats):
    image = np.random.default_rng(1).integers(0, 256, (5, 8, 3), np.uint8)
    K = np.array([[7.0, 0, 3.2], [0, 6.0, 2.1], [0, 0, 1]])
    given = image / np.float32(255) if floats else image
    outputs.write_ply(tmp_path / "p.ply", depth, given, K)
    header, body = (tmp_path / "p.ply").read_bytes().split(b"end_header\n", 1)
    assert header.decode().split("\n") == [
        "ply", "format binary_little_endian 1.0", "element vertex 40", "property float x",
        "property float y", "property float z", "property uchar red", "property uchar green",
        "property uchar blue", "",
    ]  # fmt: skip
    rows = np.frombuffer(body, [("point", "<f4", 3), ("colour", "u1", 3)])
    expected = back_project(depth[..., None], K.astype(np.float32)).reshape(-1, 3)
    np.testing.assert_allclose(rows["point"], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(rows["colour"], image.reshape(-1, 3))


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "d.npy"
    path.write_text("old")

    def write_half():
        with outputs.atomic_write(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
