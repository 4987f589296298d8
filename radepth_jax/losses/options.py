"""Settings of the objective: how much each term weighs, and what all terms share."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from radepth_jax.errors import UserError

# The weights of the terms that other settings ask for: `config.pose.align`, `camera_height` and
# `config.pose.learned_fov`. A config that replaces `weights` by its own, or that is older than
# these terms, must not lose them.
ON_REQUEST = {"alignment": 1.0, "height": 0.02, "focal": 1.0}
AFTER_RAMPS = 2**30  # a step


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """Weights and switches of the objective; defaults are RA-Depth's.

    Attributes:
      weights: of the terms of `terms.TERMS`, by name; a term of weight 0, or of none, is left out.
        Other settings ask for `alignment`, `height` and `focal` (see `ON_REQUEST`). These have
        their default weights where none is given, and only a weight of 0 leaves them out.
      ramps: (first, last) step between which a term's weight grows from 0, by name; (0, 0) is none.
      ssim: share of SSIM in every comparison, 0 to 1; the rest is L1.
      automask: whether unwarped sources compete in the minimum over sources.
      noise: standard deviation of the noise that breaks ties with unwarped sources.
      mask_low_filler: leave the low view's filler strips out of its losses. They are images of
        nothing under its intrinsics; the published training keeps them.
      min_depth: depth of disparity 1.
      max_depth: depth of disparity 0.
      camera_height: metres over the road, where depth is to be learned in metres (the term
        `height`); 0 leaves its common factor free.
    """

    weights: Mapping[str, float] = dataclasses.field(
        default_factory=lambda: {
            "photometric": 1.0,
            "smoothness": 1e-3,
            "consistency": 1.0,
            **ON_REQUEST,
        }
    )
    ramps: Mapping[str, tuple[int, int]] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(("consistency", *ON_REQUEST), (0, 0))
    )
    ssim: float = 0.85
    automask: bool = True
    noise: float = 1e-5
    mask_low_filler: bool = False
    min_depth: float = 0.1
    max_depth: float = 100.0
    camera_height: float = 0.0

    def __post_init__(self) -> None:
        """Checks every field; other mappings (from configurations) become plain dictionaries.

        Raises:
          UserError: a field is out of its range.
        """
        object.__setattr__(self, "weights", ON_REQUEST | dict(self.weights))
        object.__setattr__(self, "ramps", {n: tuple(ramp) for n, ramp in self.ramps.items()})
        if not 0 < self.min_depth < self.max_depth:
            raise UserError(
                f"loss.min_depth is {self.min_depth} and loss.max_depth {self.max_depth}; "
                "expected 0 < min_depth < max_depth"
            )
        if not 0 <= self.ssim <= 1:
            raise UserError(f"loss.ssim is {self.ssim}; expected a share from 0 to 1")
        numbers = {f"weights.{name}": weight for name, weight in self.weights.items()}
        for field, value in (
            numbers | {"noise": self.noise, "camera_height": self.camera_height}
        ).items():
            if not 0 <= value < float("inf"):
                raise UserError(f"loss.{field} is {value}; expected a number of at least 0")
        for name, ramp in self.ramps.items():
            if len(ramp) != 2 or not 0 <= ramp[0] <= ramp[1]:
                raise UserError(
                    f"loss.ramps.{name} is {ramp}; expected (first, last) with 0 <= first <= last"
                )

    def __hash__(self) -> int:
        """Of equal options the same, so that they can be a static argument of `jax.jit`."""
        values = (getattr(self, field.name) for field in dataclasses.fields(self))
        return hash(tuple(tuple(sorted(v.items())) if isinstance(v, dict) else v for v in values))

    def weights_at(self, step: Any) -> dict[str, Any]:
        """The weights, grown along their ramps until `step` (int32 [], may be traced)."""
        grown: dict[str, Any] = dict(self.weights)
        for name, (first, last) in self.ramps.items():
            if last and name in grown:
                grown[name] *= jnp.clip((step - first) / max(last - first, 1), 0.0, 1.0)
        return grown
