import io
import struct
import sys
import types
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from radepth_jax.data.pictures import (
    decode_image,
    image_size,
    is_picture,
    lies_on_its_side,
    read_picture,
    without_metadata,
)

PICTURE = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8).repeat(10, 0).repeat(10, 1)


def encoded(kind: str, image=PICTURE, **options) -> bytes:
    data = io.BytesIO()
    Image.fromarray(image).save(data, kind, **options)
    return data.getvalue()


def exif(orientation) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_turned_upright(kind, orientation):
    stored = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE),
        7: PICTURE[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PICTURE, -1),
    }[orientation]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(kind, np.ascontiguousarray(stored), exif=exif(orientation), **lossless)
    found = read_picture(data)
    assert image_size(data) == image_size(io.BytesIO(data)) == found.shape[:2] == (40, 60)
    if kind == "JPEG":
        assert np.abs(found.astype(float) - PICTURE).mean() < 20
    else:
        np.testing.assert_array_equal(found, PICTURE)


def png_with_chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    data = encoded("PNG")
    end = 8 + 25  # after the header's chunk
    crc = zlib.crc32(kind + content) if checksum is None else checksum
    chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)
    return data[:end] + chunk + data[end:]


@pytest.mark.parametrize(
    "data",
    [
        png_with_chunk(b"pHYs", b"123456789", checksum=1),
        png_with_chunk(b"eXIf", b"MM\0*\xff\xff\xff\xff garbage"),
        png_with_chunk(b"iCCP", b"name\0\0not compressed"),
        encoded("PNG", exif=exif(77)),
    ],
    ids=["checksum", "exif", "colours", "orientation 77"],
)
def test_damaged_metadata_never_costs_a_picture(data):
    assert image_size(data) == image_size(io.BytesIO(data)) == (40, 60)
    np.testing.assert_array_equal(read_picture(data), PICTURE)


def test_a_long_compressed_comment_costs_no_picture():
    info = PngImagePlugin.PngInfo()
    info.add_text("comment", "x" * 3_000_000, zip=True)
    data = encoded("PNG", pnginfo=info)
    assert image_size(data) == (40, 60)
    np.testing.assert_array_equal(read_picture(data), PICTURE)


def test_too_large_a_picture_says_the_limit_and_what_to_do(recwarn):
    def header(width, height):
        data = bytearray(encoded("PNG"))
        data[16:24] = struct.pack(">II", width, height)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
        return bytes(data)

    for read in (image_size, read_picture):
        with pytest.raises(ValueError, match=r"^larger than 178 megapixels, .*; halve its sides"):
            read(header(20_992, 10_496))
    assert image_size(header(16_000, 10_000)) == (10_000, 16_000)  # Pillow would warn of it
    assert not list(recwarn)


def test_any_byte_of_the_exif_data_may_be_wrong():
    data = encoded("JPEG", exif=exif(1))
    start = data.index(b"Exif\0\0")
    plain = read_picture(data)
    for place in range(start, data.index(b"\xff\xdb")):
        damaged = bytearray(data)
        damaged[place] ^= 0xFF
        found = read_picture(bytes(damaged))
        assert image_size(bytes(damaged)) == found.shape[:2]
        assert sorted(found.shape) == sorted(plain.shape)


def test_without_metadata_the_pixels_are_the_same():
    for kind in ("PNG", "JPEG"):
        data = encoded(kind, exif=exif(6))
        plain = without_metadata(data)
        assert len(plain) < len(data)
        np.testing.assert_array_equal(read_picture(plain), read_picture(encoded(kind)))
    assert without_metadata(b"anything else") == b"anything else"


def test_16_bits_are_levels_for_training_and_floats_for_prediction():
    levels = np.arange(2400, dtype=np.uint16).reshape(40, 60) * 27
    data = encoded("PNG", levels)
    assert read_picture(data).dtype == np.float32
    np.testing.assert_allclose(read_picture(data)[..., 1], levels / 65535, rtol=1e-6)
    np.testing.assert_array_equal(decode_image(data)[..., 2], np.round(levels / 257))


