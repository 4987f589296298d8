"""One line of an evaluation table, and the per-image figures behind it."""

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
        metrics: the seven, averaged over images.
        images: how many images had ground truth (and a scale).
        images_per_second: of the whole evaluation after compilation; NaN where not timed.
        scaling: how predictions became metres, one of `metrics.SCALINGS`.
        scale: median over images of what predictions were multiplied by; NaN where unknown.
        scale_spread: standard deviation over median of truth / prediction (each image's medians).
        width: of the network's input, pixels; None for what has no resolution, such as a prior.
        names: of all images, as evaluated.
        per_image: `METRICS`, `scale`, `median_ratio` and `pixels` of each of them, [N].
        depths: index of an image -> its predicted depth [h, w] before scaling, for pictures.
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
        """Bool [N], the images that the averages are over."""
        return self.per_image["pixels"] > 0

    @property
    def label(self) -> str:
        """The model, and its scaling where that is not the usual one."""
        return self.model if self.scaling == "median" else f"{self.model} ({self.scaling})"


def make_row(
    model: str,
    resolution: str,
    scaling: str,
    names: Sequence[str],
    per_image: dict[str, np.ndarray],
    **rest: object,
) -> Row:
    """Average per-image figures into a Row; images without ground truth are left out.

    Args:
        model: as in `Row`; the next four too.
        resolution: "WxH" or "native".
        scaling: one of `metrics.SCALINGS`.
        names: of all images.
        per_image: figures of all images.
        **rest: other fields of `Row`.

    Raises:
        UserError: if no image counts.
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
