"""`--steady`: what `radepth predict` needs for it, and what it says of it at the end."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.inference.steady import Steady
from radepth_jax.names import counted
from radepth_jax.predict.predictor import Predictor
from radepth_jax.predict.request import Request


def make_steady(
    predictor: Predictor,
    request: Request,
    size: tuple[int, int],
    aspect: Fraction | float = 1.0,
) -> Steady:
    """The filter of one film.

    Depth is filtered at the resolution of the network's input. A network of native resolution has
    the film's own size.

    Args:
        predictor: from `load`.
        request: has the camera.
        size: (h, w) of the film's frames.
        aspect: a pixel's width over its height.

    Raises:
        UserError: The camera is none of a film of this size.
    """
    return Steady(
        predictor.model,
        parse_intrinsics(request.intrinsics, request.fov, size, aspect),
        working=predictor.resolution or (size[1], size[0]),
        unit=1.0 if predictor.metres_per_unit is None else predictor.metres_per_unit,
    )


def flicker_line(flicker: Sequence[tuple[float, float]]) -> str:
    """A line about the flicker (before, after) of all frames. Empty if no frame follows another."""
    if not flicker:
        return ""
    before, after = np.mean(flicker, axis=0)
    return (
        f"flicker {before:.4f} before, {after:.4f} after: the mean difference of log depth along "
        f"the predicted motion, of {counted(len(flicker), 'pair')} of frames"
    )
