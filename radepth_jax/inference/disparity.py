"""Disparity of native images at their own size, from any network resolution, jitted."""

from typing import Any

import jax
import jax.numpy as jnp

from radepth_jax.geometry.resize import resample, resize_weights
from radepth_jax.models import Networks

Resolution = tuple[int, int]  # (width, height); None stands for each image's own size


def predict_disparity(
    variables: Any,
    images: jax.Array,
    sizes: jax.Array,
    *,
    networks: Networks,
    resolution: Resolution | None,
    flip: bool = False,
    canvas: tuple[int, int] | None = None,
    output_sizes: jax.Array | None = None,
) -> jax.Array:
    """Disparity of a batch of images, at their own size or at that of their ground truth.

    Args:
        variables: {"depth": {"params", "batch_stats"}, ...}.
        images: uint8, or floats in [0, 1], [B, H0, W0, 3], edge-padded to one canvas.
        sizes: int32 [B, 2], the true (h, w) of each.
        networks: from `models.build`.
        resolution: (width, height) of the network's input, multiples of its stride. None runs the
            network on the canvas itself, which is edge-padded to multiples of the stride. The
            result is cropped back.
        flip: whether to average with the mirrored image's disparity. At each side border only the
            one that saw beyond that border counts (Godard et al., CVPR 2017, post-processing).
        canvas: (H, W) of the result. By default it is that of the images.
        output_sizes: int32 [B, 2], the (h, w) <= canvas that each disparity is resized to
            (bilinear). By default they are the images' sizes.

    Returns:
        [B, H, W] in (0, 1). The values beyond each output size mean nothing.
    """
    own = (images.shape[1], images.shape[2])
    if resolution is None:
        stride = networks.depth.stride
        below, right = (-side % stride for side in own)
        padding = ((0, 0), (0, below), (0, right), (0, 0))
        inputs = _in_unit_range(jnp.pad(images, padding, mode="edge"))
    else:
        inputs = jax.vmap(lambda i, s: network_input(i, s, resolution))(images, sizes)

    def run(inputs: jax.Array) -> jax.Array:
        return networks.depth.apply(variables["depth"], inputs, train=False)[0]

    disparity = run(inputs)
    if flip:
        mirrored = run(inputs[:, :, ::-1])[:, :, ::-1]
        disparity = merge_mirrored(disparity, mirrored)
    if resolution is None:
        disparity = disparity[:, : own[0], : own[1]]
        if canvas is None and output_sizes is None:
            return disparity[..., 0]
        valid = sizes
    else:
        valid = jnp.broadcast_to(jnp.asarray(disparity.shape[1:3]), sizes.shape)
    canvas = canvas or own
    output_sizes = sizes if output_sizes is None else output_sizes
    resize = jax.vmap(lambda d, size, of: disparity_at(d, canvas, size, valid=of))
    return resize(disparity, output_sizes, valid)


def merge_mirrored(disparity: jax.Array, mirrored: jax.Array) -> jax.Array:
    """The mean of two disparities, but only one of them at each side border (5 % of the width).

    At a border, the disparity counts that saw beyond it.

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
        image: uint8, or floats in [0, 1], [H0, W0, 3], edge-padded.
        size: int32 [2], the true (h, w).
        resolution: (width, height).

    Returns:
        float32 [height, width, 3] in [0, 1].
    """
    width, height = resolution
    rows = resize_weights(jnp.arange(height), size[0], height, image.shape[0], kernel="lanczos3")
    columns = resize_weights(jnp.arange(width), size[1], width, image.shape[1], kernel="lanczos3")
    return jnp.clip(resample(_in_unit_range(image), rows, columns), 0, 1)


def _in_unit_range(image: jax.Array) -> jax.Array:
    """Float32 in [0, 1]. uint8 levels are divided by 255, and floats are taken as they are."""
    values = image.astype(jnp.float32)
    return values if jnp.issubdtype(image.dtype, jnp.floating) else values / 255


def disparity_at(
    disparity: jax.Array,
    canvas: tuple[int, int],
    size: jax.Array,
    *,
    valid: jax.Array | None = None,
) -> jax.Array:
    """Resize a disparity map bilinearly to the true size inside a canvas.

    Args:
        disparity: [h, w, 1].
        canvas: static (H0, W0).
        size: int32 [2], the true (h, w) <= canvas.
        valid: int32 [2], the (h, w) of the part of `disparity` that is resized. By default it is
            all of it.

    Returns:
        [H0, W0]. The values beyond `size` mean nothing.
    """
    rows, columns = (
        resize_weights(jnp.arange(side), of, true, n, kernel="linear", antialias=False)
        for side, n, true, of in zip(
            canvas,
            disparity.shape[:2],
            size,
            disparity.shape[:2] if valid is None else valid,
            strict=True,
        )
    )
    return resample(disparity, rows, columns)[..., 0]
