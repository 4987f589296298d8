"""Depth of images, as a function that JAX can trace: under `jit`, `vmap` and `grad`."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from radepth_jax.errors import UserError
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.inference.disparity import Resolution, predict_disparity
from radepth_jax.models import Networks
from radepth_jax.models.depth import check_resolution
from radepth_jax.runs.saved_model import Model


def predict_depth(
    model: Model,
    images: jax.Array,
    *,
    resolution: Resolution | None = None,
    flip: bool = False,
) -> jax.Array:
    """Depth of images of one size, at that size.

    It can be traced: under `jax.jit`, under `jax.vmap`, and under `jax.grad` with respect to
    floating-point images or to weights (`dataclasses.replace(model, variables=...)`). It compiles
    once for each shape. `radepth_jax.load` has what this function has not: files, pictures of many
    sizes and native resolution.

    Example:
        import jax
        import radepth_jax
        model = radepth_jax.load_model("default")
        depth = jax.jit(lambda images: radepth_jax.predict_depth(model, images))(images)

    Args:
        model: from `load_model`.
        images: uint8, or floats in [0, 1], [..., H, W, 3], RGB.
        resolution: (width, height) of the network's input, multiples of its stride. By default it
            is the training resolution.
        flip: whether to average with the mirrored images' depth.

    Returns:
        float32 [..., H, W], the distance along the optical axis. It is in metres if
        `model.metric_scale` is known, and up to one unknown scale otherwise.

    Raises:
        UserError: the images have another shape or type, or the network does not take the
            resolution.
    """
    images = jnp.asarray(images)
    floats = jnp.issubdtype(images.dtype, jnp.floating)
    if images.ndim < 3 or images.shape[-1] != 3 or not (floats or images.dtype == jnp.uint8):
        raise UserError(
            "images: expected uint8, or floats in [0, 1], of shape [..., H, W, 3], got "
            f"{images.dtype}{list(images.shape)}"
        )
    width, height = model.config.views.resolution if resolution is None else resolution
    check_resolution((width, height), model.networks.depth.stride)
    flat = images.reshape(-1, *images.shape[-3:])
    depth = depth_of_batch(
        {"depth": model.variables["depth"]},
        flat,
        jnp.broadcast_to(jnp.array(flat.shape[1:3], jnp.int32), (len(flat), 2)),
        jnp.float32(1 if model.metric_scale is None else model.metric_scale),
        networks=model.networks,
        resolution=(width, height),
        flip=flip,
        depth_range=model.depth_range,
    )
    return depth.reshape(images.shape[:-1])


@partial(jax.jit, static_argnames=("networks", "resolution", "flip", "depth_range"))
def depth_of_batch(
    variables: Any,
    images: jax.Array,
    sizes: jax.Array,
    unit: jax.Array,
    *,
    networks: Networks,
    resolution: Resolution | None,
    flip: bool,
    depth_range: tuple[float, float],
) -> jax.Array:
    """Depth of a batch of pictures on one canvas, at their own sizes.

    Args:
        variables: {"depth": {"params", ...}}.
        images: uint8, or float32 in [0, 1], [B, H0, W0, 3], edge-padded to one canvas.
        sizes: int32 [B, 2], the true (h, w) of each.
        unit: float32 [], the length of one unit of the network's depth.
        networks: from `models.build`.
        resolution: (width, height) of the network's input. None runs the network on the canvas.
        flip: whether to average with the depth of the mirrored picture.
        depth_range: the (min, max) depth that disparities stand for.

    Returns:
        float32 [B, H0, W0]. The values beyond each picture's size mean nothing.
    """
    disparity = predict_disparity(
        variables, images, sizes, networks=networks, resolution=resolution, flip=flip
    )
    nearest, farthest = depth_range
    return unit * depth_from_disparity(disparity, min_depth=nearest, max_depth=farthest)
