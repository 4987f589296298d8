"""What a training step's randomness comes from."""

from typing import NamedTuple

import jax
import jax.numpy as jnp


class StepKeys(NamedTuple):
    """The typed keys that the parts of a step draw from.

    Attributes:
        views: [B], of each sample's flip, scales and crops.
        augmentations: [B], of what the depth network sees of it.
        objective: [B], of the noise that breaks ties, and of the terms.
        depth: [], of a depth network with dropout, which is drawn for all samples at once.
        pose: [], likewise.
    """

    views: jax.Array
    augmentations: jax.Array
    objective: jax.Array
    depth: jax.Array
    pose: jax.Array


def step_keys(seed: jax.Array | int, step: jax.Array | int, index: jax.Array) -> StepKeys:
    """The keys of a step, from (seed, step, index in the global batch) alone.

    Args:
        seed: of the run.
        step: int32 [].
        index: int32 [B], the samples' positions in the global batch.
    """
    of_step = jax.random.fold_in(jax.random.key(seed), step)
    of_samples = jax.vmap(jax.random.fold_in, (None, 0))(of_step, index)
    split = jax.vmap(lambda key: jax.random.split(key, 3))(of_samples)
    views, augmentations, objective = jnp.moveaxis(split, 1, 0)
    first = of_samples[0]  # of which `split` has taken 0, 1 and 2
    depth, pose = jax.random.fold_in(first, 3), jax.random.fold_in(first, 4)
    return StepKeys(views, augmentations, objective, depth, pose)
