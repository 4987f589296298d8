"""The pictures of `report.html`: images, ground truth and depth maps, small enough to embed."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from radepth_jax.data import EvaluationSource
from radepth_jax.evaluation.row import Row
from radepth_jax.evaluation.sheets import cell_means, cropped
from radepth_jax.pictures import color_limits, colorize, resized

WIDTHS = (640, 512, 384, 320, 256, 192, 128)  # the first at which all pictures fit is taken
MAX_BYTES = 3_000_000  # the size of all pictures, so that the page stays under 5 MB
_QUALITY = 80


@dataclass(frozen=True)
class DepthMap:
    """One prediction of an image.

    Attributes:
        step: the index of its resolution on the slider. None if it has no resolution, as that of
            another program.
        resolution: the resolution's name.
        abs_rel: AbsRel of this image, or NaN without ground truth.
        uri: the picture as a data URI.
    """

    step: int | None
    resolution: str
    abs_rel: float
    uri: str


@dataclass(frozen=True)
class Card:
    """One image of the page.

    Attributes:
        name: the image's name.
        abs_rel: its AbsRel, averaged over the rows, or NaN without ground truth.
        rank: its place among all images with ground truth: 1 is the worst. 0 without ground truth.
        ranked: how many images have ground truth.
        photo: the image as a data URI.
        truth: its ground truth as a data URI, or "" if it has none in range.
        size: the (width, height) of the pictures.
        models: the name of each model, with its depth maps by step, in the rows' order.
    """

    name: str
    abs_rel: float
    rank: int
    ranked: int
    photo: str
    truth: str
    size: tuple[int, int]
    models: list[tuple[str, list[DepthMap]]]

    @property
    def bytes(self) -> int:
        """The size of its pictures as they are embedded."""
        maps = [depth_map for _, maps in self.models for depth_map in maps]
        return len(self.photo) + len(self.truth) + sum(len(one.uri) for one in maps)


def pictured_images(rows: Sequence[Row]) -> list[int]:
    """The images whose depth is in all of these rows."""
    return sorted(set.intersection(*(set(row.depths) for row in rows))) if rows else []


def steps_of(rows: Sequence[Row]) -> list[tuple[str, int]]:
    """The (resolution, width) that a slider goes through, from small to large.

    "native" comes after a resolution of the same width.
    """
    known = {row.resolution: row.width for row in rows if row.width}
    return sorted(known.items(), key=lambda step: (step[1], step[0] == "native"))


def mean_abs_rel(rows: Sequence[Row]) -> np.ndarray:
    """Each image's AbsRel [N], averaged over the rows. NaN for images without ground truth."""
    each = [np.where(row.counted, row.per_image["abs_rel"], np.nan) for row in rows]
    return np.mean(each, axis=0)


def make_cards(
    rows: Sequence[Row], source: EvaluationSource, *, max_bytes: int = MAX_BYTES
) -> list[Card]:
    """Make cards of the images whose depth is in all rows, with the worst first.

    The worst is that of the largest `mean_abs_rel`. Pictures are made as wide as `max_bytes` for
    all of them allows, and never wider than the image. If not even the narrowest pictures fit, the
    last images are left out.

    Args:
        rows: what `pictured_rows` returned.
        source: the images.
        max_bytes: the size of all pictures, as they are embedded.
    """
    images = pictured_images(rows)
    if not images:
        return []
    errors = mean_abs_rel(rows)
    images.sort(key=lambda i: -errors[i] if np.isfinite(errors[i]) else np.inf)
    samples = {i: source[i] for i in images}
    cards: list[Card] = []
    for width in WIDTHS:
        cards = []
        left = max_bytes
        for i in images:
            card = _card(i, samples[i], rows, errors, width)
            left -= card.bytes
            if left < 0:
                break
            cards.append(card)
        else:
            break
    return cards


def _card(
    image: int, sample: Mapping[str, Any], rows: Sequence[Row], errors: np.ndarray, width: int
) -> Card:
    photo = cropped(sample["image"], sample["size"])
    width = min(width, photo.shape[1])
    size = (max(1, round(photo.shape[0] * width / photo.shape[1])), width)
    truth = cropped(sample["depth"], sample["depth_size"])
    inverse = [_inverse_depth(row, image) for row in rows]
    # One scale of colours for all resolutions and models, so that a change is a change of depth.
    known = truth > 0
    scaled = np.isfinite(errors[image])
    limits = color_limits(1 / truth[known] if scaled else np.stack(inverse))
    steps = {resolution: step for step, (resolution, _) in enumerate(steps_of(rows))}
    models: dict[str, list[DepthMap]] = {}
    for row, values in zip(rows, inverse, strict=True):
        depth_map = DepthMap(
            step=steps.get(row.resolution),
            resolution=row.resolution,
            abs_rel=float(row.per_image["abs_rel"][image]) if row.counted[image] else np.nan,
            uri=_uri(resized(colorize(values, limits=limits), size)),
        )
        models.setdefault(row.model, []).append(depth_map)
    # Comparisons with NaN are false: images without ground truth do not count.
    rank = 1 + int((errors > errors[image]).sum()) if scaled else 0
    return Card(
        name=sample["name"],
        abs_rel=float(errors[image]),
        rank=rank,
        ranked=int(np.isfinite(errors).sum()),
        photo=_uri(resized(photo, size)),
        truth=_uri(_truth_picture(truth, size, limits)) if scaled else "",
        size=(size[1], size[0]),
        models=[
            (name, sorted(maps, key=lambda one: one.step or 0)) for name, maps in models.items()
        ],
    )


def _inverse_depth(row: Row, image: int) -> np.ndarray:
    """1 / metres, or of median 1 where the prediction has no scale."""
    inverse = 1 / row.depths[image]
    scale = row.per_image["scale"][image]
    return inverse / scale if np.isfinite(scale) and scale > 0 else inverse / np.median(inverse)


def _truth_picture(
    truth: np.ndarray, size: tuple[int, int], limits: tuple[float, float]
) -> np.ndarray:
    known = truth > 0
    inverse, count = cell_means(1 / np.where(known, truth, 1), known, size)
    picture = colorize(inverse, limits=limits)
    return np.where(count[..., None] > 0, picture, np.uint8(40))


def _uri(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "WEBP", quality=_QUALITY, method=2)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
