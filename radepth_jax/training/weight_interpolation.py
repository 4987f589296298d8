"""Weight interpolation: weights between those that a run started from and those that it learned.

A network that is trained on something narrow keeps more of what it knew before.
"""

import dataclasses
from typing import Any

import jax
import numpy as np

from radepth_jax.runs.state import TrainState


def interpolate_weights(state: TrainState, start: dict[str, Any], share: float) -> TrainState:
    """The state with weights between those of a checkpoint and its own.

    Along that line the error on what was trained on falls fast at first, and the error on all else
    rises late (Wortsman et al., Robust Fine-Tuning of Zero-Shot Models, CVPR 2022).

    Args:
        state: on the host, with trees of parameters.
        start: the checkpoint's variables: {"depth": {"params", "batch_stats"}, "pose": {...}}.
            A learned camera stays as the state has it.
        share: how much of the way back to the checkpoint, from 0 (the state as it is) to 1.
    """

    def mix(kind: str, own: dict[str, Any]) -> dict[str, Any]:
        return own | {
            name: jax.tree.map(
                lambda old, new: np.asarray(share * old + (1 - share) * new, np.float32),
                start[name][kind],
                own[name],
            )
            for name in ("depth", "pose")
        }

    return dataclasses.replace(
        state,
        params=mix("params", state.params),
        batch_stats=mix("batch_stats", state.batch_stats),
    )
