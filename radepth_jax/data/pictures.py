"""Pictures: what `prepare` stores, the loader decodes and `predict` reads, with one reader.

A file's format is found in its bytes, never in the ending of its name. A picture whose metadata is
damaged is still read. It is then taken to be stored upright.
"""

import contextlib
import io
import math
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeVar

import numpy as np
import PIL.Image

from radepth_jax.errors import reason

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_FORMATS = (
    *("PNG", "JPEG", "MPO", "WEBP", "BMP", "DIB", "TIFF", "GIF", "PPM", "JPEG2000"),
    *("AVIF", "PCX", "SGI", "QOI", "PSD", "DDS"),
)  # Pillow's other formats run programs (EPS), are stubs, or match any bytes (TGA)
_MOVING = ("GIF", "PNG")  # formats that may be animated, which FFmpeg plays
_ORIENTATION, _SUBFILE, _DNG = 0x0112, 0x00FE, 0xC612  # EXIF and TIFF tags
_ON_ITS_SIDE = (5, 6, 7, 8)  # orientations that swap rows and columns
# Stills of the HEIF family. Its sequences (msf1, hevc, avis) are films.
_HEIF = (b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"miaf", b"jpeg", b"avci")
_AVIF = b"avif"
_HEADER = 4096  # bytes, enough to recognise a format
HEIF_EXTRA = "pip install 'radepth-jax[heic]'"

T = TypeVar("T")


def is_picture(path: Path) -> bool:
    """Whether a file's bytes are those of a still picture, even one that cannot be read here.

    Animated GIF and PNG files are films.
    """
    try:
        with path.open("rb") as file:
            if _heif_brand(file.read(_HEADER)):
                return True
            file.seek(0)
            with decoding(), _open(file) as image:
                return not (image.format in _MOVING and getattr(image, "is_animated", False))
    except (OSError, ValueError):
        return False


def image_size(data: bytes | BinaryIO) -> tuple[int, int]:
    """(h, w) of an encoded picture, upright, from its header alone.

    Raises:
        ValueError: The header is not that of a picture.
    """
    if not isinstance(data, bytes):
        head = data.read(_HEADER)
        data.seek(0)
        if _heif_brand(head) or head[:4] == b"\x89PNG" or head[:2] == b"\xff\xd8":
            data = data.read()  # because it may be read twice
    return _in_spite_of_metadata(data, _size)


def lies_on_its_side(shape: tuple[int, ...], image: tuple[int, ...]) -> bool:
    """Whether a map (h, w) of an image (h, w) has its rows and columns swapped.

    The map may have another size than the image, and about the same shape: a network may see
    640x192 for 1242x375. A square map, or a square image, does not count as swapped.
    """
    slender, own = (math.log(width / height) for height, width in (image, shape))
    off, off_swapped = abs(own - slender), abs(own + slender)
    return off > 0.05 and off_swapped < off / 2


def read_picture(data: bytes) -> np.ndarray:
    """An encoded picture as [h, w, 3] RGB: uint8, or float32 in [0, 1].

    The picture is turned upright as its EXIF data say. Grey values are repeated three times, and
    transparency is dropped. Grey of 16 bits (65535 is white) becomes float32.

    Raises:
        ValueError: The picture does not decode to the end, or it has floating-point pixels, for
            which no value is known to be white.
    """
    return _in_spite_of_metadata(data, _pixels)


def decode_image(data: bytes) -> np.ndarray:
    """uint8 [h, w, 3] RGB, upright. 16 bits are rounded to 8. Raises what `read_picture` raises."""
    image = read_picture(data)
    return image if image.dtype == np.uint8 else np.round(image * 255).astype(np.uint8)


def encode_image(image: np.ndarray, kind: Literal["PNG", "JPEG"]) -> bytes:
    """uint8 [h, w, 3] as a PNG file, or as a JPEG file of quality 95."""
    data = io.BytesIO()
    PIL.Image.fromarray(image).save(data, kind, quality=95)  # PNG has no quality, and ignores it
    return data.getvalue()


def pad_to_canvas(image: np.ndarray, canvas: tuple[int, int]) -> np.ndarray:
    """Pad [h, w, ...] to [H0, W0, ...]: the last row and the last column are repeated."""
    (h, w), (height, width) = image.shape[:2], canvas
    if (h, w) == (height, width):
        return image
    pad = [(0, height - h), (0, width - w)] + [(0, 0)] * (image.ndim - 2)
    return np.pad(image, pad, mode="edge")


@contextlib.contextmanager
def decoding(data: bytes | None = None) -> Iterator[None]:
    """Turns whatever Pillow raises into a ValueError of one line. An empty file raises one too."""
    if data == b"":
        raise ValueError("the file is empty")
    try:
        yield
    except PIL.UnidentifiedImageError:
        raise ValueError("not an image") from None
    except PIL.Image.DecompressionBombError:
        most = 2 * (PIL.Image.MAX_IMAGE_PIXELS or 0) // 10**6
        raise ValueError(
            f"larger than {most} megapixels, the most that is read; halve its sides, for example"
        ) from None
    except Exception as error:  # damaged data makes the decoders raise almost anything
        raise ValueError(reason(error)) from None


