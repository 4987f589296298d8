"""One line of an evaluation table, with the figures of each image behind it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.evaluate.metrics import METRICS


@dataclass(frozen=True)
class Row:
    """One line of an evaluation table.

    Attributes:
        model: what was evaluated.
        resolution: "WxH" of the network's input, or "native".
        metrics: the seven metrics, averaged over images.
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
        per_image: the `METRICS`, `scale`, `median_ratio` and `pixels` of each image, [N].
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
    """Average the figures of images into a Row. Images without ground truth are left out.

    Args:
        model: what was evaluated.
        resolution: "WxH" or "native".
        scaling: one of `runs.protocol.SCALINGS`.
        names: the names of all images.
        per_image: the figures of all images.
        **rest: other fields of `Row`.

    Raises:
        UserError: No image counts.
    """
    counted = per_image["pixels"] > 0
    if not counted.any():
        if np.isfinite(per_image["median_ratio"]).any():
            raise UserError(
                f"{model} at {resolution}: no ground plane was found in any image, so --scaling "
                "ground cannot work; use another scaling"
            )
        raise UserError(
            "no image of this split has ground-truth depth in range; name a split that has"
        )
    ratio = per_image["median_ratio"][counted]
    return Row(
        model=model,
        resolution=resolution,
        scaling=scaling,
        metrics={k: float(per_image[k][counted].mean()) for k in METRICS},
        images=int(counted.sum()),
        scale=float(np.median(per_image["scale"][counted])),
        scale_spread=float(np.std(ratio / np.median(ratio))),
        names=names,
        per_image=per_image,
        **rest,  # type: ignore[arg-type]
    )
