"""A picture of training: views, disparities and the auto-mask of one sample."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.pictures import colorize, grid, labelled, to_uint8
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.state import TrainState
from radepth_jax.training.forward import compute_loss

PreviewFn = Callable[..., Any]


def training_picture(
    preview: PreviewFn, state: TrainState, batch: dict[str, jax.Array], seed: int
) -> np.ndarray:
    """A contact sheet of a batch's first sample, as the next step would see it.

    Args:
        preview: from `make_preview`. A run makes it once, so that it compiles once.
        state: the current state.
        batch: one device's batch.
        seed: the run's seed.

    Returns:
        uint8 [H, W, 3]. There is a row for each view (image and disparity), and then one with the
        auto-mask and the warped target.
    """
    one = {k: v[:1] for k, v in batch.items()}
    pictures = preview(state.params, state.batch_stats, one, state.step, seed)
    pictures = jax.tree.map(lambda x: np.asarray(x[0]), pictures)
    rows = [
        [
            labelled(to_uint8(image), name),
            colorize(pictures["disparities"][name][..., 0]),
        ]
        for name, image in pictures["views"].items()
    ]
    rows.append(
        [
            labelled(to_uint8(pictures["automask"]), "auto-mask: white is kept"),
            labelled(to_uint8(pictures["warped"]), "middle view from its sources"),
        ]
    )
    return grid(rows)


def make_preview(recipe: Recipe) -> PreviewFn:
    """A jitted function of (params, batch_stats, batch, step, seed): what `compute_loss` shows."""

    def pictures(params: Any, batch_stats: Any, batch: dict, step: jax.Array, seed: int) -> Any:
        index = jnp.arange(batch["frames"].shape[0])
        return compute_loss(params, batch_stats, batch, step, seed, recipe=recipe, index=index)[1][
            2
        ]

    return jax.jit(pictures)
