"""Settings of the objective: how much each term weighs, and what all terms share."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from radepth_jax.errors import UserError
from radepth_jax.settings import Settings, setting

# The weights of the terms that other settings ask for: `config.pose.align`, `camera_height` and
# `config.pose.learned_fov`. A config that replaces `weights` by its own, or that is older than
# these terms, must not lose them.
ON_REQUEST = {"alignment": 1.0, "height": 0.02, "focal": 1.0}
AFTER_RAMPS = 2**30  # a step at which all ramps are over


@dataclasses.dataclass(frozen=True)
class LossOptions(Settings):
    """Weights and switches of the objective; defaults are RA-Depth's."""

    group = "loss"

    weights: Mapping[str, float] = setting(
        {"photometric": 1.0, "smoothness": 1e-3, "consistency": 1.0, **ON_REQUEST},
        "Weights of the terms of `losses.TERMS`. A term without a weight, or with weight 0, is "
        "left out. Some terms count only where another setting asks for them: alignment "
        "(pose.align), height (loss.camera_height) and focal (pose.learned_fov). Where no weight "
        "is given for one of these, it has its default.",
        least=0,
    )
    ramps: Mapping[str, tuple[int, int]] = setting(
        dict.fromkeys(("consistency", *ON_REQUEST), (0, 0)),
        "(first, last) step between which a term's weight grows from 0; (0, 0) is none.",
        least=0,
    )
    ssim: float = setting(
        0.85, "Share of SSIM in every comparison; the rest is L1.", least=0, most=1
    )
    filter: str = setting(
        "none", "What is done to the images before they are compared: an entry of losses.FILTERS."
    )
    automask: bool = setting(
        True, "Whether unwarped sources compete in the minimum over sources (auto-masking)."
    )
    noise: float = setting(
        1e-5, "Standard deviation of the noise that breaks ties with unwarped sources.", least=0
    )
    mask_low_filler: bool = setting(
        False,
        "Leave the strips that fill the canvas of a smaller view, such as the low one, out of its "
        "losses. They show nothing that its intrinsics explain. The published training keeps "
        "them.",
    )
    min_depth: float = setting(0.1, "Depth of disparity 1.")
    max_depth: float = setting(100.0, "Depth of disparity 0.")
    camera_height: float = setting(
        0.0,
        "The camera's metres over the road, if depth is to be learned in metres (the term "
        "`height`); 0 leaves the common factor of the depth free.",
        least=0,
    )

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
          UserError: a field is out of its range.
        """
        object.__setattr__(self, "weights", ON_REQUEST | dict(self.weights))
        super().__post_init__()
        if not 0 < self.min_depth < self.max_depth:
            raise UserError(
                f"config.loss.min_depth: expected a number above 0 and below loss.max_depth, "
                f"{self.max_depth}, got {self.min_depth}"
            )
        for name, ramp in self.ramps.items():
            if len(ramp) != 2 or ramp[0] > ramp[1]:
                raise UserError(f"config.loss.ramps.{name}: expected (first, last), got {ramp}")

    def weights_at(self, step: Any) -> dict[str, Any]:
        """The weights, grown along their ramps until `step` (int32 [], may be traced)."""
        grown: dict[str, Any] = dict(self.weights)
        for name, (first, last) in self.ramps.items():
            if last and name in grown:
                grown[name] *= jnp.clip((step - first) / max(last - first, 1), 0.0, 1.0)
        return grown
