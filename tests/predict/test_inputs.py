import numpy as np
import pytest
from PIL import Image

from radepth_jax.errors import UserError
from radepth_jax.predict.inputs import find_inputs, input_size, read_image


def names(paths, output="out"):
    return [file.name for file in find_inputs(paths, output).inputs]


def touch(folder, *files):
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()


def test_a_folder_is_the_images_and_videos_in_it_in_natural_order(tmp_path):
    touch(tmp_path, "10.png", "2.JPG", "20 film.mp4", "3.npy", "notes.txt", "deeper/1.png")
    files = find_inputs([tmp_path], tmp_path / "out").inputs
    assert [(file.name, file.is_video) for file in files] == [
        ("2", False), ("3", False), ("10", False), ("20 film", True), ("deeper/1", False),
    ]  # fmt: skip


def test_names_grow_until_no_two_are_the_same(tmp_path):
    touch(tmp_path, "a/1.png", "b/1.png", "b/2.png", "c/3.png", "c/3.jpg")
    assert names([tmp_path / "a", tmp_path / "c/3.png"]) == ["1", "3"]
    assert names([tmp_path / "a", tmp_path / "b"]) == ["a/1", "b/1", "b/2"]
    assert names([tmp_path / "c"]) == ["3.jpg", "3.png"]
    assert names([tmp_path / "a", tmp_path / "c"]) == ["a/1.png", "c/3.jpg", "c/3.png"]
    assert names([tmp_path / "a", tmp_path / "a/1.png"]) == ["1"]


def test_what_cannot_be_input_is_named(tmp_path):
    touch(tmp_path, "texts/notes.txt", "a/1.png")
    with pytest.raises(UserError, match="texts: no images or videos in it"):
        find_inputs([tmp_path / "texts"], tmp_path / "out")
    with pytest.raises(UserError, match=r"nowhere\.png: no such file"):
        find_inputs([tmp_path / "nowhere.png"], tmp_path / "out")
    with pytest.raises(UserError, match="is also the output folder"):
        find_inputs([tmp_path / "a"], tmp_path / "b/../a")


@pytest.fixture
def colours():
    return np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def test_exif_orientation_turns_the_image_upright(tmp_path, colours):
    for orientation, stored in {
        1: colours,
        3: colours[::-1, ::-1],
        6: np.rot90(colours),  # to be turned clockwise
        8: np.rot90(colours, -1),
        5: colours.transpose(1, 0, 2),
    }.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / f"{orientation}.png"
        Image.fromarray(np.ascontiguousarray(stored)).save(path, exif=exif)
        np.testing.assert_array_equal(read_image(path), colours)
        assert input_size(path) == (6, 9)


def test_grey_transparency_and_palettes_become_rgb(tmp_path, colours):
    grey = colours[..., 0]
    repeated = np.repeat(grey[..., None], 3, axis=-1)
    alpha = np.dstack([colours, grey])
    palette = Image.fromarray(colours).quantize(64)
    palette.info["transparency"] = bytes(range(64))
    cases = {
        "grey": (Image.fromarray(grey), repeated),
        "rgba": (Image.fromarray(alpha), colours),
        "grey_alpha": (Image.fromarray(np.dstack([grey, grey]), "LA"), repeated),
        "palette": (palette, np.asarray(palette.convert("RGBA"))[..., :3]),
    }
    for name, (image, expected) in cases.items():
        path = tmp_path / f"{name}.png"
        image.save(path)
        np.testing.assert_array_equal(read_image(path), expected, err_msg=name)
        assert input_size(path) == (6, 9)


@pytest.mark.parametrize(("name", "dtype"), [("16.png", np.uint16), ("32.tif", np.int32)])
def test_grey_of_16_bits_keeps_them(tmp_path, name, dtype):
    levels = np.random.default_rng(0).integers(0, 65536, (6, 9)).astype(dtype)
    levels[0, :2] = 0, 65535
    Image.fromarray(levels).save(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, np.stack([levels / 65535] * 3, axis=-1), rtol=1e-6)
    assert input_size(tmp_path / name) == (6, 9)


