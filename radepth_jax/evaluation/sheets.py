"""Contact sheets of an evaluation: depth maps and error maps across resolutions and models."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import PIL.Image

from radepth_jax.data import EvaluationSource
from radepth_jax.evaluation.row import Row, pictured_rows
from radepth_jax.files import atomic_write
from radepth_jax.pictures import colorize, grid, labelled, resized
from radepth_jax.runs.protocol import Protocol

CELL_HEIGHT = 128
WORST_ERROR = 0.5  # the relative error at which the error maps' colours end
_NO_TRUTH = (40, 40, 40)


def choose_images(source: Any, count: int) -> list[int]:
    """The indices of up to `count` images, spread over a source, without repetition."""
    spread = np.linspace(0, len(source) - 1, min(count, len(source)))
    return sorted({round(i) for i in spread})


def write_sheets(
    source: EvaluationSource,
    show: Sequence[int],
    rows: Sequence[Row],
    protocol: Protocol,
    folder: Path,
) -> list[Path]:
    """Write `depth.png` and, if there is ground truth, `errors.png`. Returns their paths.

    Args:
        source: the images.
        show: the positions of the images in the sheets. If there are none, nothing is written.
        rows: rows that have `depths` of these images.
        protocol: gives the range of ground truth, to which predictions are clipped.
        folder: the folder to write to.
    """
    if not show:
        return []
    samples = [source[i] for i in show]
    paths = [folder / "depth.png"]
    with atomic_write(paths[0]) as part:
        PIL.Image.fromarray(depth_sheet(samples, show, rows)).save(part, "PNG")
    if any(sample["depth"].any() for sample in samples):
        paths.append(folder / "errors.png")
        with atomic_write(paths[1]) as part:
            PIL.Image.fromarray(error_sheet(samples, show, rows, protocol)).save(part, "PNG")
    return paths


def depth_sheet(samples: Sequence[dict], images: Sequence[int], rows: Sequence[Row]) -> np.ndarray:
    """A sheet of images, ground truth, and a line of predictions for each model and resolution.

    Args:
        samples: samples of an `EvaluationSource`.
        images: their positions in it.
        rows: rows that have `depths` of these images. Scalings of one prediction count once.

    Returns:
        uint8 [H, W, 3].
    """
    size = _cell_size(samples[0])
    lines = [_image_line(samples, size)]
    if any(sample["depth"].any() for sample in samples):
        lines.append([labelled(_truth(sample, size), "ground truth") for sample in samples])
    for row in pictured_rows(rows):
        label = f"{row.model} {row.resolution}"
        cells = [resized(colorize(1 / row.depths[i]), size) for i in images]
        lines.append([labelled(cell, label) for cell in cells])
    return grid(lines)


def error_sheet(
    samples: Sequence[dict], images: Sequence[int], rows: Sequence[Row], protocol: Protocol
) -> np.ndarray:
    """A sheet of where predictions are wrong: |prediction - truth| / truth after scaling.

    Blue is 0, red is `WORST_ERROR` and more, and grey has no ground truth. Each cell of the picture
    is the mean over its pixels that have ground truth, so sparse laser points can be seen. What the
    protocol crops off is shown too.

    Args:
        samples: samples of an `EvaluationSource`.
        images: their positions in it.
        rows: rows that have `depths` of these images.
        protocol: gives the range of ground truth, to which predictions are clipped.

    Returns:
        uint8 [H, W, 3].
    """
    size = _cell_size(samples[0])
    lines = [_image_line(samples, size)]
    for row in rows:
        if not row.depths:
            continue
        label = f"{row.label} {row.resolution}: error 0 to {WORST_ERROR:.0%}"
        cells = []
        for i, sample in zip(images, samples, strict=True):
            truth = cropped(sample["depth"], sample["depth_size"])
            scale = row.per_image["scale"][i]
            known = (truth > protocol.min_depth) & (truth < protocol.max_depth) & np.isfinite(scale)
            predicted = np.clip(row.depths[i] * scale, protocol.min_depth, protocol.max_depth)
            relative = np.abs(predicted - truth) / np.where(known, truth, 1)
            cells.append(labelled(_error_picture(relative, known, size), label))
        lines.append(cells)
    return grid(lines)


def _error_picture(error: np.ndarray, known: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mean, count = cell_means(error, known, size)
    picture = matplotlib.colormaps["turbo"](np.clip(mean / WORST_ERROR, 0, 1))[..., :3] * 255
    return np.where(count[..., None] > 0, picture.round(), _NO_TRUTH).astype(np.uint8)


def cell_means(
    values: np.ndarray, known: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Shrink (or enlarge) a sparse map to `size`, by the mean of the known values in each cell.

    Args:
        values: [h, w].
        known: bool [h, w].
        size: (H, W) of the result.

    Returns:
        (means, counts), both [H, W]. The count is how many values are known in a cell, and the mean
        is 0 if there are none.
    """
    h, w = values.shape
    # Cells have at least one pixel. If they would be smaller, neighbours share a pixel.
    rows = [np.arange(size[0]) * h // size[0], np.arange(size[1]) * w // size[1]]
    ends = [np.maximum(np.append(r[1:], n), r + 1) for r, n in zip(rows, (h, w), strict=True)]

    def sums(array: np.ndarray) -> np.ndarray:
        table = np.zeros((h + 1, w + 1))
        table[1:, 1:] = array.cumsum(0).cumsum(1)
        (top, left), (bottom, right) = rows, ends
        corner = table[bottom[:, None], right] - table[top[:, None], right]
        return corner - table[bottom[:, None], left] + table[top[:, None], left]

    count = sums(known.astype(np.float64)).round()
    total = sums(np.where(known, values, 0.0))
    return np.where(count > 0, total / np.maximum(count, 1), 0), count


def _truth(sample: dict, size: tuple[int, int]) -> np.ndarray:
    truth = cropped(sample["depth"], sample["depth_size"])
    if not (truth > 0).any():
        return np.full((*size, 3), _NO_TRUTH, np.uint8)
    inverse, count = cell_means(1 / np.where(truth > 0, truth, 1), truth > 0, size)
    known = inverse[count > 0]
    top = max(float(np.percentile(known, 95)), 1e-12)
    # Pixels without a value (the sky, and what no laser point reached) are as dark as far ones.
    return colorize(np.where(count > 0, np.minimum(inverse, top), 0), percentile=100)


def _image_line(samples: Sequence[dict], size: tuple[int, int]) -> list[np.ndarray]:
    return [
        labelled(resized(cropped(sample["image"], sample["size"]), size), sample["name"])
        for sample in samples
    ]


def cropped(array: np.ndarray, size: np.ndarray) -> np.ndarray:
    """The part of an array on its canvas, [H0, W0, ...], that has the true (h, w)."""
    return array[: size[0], : size[1]]


def _cell_size(sample: dict) -> tuple[int, int]:
    h, w = sample["size"]
    return CELL_HEIGHT, max(1, round(CELL_HEIGHT * int(w) / int(h)))
