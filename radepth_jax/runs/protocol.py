"""How predictions are compared with ground truth: a run's evaluation protocol."""

import dataclasses
import math

from ml_collections import ConfigDict

from radepth_jax.errors import UserError
from radepth_jax.settings import Settings, setting

# How predictions become metres.
SCALINGS = {
    "median": "each prediction is multiplied by median(ground truth) / median(prediction)",
    "ground": "each prediction is multiplied by the camera's height over its own ground plane",
    "fixed": "predictions are multiplied by the factor stored in the checkpoint",
    "none": "predictions are multiplied by one given factor",
}
CROPS = ("none", "garg", "nyu")
_FROM_CONFIG = tuple(name for name in SCALINGS if name != "fixed")  # a run has no stored factor yet
_SCALING = "How predictions become metres. " + " ".join(
    f'"{name}": {SCALINGS[name]}.' for name in _FROM_CONFIG
)


@dataclasses.dataclass(frozen=True)
class Protocol(Settings):
    """How predictions are compared with ground truth."""

    group = "evaluate"

    min_depth: float = setting(
        1e-3,
        "Metres. Ground truth at or below it is left out, and predictions are clipped to it.",
        least=0,
    )
    max_depth: float = setting(
        80.0,
        "Metres. Ground truth at or above it is left out, and predictions are clipped to it.",
        least=0,
        most=math.inf,
    )
    crop: str = setting(
        "none", 'The part of an image that counts; "garg" is KITTI\'s.', choices=CROPS
    )
    scaling: str = setting("median", _SCALING, choices=SCALINGS)
    camera_height: float = setting(
        1.65, 'Metres over the road, for the scaling "ground"; 1.65 is KITTI\'s.', least=0
    )

    edges: bool = setting(
        False,
        "Whether it is also measured how well the borders of objects are found. This needs dense "
        "ground truth.",
    )

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            UserError: a field is out of its range.
        """
        super().__post_init__()
        if self.min_depth >= self.max_depth:
            raise UserError(
                "config.evaluate.min_depth: expected less than evaluate.max_depth, "
                f"{self.max_depth}, got {self.min_depth}"
            )

    @property
    def scalings(self) -> tuple[str, ...]:
        """The scalings that are reported. Median scaling is reported beside "ground"."""
        return ("median", "ground") if self.scaling == "ground" else (self.scaling,)


@dataclasses.dataclass(frozen=True)
class EvaluateOptions(Protocol):
    """`config.evaluate`: the protocol, and what a run validates at."""

    scaling: str = setting(Protocol.scaling, _SCALING, choices=_FROM_CONFIG)
    scale_factor: float = setting(
        1.0,
        'The given factor of the scaling "none"; 5.4 after stereo training with KITTI\'s baseline '
        "as 0.1.",
    )
    batch_size: int = setting(8, "Images of an evaluation step, over all devices.", least=1)
    resolutions: tuple[tuple[int, int], ...] = setting(
        (), "(width, height) of each resolution of the validation; () is views.resolution alone."
    )


def protocol_of(config: ConfigDict) -> Protocol:
    """The evaluation protocol a config names."""
    names = [field.name for field in dataclasses.fields(Protocol)]
    return Protocol(**{name: config.evaluate[name] for name in names})
