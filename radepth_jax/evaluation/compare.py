"""Compares predicted depth with the ground truth. It is brought to metres and then measured."""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp

from radepth_jax.evaluation.edges import edge_metrics
from radepth_jax.evaluation.metrics import depth_metrics
from radepth_jax.geometry.camera import resize_intrinsics
from radepth_jax.geometry.ground import ground_height
from radepth_jax.runs.protocol import Protocol


def ground_scale(
    depth: jax.Array, intrinsics: jax.Array, size: jax.Array, *, camera_height: float
) -> jax.Array:
    """Metres per unit of `depth` [], from the known camera height. NaN if no ground is seen.

    Args:
        depth: [H, W] in any unit.
        intrinsics: [3, 3] in this map's pixels.
        size: int32 [2], the true (h, w) inside the canvas.
        camera_height: the camera's height above the ground in metres.
    """
    return camera_height / ground_height(depth, intrinsics, size)[0]


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
        factor: [] metres per unit of predicted depth, for the scalings "fixed" and "none".
        protocol: the range of depth, the crop, the camera's height, and whether edges are measured.
        scalings: how predictions become metres. "median" takes the ratio of each image's medians.
            "ground" takes the camera's height over the ground that the prediction shows. "fixed"
            and "none" take `factor`.

    Returns:
        For each of `scalings` the `depth_metrics` by name, [B], and the `edge_metrics` if the
        protocol wants them. These do not depend on the scaling.
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

    edges: dict[str, jax.Array] = {}
    if protocol.edges:
        measure = jax.vmap(partial(edge_metrics, protocol=protocol))
        edges = measure(predicted, batch["depth"], batch["depth_size"])
    return {
        scaling: jax.vmap(partial(one, scaling=scaling))(predicted, batch) | edges
        for scaling in scalings
    }
