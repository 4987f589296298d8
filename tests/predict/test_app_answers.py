"""What the app answers, without a browser."""

import av
import numpy as np
import pytest
import trimesh
from PIL import Image

from radepth_jax.cli.app import named
from radepth_jax.errors import UserError
from radepth_jax.predict import load
from radepth_jax.predict.app_answers import (
    HIGHEST,
    NARROWEST,
    WIDEST,
    OfferedNetworks,
    depth_at,
    resolution_of,
)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return OfferedNetworks(
        {"box": "default", "again": "default"}, tmp_path_factory.mktemp("answers")
    )


@pytest.fixture(scope="module")
def image():
    rows = np.linspace(255, 0, 60).astype(np.uint8)[:, None, None]
    return np.broadcast_to(rows, (60, 100, 3)).copy()


def test_an_answer_is_what_the_library_predicts(networks, image):
    answer = networks.answer("box", image, 130)
    np.testing.assert_array_equal(answer.depth, load(resolution=(128, 64))(image))
    assert answer.colours.shape == (60, 100, 3)
    assert answer.caption.startswith("box at 128x64: ")
    first, second = networks.sweep("again", image, (128, 160))
    np.testing.assert_array_equal(first.depth, answer.depth)
    assert second.caption.startswith("again at 160x96")


def test_the_files_hold_the_depth(networks, image):
    depth = networks.answer("box", image, 128).depth
    paths = networks.files(depth, image, 60.0)
    np.testing.assert_array_equal(np.load(paths["npy"]), depth)
    assert set(paths) == {"color", "png", "npy", "ply", "glb"}
    assert all(path.is_relative_to(networks.folder) for path in paths.values())
    (surface,) = trimesh.load(paths["glb"]).geometry.values()
    np.testing.assert_allclose(-surface.vertices[:, 2].max(), depth.min(), rtol=1e-5)
    assert networks.files(depth, image, 60.0)["glb"] != paths["glb"]


def test_a_video_comes_back_beside_its_depth(networks, tmp_path):
    film = tmp_path / "clip.mp4"
    with av.open(str(film), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for level in (50, 100, 150):
            picture = np.full((64, 96, 3), level, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
        container.mux(stream.encode())
    result = networks.film("box", film, 128)
    assert result.is_relative_to(networks.folder)
    assert result.stat().st_size > 0
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    with pytest.raises(UserError, match=r"broken\.mp4"):
        networks.film("box", tmp_path / "broken.mp4", 128)


def test_a_picture_file_is_read_as_every_command_reads_it(networks, image, tmp_path):
    levels = image.astype(np.uint16) * 257
    Image.fromarray(levels[..., 0]).save(tmp_path / "16.png")
    Image.fromarray(image[..., 0]).save(tmp_path / "8.png")
    deep, usual = (networks.read(tmp_path / f"{bits}.png") for bits in (16, 8))
    np.testing.assert_allclose(deep * 255, usual, atol=1e-4)
    depth = networks.answer("box", deep, 128).depth
    np.testing.assert_allclose(depth, networks.answer("box", usual, 128).depth, rtol=1e-4)
    (tmp_path / "a.sdp").write_text("v=0\n")
    with pytest.raises(UserError, match=r"a\.sdp: not an image"):
        networks.read(tmp_path / "a.sdp")
    with pytest.raises(UserError, match="a description of a stream"):
        networks.film("box", tmp_path / "a.sdp", 128)


def test_an_unknown_network_is_named(networks, image):
    with pytest.raises(UserError, match="other: no such network; expected one of box, again"):
        networks.answer("other", image, 128)


@pytest.mark.parametrize(
    ("width", "size", "expected"),
    [
        (320, (375, 1242), (320, 96)),
        (310, (480, 640), (320, 256)),
        (1, (100, 100), (NARROWEST, NARROWEST)),
        (10**6, (10, 4000), (WIDEST, 64)),
        (320, (1000, 16), (320, HIGHEST)),
        (1024, (1, 100_000), (1024, 64)),
        (1024, (100_000, 1), (1024, HIGHEST)),
    ],
)
def test_resolutions_have_the_pictures_shape(width, size, expected):
    assert resolution_of(width, size) == expected


def test_a_click_reads_the_depth():
    depth = np.arange(12.0).reshape(3, 4)
    assert depth_at(depth, 2, 1) == "(2, 1): depth 6.000, farther than 50%"


def test_networks_are_named_as_given(tmp_path):
    folder = tmp_path / "a=b"
    folder.mkdir()
    assert named("default") == {"the bundled model": "default"}
    assert list(named(f"mine=runs/x, runs/y,{folder}").items())[1:] == [
        ("mine", "runs/x"),
        ("y", "runs/y"),
        ("a=b", str(folder)),
    ]


def test_a_picture_file_and_a_surface_from_the_command(radepth, tmp_path):
    Image.fromarray(np.zeros((40, 60, 3), np.uint8)).save(tmp_path / "a.png")
    command = [
        "predict",
        tmp_path / "a.png",
        "--output",
        tmp_path / "out",
        "--resolution",
        "128x64",
    ]
    code, _, err = radepth(*command, "--save", "glb", "--fov", "60")
    assert (code, err.strip()) == (0, "")
    assert [path.name for path in (tmp_path / "out").glob("*.glb")] == ["a_surface.glb"]
    code, _, err = radepth(*command, "--save", "glb")
    assert code == 2
    assert "--save glb: points in space need --intrinsics" in err
