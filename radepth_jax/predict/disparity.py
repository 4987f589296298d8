"""From native images to disparity at their own size, at any network resolution, jitted."""

from typing import Any

import jax
import jax.numpy as jnp

from radepth_jax.geometry.resize import resample, resize_weights
from radepth_jax.models import Networks

Resolution = tuple[int, int]  # (width, height); None stands for each image's own


def predict_disparity(
    variables: Any,
    images: jax.Array,
    sizes: jax.Array,
    *,
    networks: Networks,
    resolution: Resolution | None,
    flip: bool = False,
) -> jax.Array:
    """Disparity of a batch of images, at their own size.

    Args:
        variables: {"depth": {"params", "batch_stats"}, ...}.
        images: uint8 [B, H0, W0, 3], edge-padded to one canvas.
        sizes: int32 [B, 2], the true (h, w) of each.
        networks: of `models.build`.
        resolution: (width, height) of the network's input, multiples of its stride; None runs it on
            the canvas itself, edge-padded to multiples of the stride and cropped back.
        flip: average with the mirrored image's disparity, each side taking the one that saw beyond
            its border (Godard et al., CVPR 2017, post-processing).

    Returns:
        [B, H0, W0] in (0, 1); meaningless beyond each image's size.
    """
    canvas = (images.shape[1], images.shape[2])
    if resolution is None:
        stride = networks.depth.stride
        below, right = (-side % stride for side in canvas)
        padding = ((0, 0), (0, below), (0, right), (0, 0))
        inputs = jnp.pad(images, padding, mode="edge").astype(jnp.float32) / 255
    else:
        inputs = jax.vmap(lambda i, s: network_input(i, s, resolution))(images, sizes)

    def run(inputs: jax.Array) -> jax.Array:
        return networks.depth.apply(variables["depth"], inputs, train=False)[0]

    disparity = run(inputs)
    if flip:
        mirrored = run(inputs[:, :, ::-1])[:, :, ::-1]
        disparity = merge_mirrored(disparity, mirrored)
    if resolution is None:
        return disparity[:, : canvas[0], : canvas[1], 0]
    return jax.vmap(lambda d, s: disparity_at(d, canvas, s))(disparity, sizes)


def merge_mirrored(disparity: jax.Array, mirrored: jax.Array) -> jax.Array:
    """The mean of the two, but each one alone at the border that it saw past (5 % of the width).

    Args:
        disparity: [B, h, w, 1].
        mirrored: [B, h, w, 1] of the mirrored image, mirrored back.
    """
    across = jnp.linspace(0.0, 1.0, disparity.shape[2])[None, None, :, None]
    left = 1 - jnp.clip(20 * (across - 0.05), 0, 1)
    right = left[:, :, ::-1]
    mean = (disparity + mirrored) / 2
    return right * disparity + left * mirrored + (1 - left - right) * mean


def network_input(image: jax.Array, size: jax.Array, resolution: Resolution) -> jax.Array:
    """Resize one native image for the network (Lanczos, antialiased, as in training).

    Args:
        image: uint8 [H0, W0, 3], edge-padded.
        size: int32 [2], the true (h, w).
        resolution: (width, height).

    Returns:
        float32 [height, width, 3] in [0, 1].
    """
    width, height = resolution
    rows = resize_weights(jnp.arange(height), size[0], height, image.shape[0], kernel="lanczos3")
    columns = resize_weights(jnp.arange(width), size[1], width, image.shape[1], kernel="lanczos3")
    return jnp.clip(resample(image.astype(jnp.float32) / 255, rows, columns), 0, 1)


def disparity_at(disparity: jax.Array, canvas: tuple[int, int], size: jax.Array) -> jax.Array:
    """Resize a disparity map bilinearly to the true size inside a canvas.

    Args:
        disparity: [h, w, 1].
        canvas: static (H0, W0).
        size: int32 [2], the true (h, w) <= canvas.

    Returns:
        [H0, W0]; meaningless beyond `size`.
    """
    rows, columns = (
        resize_weights(jnp.arange(side), n, true, n, kernel="linear", antialias=False)
        for side, n, true in zip(canvas, disparity.shape[:2], size, strict=True)
    )
    return resample(disparity, rows, columns)[..., 0]
