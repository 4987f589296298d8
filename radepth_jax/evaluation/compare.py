"""Predicted depth against the ground truth: brought to metres, then measured, for any method."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from radepth_jax.evaluation.ground import ground_scale
from radepth_jax.evaluation.metrics import depth_metrics
from radepth_jax.geometry.camera import resize_intrinsics
from radepth_jax.runs.protocol import Protocol


def compare(
    predicted: jax.Array,
    batch: dict[str, jax.Array],
    factor: jax.Array | float = 1.0,
    *,
    protocol: Protocol,
    scalings: Sequence[str],
) -> dict[str, dict[str, jax.Array]]:
    """The metrics of a batch of predictions. It is pure, for `jit` or `pmap`.

    Args:
        predicted: depth [B, Hd, Wd] at the size of the ground truth, in metres or up to scale.
        batch: `size` int32 [B, 2] of the images, `intrinsics` float32 [B, 3, 3] in their pixels,
            `depth` float32 [B, Hd, Wd] in metres, `depth_size` int32 [B, 2].
        factor: [] metres per unit of predicted depth, for every scaling but the next two.
        protocol: the range of depth, the crop and the camera's height.
        scalings: "median" takes each image's ratio of medians, "ground" the camera's height over
            the ground that the prediction shows, every other name `factor`.

    Returns:
        For each of `scalings` the `depth_metrics` by name, [B].
    """

    def one(
        predicted: jax.Array, sample: dict[str, jax.Array], scaling: str
    ) -> dict[str, jax.Array]:
        own_factor: jax.Array | None = jnp.asarray(factor, jnp.float32)
        if scaling == "median":
            own_factor = None
        elif scaling == "ground":
            K = resize_intrinsics(sample["intrinsics"], sample["size"], sample["depth_size"])
            own_factor = ground_scale(
                predicted, K, sample["depth_size"], camera_height=protocol.camera_height
            )
        return depth_metrics(predicted, sample["depth"], sample["depth_size"], protocol, own_factor)

    return {
        scaling: jax.vmap(partial(one, scaling=scaling))(predicted, batch) for scaling in scalings
    }