@pytest.mark.parametrize("dtype", [np.uint8, np.float16, np.float32, np.float64, ">f4"])
def test_an_npy_file_holds_the_picture(tmp_path, colours, dtype):
    floats = np.dtype(dtype).kind == "f"
    array = (colours / 255).astype(dtype) if floats else colours
    for order in (np.ascontiguousarray, np.asfortranarray):
        np.save(tmp_path / "1.npy", order(array))
        image = read_image(tmp_path / "1.npy")
        assert image.dtype == (np.float32 if floats else np.uint8)
        np.testing.assert_array_equal(image, array.astype(image.dtype))
        assert input_size(tmp_path / "1.npy") == (6, 9)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.zeros((6, 9), np.float32), r"^float32 \[6, 9\]: expected uint8 \[H, W, 3\], or floats"),
        (np.zeros((6, 9, 4), np.uint8), r"^uint8 \[6, 9, 4\]: expected"),
        (np.zeros((0, 9, 3), np.uint8), r"^uint8 \[0, 9, 3\]: expected"),
        (np.zeros((6, 9, 3), np.int64), r"^int64 \[6, 9, 3\]: expected"),
        (np.zeros((6, 9, 3), object), "^not an NPY file of numbers"),
    ],
)
def test_an_npy_file_of_something_else_is_known_by_its_header(tmp_path, array, expected):
    np.save(tmp_path / "1.npy", array)
    for function in (input_size, read_image):
        with pytest.raises(ValueError, match=expected):
            function(tmp_path / "1.npy")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (255.0, r"float32 \[6, 9, 3\] from 0 to 255: expected .* in \[0, 1\]"),
        (-0.5, "from -0.5 to 0: expected"),
        (np.inf, "from 0 to inf: expected"),
        (np.nan, "with NaN in it: expected"),
    ],
)
def test_an_npy_files_values_are_checked(tmp_path, value, expected):
    array = np.zeros((6, 9, 3), np.float32)
    array[2, 3, 1] = value
    np.save(tmp_path / "1.npy", array)
    assert input_size(tmp_path / "1.npy") == (6, 9)
    with pytest.raises(ValueError, match=expected):
        read_image(tmp_path / "1.npy")


def test_a_damaged_npy_file_says_so(tmp_path, colours):
    np.save(tmp_path / "whole.npy", colours)
    data = (tmp_path / "whole.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(data[:-1])
    (tmp_path / "header.npy").write_bytes(data[:40])
    (tmp_path / "damaged.npy").write_bytes(data.replace(b"(6, 9, 3)", b"(6, 9, 3["))
    (tmp_path / "huge.npy").write_bytes(data.replace(b"9, 3), }" + b" " * 9, b"9999999999, 3), }"))
    (tmp_path / "negative.npy").write_bytes(data.replace(b"(6, 9, 3)", b"(6,-9, 3)"))
    (tmp_path / "text.npy").write_text("no array")
    (tmp_path / "empty.npy").touch()
    np.savez(tmp_path / "many.npz", colours)
    (tmp_path / "many.npz").rename(tmp_path / "many.npy")
    for path in sorted(tmp_path.glob("*.npy")):
        if path.stem != "whole":
            for function in (input_size, read_image):
                with pytest.raises(ValueError, match=r"^(not an NPY file|uint8)") as error:
                    function(path)
                assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="No such file"):
        input_size(tmp_path / "nowhere.npy")


def test_what_is_no_picture_says_why(tmp_path, colours):
    Image.fromarray(colours).save(tmp_path / "whole.png")
    data = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((2, 2), 1 << 20, np.int32)).save(tmp_path / "deep.tif")
    assert input_size(tmp_path / "cut.png") == (6, 9)
    for name, reason in {
        "cut.png": "truncated",
        "empty.png": "empty",
        "text.png": "not an image",
        "float.tif": "floating-point",
        "deep.tif": "more than 16 bits",
        "nowhere.png": "No such file",
    }.items():
        with pytest.raises(ValueError, match=reason):
            read_image(tmp_path / name)
    for name in ("empty.png", "text.png"):
        with pytest.raises(ValueError, match="not an image"):
            input_size(tmp_path / name)
