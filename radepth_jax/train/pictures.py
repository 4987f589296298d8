"""What training looks like: views, disparities and the auto-mask of one sample."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from radepth_jax import models
from radepth_jax.evaluate.pictures import colorize, grid, labelled, to_uint8
from radepth_jax.train.forward import compute_loss
from radepth_jax.train.state import TrainState

PictureFn = Callable[..., Any]


def training_picture(
    forward: PictureFn, state: TrainState, batch: dict[str, jax.Array], seed: int
) -> np.ndarray:
    """A contact sheet of a batch's first sample, as the next step would see it.

    Args:
        forward: of `make_forward`, made once a run so that it compiles once.
        state: current state.
        batch: one device's batch.
        seed: of the run.

    Returns:
        uint8 [H, W, 3]: a row per view (image, disparity), then auto-mask and warped target.
    """
    one = {k: v[:1] for k, v in batch.items()}
    pictures = forward(state.params, state.batch_stats, one, state.step, seed)
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


def make_forward(config: ConfigDict) -> PictureFn:
    """A jitted (params, batch_stats, batch, step, seed) -> what `compute_loss` shows."""

    def pictures(params: Any, batch_stats: Any, batch: dict, step: jax.Array, seed: int) -> Any:
        networks = models.build(config.model, models.Policy.native())
        index = jnp.arange(batch["frames"].shape[0])
        return compute_loss(
            params, batch_stats, batch, step, seed, networks=networks, config=config, index=index
        )[1][2]

    return jax.jit(pictures)
