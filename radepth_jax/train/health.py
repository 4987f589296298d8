"""Notice a run that has gone wrong, and say so in plain words."""

import math

COLLAPSED_VARIATION = 0.02
COLLAPSED_AUTOMASK = 0.97


class CollapseDetector:
    """Watch for a depth network that answers one depth everywhere.

    Two signs, averaged over about `memory` steps: the disparity's variation inside an image
    (standard deviation over mean) is near zero, or nearly every pixel is auto-masked (no warped
    source explains the target better than the unwarped one).

    Args:
        memory: steps the running averages remember.
    """

    def __init__(self, memory: int = 50):
        self._decay = 1.0 - 1.0 / memory
        self._memory = memory
        self._steps = 0
        self._variation = math.nan
        self._automasked = math.nan

    def update(self, variation: float, automasked: float) -> str | None:
        """Take one step's figures.

        Args:
            variation: standard deviation over mean of the middle view's disparity.
            automasked: share of its pixels that are auto-masked, 0..1.

        Returns:
            A message while the run looks collapsed, else None.
        """
        self._steps += 1
        if self._steps == 1:
            self._variation, self._automasked = variation, automasked
        else:
            keep = self._decay
            self._variation = keep * self._variation + (1 - keep) * variation
            self._automasked = keep * self._automasked + (1 - keep) * automasked
        if self._steps < self._memory:
            return None
        if self._variation < COLLAPSED_VARIATION:
            sign = f"the predicted disparity varies by only {self._variation:.2%} inside an image"
        elif self._automasked > COLLAPSED_AUTOMASK:
            sign = f"{self._automasked:.1%} of the pixels are auto-masked"
        else:
            return None
        return (
            f"training has collapsed: {sign}, so the network answers nearly one depth everywhere "
            "and the photometric loss no longer teaches it. Start again with pretrained encoders, "
            "a later or longer config.loss.consistency_ramp, or a lower learning rate; if it is "
            "so from the start, check that the camera moves and that the intrinsics are right"
        )
