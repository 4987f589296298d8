"""One line of an evaluation table, with the figures of each image behind it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.evaluation.edges import EDGE_METRICS
from radepth_jax.evaluation.metrics import METRICS
from radepth_jax.names import examples


class UnusablePredictionError(UserError):
    """A network's predictions have no figure that can be compared with another network's."""


@dataclass(frozen=True)
class Row:
    """One line of an evaluation table.

    Attributes:
        model: what was evaluated.
        resolution: "WxH" of the network's input, or "native".
        metrics: the seven metrics, averaged over images. If edges were measured, so are those of
            `EDGE_METRICS` that some image has, averaged over the images that have them.
        images: how many images had ground truth (and a scale).
        images_per_second: the speed of the whole evaluation after compilation. NaN if it was not
            timed.
        scaling: how predictions became metres, one of `runs.protocol.SCALINGS`.
        scale: the median over images of what predictions were multiplied by. NaN if unknown.
        scale_spread: the standard deviation over the median of truth / prediction, where both are
            each image's medians.
        width: the width of the network's input in pixels. None for what has no resolution, such as
            a prior.
        names: the names of all images, in the order in which they were evaluated.
        per_image: what `compare` returns of each image, [N].
        depths: for the images that pictures show, the predicted depth [h, w] before scaling, by the
            image's index.
    """

    model: str
    resolution: str
    metrics: dict[str, float]
    images: int
    images_per_second: float = float("nan")
    scaling: str = "median"
    scale: float = float("nan")
    scale_spread: float = float("nan")
    width: int | None = None
    names: Sequence[str] = field(default=(), compare=False, repr=False)
    per_image: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    depths: dict[int, np.ndarray] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.width is None and "x" in self.resolution:
            object.__setattr__(self, "width", int(self.resolution.partition("x")[0]))

    @property
    def counted(self) -> np.ndarray:
        """Bool [N]: the images that the averages are over."""
        return self.per_image["pixels"] > 0

    @property
    def label(self) -> str:
        """The model's name, with the scaling if that is not the usual one."""
        return self.model if self.scaling == "median" else f"{self.model} ({self.scaling})"


def make_row(
    model: str,
    resolution: str,
    scaling: str,
    names: Sequence[str],
    per_image: dict[str, np.ndarray],
    **rest: object,
) -> Row:
    """Average the figures of images into a Row.

    Images without ground truth are left out, and so are those in which no ground plane was found.
    An image with a prediction that cannot be judged is not: without it the mean would be better.

    Args:
        model: what was evaluated.
        resolution: "WxH" or "native".
        scaling: one of `runs.protocol.SCALINGS`.
        names: the names of all images.
        per_image: the figures of all images.
        **rest: the other fields of `Row`.

    Raises:
        UnusablePredictionError: A prediction is not positive and finite at all pixels that count,
            or none shows the ground plane that its scale was to come from.
        UserError: No image has ground truth.
    """
    _refuse_unusable(model, resolution, names, per_image)
    counted = per_image["pixels"] > 0
    if not counted.any():
        if (per_image["known"] > 0).any():
            raise UnusablePredictionError(
                f"{model} at {resolution}: no ground plane was found in any image, so --scaling "
                "ground cannot work; use another scaling"
            )
        raise UserError(
            "no image of this split has ground-truth depth in range; name a split that has"
        )
    return Row(
        model=model,
        resolution=resolution,
        scaling=scaling,
        names=names,
        per_image=per_image,
        **_averages(per_image),
        **rest,  # type: ignore[arg-type]
    )


def over_same_images(rows: Sequence[Row]) -> list[Row]:
    """The rows of a table with averages over the images that count in every one of them.

    Otherwise a network which shows no ground plane in the images that are hard for it would have
    the better figure.

    Args:
        rows: of the same images.

    Raises:
        UnusablePredictionError: No image counts in all of them.
    """
    counted = np.logical_and.reduce([row.counted for row in rows])
    if not counted.any():
        raise UnusablePredictionError(
            "no image has a ground plane in every row of the table, so they cannot be compared; "
            "evaluate one network or resolution at a time, or use another scaling"
        )
    same = []
    for row in rows:
        if (row.counted != counted).any():
            per_image = row.per_image | {"pixels": np.where(counted, row.per_image["pixels"], 0)}
            row = dataclasses.replace(row, per_image=per_image, **_averages(per_image))
        same.append(row)
    return same


def metric_names(rows: Sequence[Row]) -> tuple[str, ...]:
    """The metrics of a table in their order: the seven, and those of edges that all rows have."""
    edges = [name for name in EDGE_METRICS if all(name in row.metrics for row in rows)]
    return (*METRICS, *edges)


def pictured_rows(rows: Sequence[Row]) -> list[Row]:
    """The rows that have depth maps. Scalings of one prediction count once."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row.depths:
            first.setdefault((row.model, row.resolution), row)
    return list(first.values())


def edge_values(per_image: dict[str, np.ndarray], name: str) -> np.ndarray:
    """A figure of `EDGE_METRICS` in the images that count and have it. It may be none of them."""
    if name not in per_image:
        return np.zeros(0)
    values = per_image[name][per_image["pixels"] > 0]
    return values[np.isfinite(values)]


def _averages(per_image: dict[str, np.ndarray]) -> dict[str, Any]:
    """The fields of a `Row` that are computed from its images."""
    counted = per_image["pixels"] > 0
    ratio = per_image["median_ratio"][counted]
    metrics = {k: float(per_image[k][counted].mean()) for k in METRICS}
    for name in EDGE_METRICS:
        values = edge_values(per_image, name)
        if values.size:
            metrics[name] = float(values.mean())
    return {
        "metrics": metrics,
        "images": int(counted.sum()),
        "scale": float(np.median(per_image["scale"][counted])),
        "scale_spread": float(np.std(ratio / np.median(ratio))),
    }


def _refuse_unusable(
    model: str, resolution: str, names: Sequence[str], per_image: dict[str, np.ndarray]
) -> None:
    kinds = {"not_finite": "NaN or infinite", "not_positive": "0 or negative"}
    found = [what for name, what in kinds.items() if (per_image[name] > 0).any()]
    if not found:
        return
    wrong = (per_image["not_finite"] > 0) | (per_image["not_positive"] > 0)
    unusable = [name for name, one in zip(names, wrong, strict=True) if one]
    raise UnusablePredictionError(
        f"{model} at {resolution}: the predicted depth is {', or '.join(found)} in "
        f"{len(unusable)} of {int((per_image['known'] > 0).sum())} images with ground truth "
        f"({examples(unusable)}); a mean without these images would flatter it, "
        "so there is none; expected a positive number wherever there is ground truth"
    )
