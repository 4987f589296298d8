"""How predictions are compared with ground truth: a run's evaluation protocol."""

from dataclasses import dataclass

from ml_collections import ConfigDict

from radepth_jax.errors import UserError

# How predictions become metres: by each image's ground truth, by the camera's height over the
# estimated ground, by a factor that was measured on other images, or by a given factor.
SCALINGS = ("median", "ground", "fixed", "none")
CROPS = ("none", "garg", "nyu")


@dataclass(frozen=True)
class Protocol:
    """How predictions are compared with ground truth.

    Attributes:
        min_depth: metres. Ground truth at or below it is left out, and predictions are clipped to
            it.
        max_depth: metres. Ground truth at or above it is left out, and predictions are clipped to
            it.
        crop: "none", "garg" (KITTI) or "nyu".
        scaling: "median" scales each prediction by median(ground truth) / median(prediction),
            "ground" by the known height of the camera over its own estimate (`evaluate.ground`),
            "fixed" and "none" by one factor for all images.
        camera_height: metres over the road, for "ground". It is 1.65 on KITTI.
    """

    min_depth: float = 1e-3
    max_depth: float = 80.0
    crop: str = "none"
    scaling: str = "median"
    camera_height: float = 1.65

    def __post_init__(self) -> None:
        if self.crop not in CROPS:
            raise UserError(f"evaluate.crop: expected one of {', '.join(CROPS)}, got {self.crop!r}")
        if self.scaling not in SCALINGS:
            raise UserError(
                f"evaluate.scaling: expected one of {', '.join(SCALINGS)}, got {self.scaling!r}"
            )
        if not 0 <= self.min_depth < self.max_depth:
            raise UserError(
                f"evaluate.min_depth is {self.min_depth}: expected less than max_depth, "
                f"{self.max_depth}"
            )

    @property
    def scalings(self) -> tuple[str, ...]:
        """The scalings that are reported. Median scaling is reported beside "ground"."""
        return ("median", "ground") if self.scaling == "ground" else (self.scaling,)


def protocol_of(config: ConfigDict) -> Protocol:
    """The evaluation protocol a config names."""
    return Protocol(
        min_depth=config.evaluate.min_depth,
        max_depth=config.evaluate.max_depth,
        crop=config.evaluate.crop,
        scaling=config.evaluate.scaling,
        camera_height=config.evaluate.camera_height,
    )
