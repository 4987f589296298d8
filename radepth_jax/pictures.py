"""Pictures of depth for people to look at: colour maps and contact sheets."""

import functools
from collections.abc import Sequence

import matplotlib
import numpy as np
from PIL import Image, ImageDraw


def colorize(
    disparity: np.ndarray,
    *,
    percentile: float = 95.0,
    limits: tuple[float, float] | None = None,
    colors: str = "magma",
) -> np.ndarray:
    """Inverse depth in colours, near bright in magma, scaled from its minimum to a percentile.

    Args:
        disparity: [H, W], any positive scale.
        percentile: the percentile that becomes the brightest colour.
        limits: the values that become the darkest and the brightest colour. They replace the
            minimum and the percentile.
        colors: one of `color_names`.

    Returns:
        uint8 [H, W, 3].
    """
    low, high = limits or color_limits(disparity, percentile=percentile)
    scaled = np.clip((disparity - low) / max(high - low, 1e-12), 0, 1)
    return _table(colors)[np.minimum((scaled * 256).astype(np.int32), 255)]


def color_limits(disparity: np.ndarray, *, percentile: float = 95.0) -> tuple[float, float]:
    """The minimum and a percentile of inverse depth [H, W]."""
    return float(disparity.min()), float(np.percentile(disparity, percentile))


def color_names() -> list[str]:
    """The names of Matplotlib's colour maps, and `grey`. `NAME_r` is the same map backwards."""
    return sorted({*matplotlib.colormaps, "grey", "grey_r"})


@functools.cache
def _table(colors: str) -> np.ndarray:
    """The colours of a map, uint8 [256, 3], from far to near."""
    colors = {"grey": "gray", "grey_r": "gray_r"}.get(colors, colors)
    values = matplotlib.colormaps[colors](np.linspace(0, 1, 256))[:, :3]
    return (values * 255).round().astype(np.uint8)


def to_uint8(image: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] from [H, W] or [H, W, 3] of floats in [0, 1], bools, or uint8 levels."""
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8:
        pixels = (np.clip(pixels.astype(np.float32), 0, 1) * 255).round().astype(np.uint8)
    return np.repeat(pixels[..., None], 3, -1) if pixels.ndim == 2 else pixels


def grid(rows: Sequence[Sequence[np.ndarray]], *, gap: int = 2) -> np.ndarray:
    """Lay pictures out in rows.

    Args:
        rows: rows of pictures, uint8 [H, W, 3], all of one size.
        gap: how many white pixels there are between pictures.

    Returns:
        uint8 [H', W', 3].
    """
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full(
        (len(rows) * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8
    )
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            top, left = y * (height + gap), x * (width + gap)
            sheet[top : top + height, left : left + width] = picture
    return sheet


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture, uint8 [H, W, 3], resized to another (h, w)."""
    image = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def labelled(picture: np.ndarray, text: str) -> np.ndarray:
    """The picture with a short label in its top left corner."""
    image = Image.fromarray(picture)
    draw = ImageDraw.Draw(image)
    box = draw.textbbox((3, 2), text)
    draw.rectangle((box[0] - 2, box[1] - 1, box[2] + 2, box[3] + 1), fill=(0, 0, 0))
    draw.text((3, 2), text, fill=(255, 255, 255))
    return np.asarray(image)