def _in_spite_of_metadata(data: Any, read: Callable[[Any], T]) -> T:
    """The result of `read`. If it fails, the picture is tried again without its metadata."""
    try:
        with decoding(data if isinstance(data, bytes) else None):
            return read(data)
    except ValueError:
        plain = without_metadata(data) if isinstance(data, bytes) else data
        if plain is data or plain == data:
            raise
        with contextlib.suppress(ValueError), decoding():
            return read(plain)
        raise


def _open(data: bytes | BinaryIO) -> PIL.Image.Image:
    file = io.BytesIO(data) if isinstance(data, bytes) else data
    # Pillow warns of large pictures even if it can read them.
    warnings.simplefilter("ignore", PIL.Image.DecompressionBombWarning)
    return PIL.Image.open(file, formats=[f for f in _FORMATS if f in _known_formats()])


def _check_not_raw(image: PIL.Image.Image) -> None:
    """Raises ValueError for a camera's raw file, which is a TIFF whose first image is a preview."""
    tags: Any = getattr(image, "tag_v2", {})
    if _DNG in tags or tags.get(_SUBFILE, 0) == 1:
        raise ValueError(
            "a camera's raw file, of which only a preview can be read; save it as PNG or JPEG"
        )


def _known_formats() -> dict[str, Any]:
    PIL.Image.init()
    return PIL.Image.OPEN


def _size(data: bytes | BinaryIO) -> tuple[int, int]:
    if isinstance(data, bytes) and _heif_brand(data):
        with _open_heif(data) as image:
            return image.height, image.width
    with _open(data) as image:
        _check_not_raw(image)
        width, height = image.size
        # Pillow turns TIFF files by itself, and gives the size that they have after that.
        turned = image.format != "TIFF" and _orientation(image) in _ON_ITS_SIDE
        return (width, height) if turned else (height, width)


def _pixels(data: bytes) -> np.ndarray:
    if _heif_brand(data):
        with _open_heif(data) as image:  # upright
            return np.asarray(image.convert("RGB"))
    with _open(data) as image:
        _check_not_raw(image)
        image.load()
        return _upright(_rgb(image), _orientation(image))


def _rgb(image: PIL.Image.Image) -> np.ndarray:
    if image.mode == "I" or image.mode.startswith("I;16"):
        levels = np.asarray(image).astype(np.int64)
        if levels.min() < 0 or levels.max() > 65535:
            raise ValueError("more than 16 bits a pixel; save it with 8")
        return np.repeat(levels.astype(np.float32)[..., None] / 65535, 3, axis=-1)
    if image.mode == "F":
        raise ValueError("floating-point pixels; save it with 8 bits")
    if image.mode != "RGB":
        # The way goes through RGBA, because a palette's transparent colour would become black.
        image = image.convert("RGBA") if image.has_transparency_data else image
        image = image.convert("RGB")
    return np.asarray(image)


def _orientation(image: PIL.Image.Image) -> int:
    """The EXIF orientation, 1 to 8. It is 1 (upright) if the header has none or an invalid one.

    A PNG may also have it after its pixels. That is not looked up, because Pillow would have to
    decode the pixels for it.
    """
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # damaged EXIF data make Pillow raise almost anything
        return 1
    return value if value in range(1, 9) else 1


def _upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Upright [h, w, 3] from pixels that are stored with an EXIF orientation."""
    if orientation in _ON_ITS_SIDE:
        image = image.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    return np.ascontiguousarray(image)


def _heif_brand(head: bytes) -> bool:
    """Whether a file is a still of the HEIF family that Pillow does not read by itself."""
    if head[4:8] != b"ftyp":
        return False
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]
    if _AVIF in brands and "AVIF" in _known_formats():
        return False
    return brands[0] in (*_HEIF, _AVIF)


def _open_heif(data: bytes) -> PIL.Image.Image:
    """The whole picture, upright. A decoder of films would return only one of its tiles."""
    try:
        import pillow_heif
    except ImportError:
        raise ValueError(f"a HEIC picture, which needs pillow-heif: {HEIF_EXTRA}") from None
    picture: PIL.Image.Image = pillow_heif.open_heif(data).to_pillow()
    return picture


def without_metadata(data: bytes) -> bytes:
    """A PNG or JPEG file reduced to what its pixels need. Other files are returned unchanged."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return data[:8] + b"".join(_png_chunks(data))
    if data[:2] == b"\xff\xd8":
        return data[:2] + b"".join(_jpeg_segments(data))
    return data


def _png_chunks(data: bytes) -> Iterator[bytes]:
    """The PNG chunks that the pixels need. The names of critical chunks begin with a capital."""
    at = 8
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind = data[at + 4 : at + 8]
        if kind[:1].isupper() or kind == b"tRNS":
            yield data[at : at + 12 + length]
        at += 12 + length


def _jpeg_segments(data: bytes) -> Iterator[bytes]:
    """The segments without comments and applications' data, but with Adobe's, on the colours."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:  # where the pixels begin
            break
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xEE or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            yield data[at : at + length]
        at += length
    yield data[at:]
