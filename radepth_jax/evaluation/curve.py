"""How flat a network's error is over test resolutions, in three numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radepth_jax.evaluation.row import Row


@dataclass(frozen=True)
class Curve:
    """AbsRel of one network over resolutions.

    Attributes:
        label: the network's label, with the scaling if that is not the usual one.
        worst: the largest AbsRel.
        spread: the largest AbsRel divided by the smallest. 1 is flat.
        area: the mean AbsRel over the logarithm of the width, by the trapezoidal rule. Resolutions
            that lie close together do not count twice in it.
    """

    label: str
    worst: float
    spread: float
    area: float

    def line(self) -> str:
        """The numbers as a sentence."""
        return (
            f"{self.label}: AbsRel at worst {self.worst:.3f}, {self.spread:.2f} times its best; "
            f"{self.area:.3f} over the logarithm of the width"
        )


def curves(rows: Sequence[Row]) -> list[Curve]:
    """The curves of the networks that have two widths or more, in the rows' order."""
    found = []
    for label in dict.fromkeys(row.label for row in rows):
        own = {row.width: row.metrics["abs_rel"] for row in rows if row.label == label}
        pairs = sorted((width, error) for width, error in own.items() if width)
        if len(pairs) < 2 or not np.isfinite([error for _, error in pairs]).all():
            continue
        widths, errors = (np.array(column, np.float64) for column in zip(*pairs, strict=True))
        logs = np.log(widths)
        area = float(np.trapezoid(errors, logs) / (logs[-1] - logs[0]))
        found.append(Curve(label, float(errors.max()), float(errors.max() / errors.min()), area))
    return found
