"""Notice a run that has gone wrong, and say so in plain words."""

from radepth_jax.data.intrinsics import fov_from_focal

# Variation is the disparity's standard deviation over its mean, inside an image. It is about 0.8
# for a street's true disparity. For an untrained network it is 0.02 to 0.05, and it grows within a
# few hundred steps.
FLAT_VARIATION = 0.02
FALLEN_VARIATION = 0.15
FALLEN_SHARE = 0.3
COLLAPSED_AUTOMASK = 0.97
LEAST_FOV, MOST_FOV = 8.0, 140.0  # degrees; a learned field of view should stay between them
FRESH_PAGES = 5000  # pages (20 MB) mapped at every step; with kept memory there are some ten
PAGE = 4096  # bytes


class CollapseDetector:
    """Watch for a depth network that answers one depth everywhere.

    There are three signs, each averaged over about `memory` steps. The disparity's variation inside
    an image has fallen to a small part of what it was: constant maps agree perfectly across scales,
    so the consistency loss can pull a young network there. Or it has stayed near zero for
    `patience` steps. Or nearly every pixel has been auto-masked for as long, because no warped
    source explains the target better than the unwarped one.

    Args:
        memory: how many steps the running averages remember.
        patience: how many steps a run may take to leave its flat start.
    """

    def __init__(self, memory: int = 50, patience: int = 500):
        self._keep = 1.0 - 1.0 / memory
        self._memory, self._patience = memory, patience
        self._steps = 0
        self._variation = self._automasked = self._best = 0.0

    def update(self, variation: float, automasked: float) -> str | None:
        """Take one step's figures.

        Args:
            variation: the standard deviation over the mean of the middle view's disparity.
            automasked: the share of its pixels that are auto-masked, 0 to 1.

        Returns:
            A message while the run looks collapsed, otherwise None.
        """
        self._steps += 1
        keep = self._keep if self._steps > 1 else 0.0
        self._variation = keep * self._variation + (1 - keep) * variation
        self._automasked = keep * self._automasked + (1 - keep) * automasked
        if self._steps < self._memory:
            return None
        self._best = max(self._best, self._variation)
        if self._variation < min(FALLEN_VARIATION, FALLEN_SHARE * self._best):
            sign = (
                f"the disparity's variation inside an image has fallen from {self._best:.3f} to "
                f"{self._variation:.3f} of its mean"
            )
        elif self._steps >= self._patience and self._variation < FLAT_VARIATION:
            sign = f"the disparity varies by only {self._variation:.3f} of its mean inside an image"
        elif self._steps >= self._patience and self._automasked > COLLAPSED_AUTOMASK:
            sign = f"{self._automasked:.1%} of the pixels are auto-masked"
        else:
            return None
        return (
            f"training has collapsed: {sign}, so the network answers nearly one depth everywhere "
            "and the photometric loss no longer teaches it. Start again with pretrained encoders, "
            "a later or longer config.loss.ramps.consistency, or a lower learning rate; if it is "
            "so from the start, check that the camera moves and that the intrinsics are right"
        )


def lost_camera(focal: float) -> str | None:
    """A message if no camera has the learned focal length (in image widths), otherwise None."""
    fov = fov_from_focal(focal)
    if LEAST_FOV < fov < MOST_FOV:
        return None
    return (
        f"the field of view that is learned has come to {fov:.0f} degrees, and will hardly come "
        "back: start again from a narrower config.pose.learned_fov, or give the camera"
    )


def fresh_memory(faults: float) -> str | None:
    """A message if a step maps memory afresh that it could have kept, otherwise None.

    Args:
        faults: the number of page faults of a usual step.
    """
    if faults < FRESH_PAGES:
        return None
    return (
        f"each step maps {faults * PAGE / 2**20:.0f} MB of memory afresh, which may cost a sixth "
        "of the time: JAX had started before this program's memory was set up. Call "
        "radepth_jax.startup.start_program() before anything of JAX computes"
    )