def heif(brand: bytes, *compatible: bytes) -> bytes:
    """The first box of a file of that family, and a decoder's worth of nothing."""
    brands = brand + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 8 + len(brands)) + b"ftyp" + brands + bytes(64)


def test_a_phones_picture_names_the_extra_that_reads_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
    path = tmp_path / "phone.jpg"  # its ending says nothing
    path.write_bytes(heif(b"heic", b"mif1", b"heic"))
    assert is_picture(path)
    for read in (image_size, read_picture, decode_image):
        with pytest.raises(ValueError, match=r"needs pillow-heif: pip install .*\[heic\]"):
            read(path.read_bytes())


def test_a_phones_picture_is_as_that_extra_reads_it(monkeypatch):
    """It turns the picture itself, and leaves the orientation that it had in the EXIF data."""
    picture = Image.fromarray(PICTURE)
    picture.info["exif"] = exif(6).tobytes()
    module = types.SimpleNamespace(
        open_heif=lambda data: types.SimpleNamespace(to_pillow=lambda: picture.copy())
    )
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    data = heif(b"heic")
    assert image_size(data) == image_size(io.BytesIO(data)) == (40, 60)
    np.testing.assert_array_equal(read_picture(data), PICTURE)


def test_films_are_no_pictures_and_sequences_are_films(tmp_path):
    frames = [Image.fromarray(PICTURE // (i + 1)) for i in range(3)]
    cases = {
        "moving.gif": False, "still.gif": True, "moving.png": False, "plain.jfif": True,
        "noext": True, "x.ppm": True, "film.mp4": False, "burst.heif": False, "text.jpg": False,
    }  # fmt: skip
    moving = {"save_all": True, "append_images": frames[1:], "duration": 100}
    frames[0].save(tmp_path / "moving.gif", **moving)
    frames[0].save(tmp_path / "still.gif")
    frames[0].save(tmp_path / "moving.png", **moving)
    frames[0].save(tmp_path / "plain.jfif", "JPEG")
    frames[0].save(tmp_path / "noext", "JPEG")
    frames[0].save(tmp_path / "x.ppm")
    (tmp_path / "film.mp4").write_bytes(heif(b"isom", b"mp42"))
    (tmp_path / "burst.heif").write_bytes(heif(b"msf1", b"hevc"))
    (tmp_path / "text.jpg").write_text("no picture")
    assert {name: is_picture(tmp_path / name) for name in cases} == cases


def test_a_cameras_raw_file_is_refused_not_its_preview_taken(tmp_path):
    path = tmp_path / "1.dng"
    Image.fromarray(PICTURE).save(path, "TIFF", tiffinfo={0xC612: b"\1\4\0\0"})
    assert is_picture(path)
    with pytest.raises(ValueError, match="raw file"):
        read_picture(path.read_bytes())
    Image.fromarray(PICTURE).save(path, "TIFF", tiffinfo={0x00FE: 1})
    with pytest.raises(ValueError, match="raw file"):
        image_size(path.read_bytes())


@pytest.mark.parametrize(
    ("shape", "image", "expected"),
    [
        ((1242, 375), (375, 1242), True),
        ((320, 96), (375, 1242), True),
        ((512, 256), (375, 1242), True),  # as a network of another shape sees it
        ((480, 640), (640, 480), True),
        ((192, 640), (375, 1242), False),
        ((256, 512), (375, 1242), False),
        ((384, 384), (375, 1242), False),
        ((320, 96), (400, 400), False),
        ((101, 100), (100, 101), False),
        ((21, 305), (2272, 1704), False),  # Make3D's laser
        ((192, 640), (2272, 1704), False),
    ],
)
def test_a_map_on_its_side_is_told_by_its_shape(shape, image, expected):
    assert lies_on_its_side(shape, image) == expected
