"""Photometric validation: how well held-out frames are rebuilt from their neighbours.

It needs no ground truth. An error that falls is no proof of better depth, so the depth of some
held-out frames is also drawn, for people to look at.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.data import Dataset, TrainingSource
from radepth_jax.losses.options import AFTER_RAMPS
from radepth_jax.pictures import colorize, grid, to_uint8
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.state import TrainState
from radepth_jax.training.forward import compute_loss

MOST = 64  # samples, so that it takes seconds
SHOWN = 3  # of them, in the picture


class PhotometricValidation:
    """The photometric error of the middle view, averaged over samples of a split.

    It is the error that training minimises, without flips and changed colours, and with the
    networks in evaluation mode. It tells whether a run gets better at its footage. Errors on two
    data sets, or with two choices of frame offsets, cannot be compared.

    Args:
        recipe: the run's.
        dataset: where the samples are.
        split: the split that they are taken from.
    """

    def __init__(self, recipe: Recipe, dataset: Dataset, split: str) -> None:
        offsets: Any = recipe.options.data.frame_offsets
        source = TrainingSource(
            dataset,
            split,
            offsets,
            true_poses=recipe.pose.true_scale > 0,
            known_camera=not recipe.pose.learns_camera,
        )
        chosen = np.unique(np.linspace(0, len(source) - 1, min(MOST, len(source))).astype(int))
        self._source, self._chosen = source, chosen
        self._error = make_error(recipe)

    def __len__(self) -> int:
        return len(self._chosen)

    def __call__(self, state: TrainState) -> tuple[float, np.ndarray]:
        """The error, given the state with trees of parameters, and a picture of some samples.

        The picture, uint8 [H, W, 3], has a row for each: the image, and its disparity in colours.
        """
        found = [self._error(state.params, state.batch_stats, s) for s in self._samples()]
        spread = np.linspace(0, len(found) - 1, min(SHOWN, len(found))).astype(int)
        rows = []
        for index in spread:
            image, disparity = (np.asarray(part[0]) for part in found[index][1:])
            rows.append([to_uint8(image), colorize(disparity[..., 0])])
        return float(np.mean([error for error, *_ in found])), grid(rows)

    def _samples(self) -> Iterator[dict[str, np.ndarray]]:
        for index in self._chosen:
            sample = self._source[index]
            yield {k: np.asarray(v)[None] for k, v in sample.items() if k != "skipped"}


def make_error(recipe: Recipe) -> Callable[..., tuple[jax.Array, jax.Array, jax.Array]]:
    """A jitted function of (params, batch_stats, batch).

    It returns the middle view's photometric error [], the view [B, H, W, 3] and its disparity
    [B, H, W, 1].
    """
    views = dataclasses.replace(recipe.views, names=("middle",), flip=0.0, augmentations={})
    loss = dataclasses.replace(recipe.loss, weights={"photometric": 1.0}, ramps={}, noise=0.0)
    plain = recipe.with_options(views=views, loss=loss)

    def error(params: Any, batch_stats: Any, batch: dict[str, jax.Array]) -> Any:
        index = jnp.arange(batch["frames"].shape[0])
        step = jnp.int32(AFTER_RAMPS)  # alignment finds turns, too
        _, (terms, _, shown) = compute_loss(
            params, batch_stats, batch, step, 0, recipe=plain, index=index, train=False
        )
        return terms["photometric_middle"], shown["views"]["middle"], shown["disparities"]["middle"]

    return jax.jit(error)
