"""Arbitrary-scale augmentation (AS-Aug; RA-Depth, section 3.2): native frames to views.

Each view takes one resampling.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8

from radepth_jax.geometry import camera
from radepth_jax.geometry.resize import resize_weights
from radepth_jax.views.keys import fold_name
from radepth_jax.views.options import ViewEntry, ViewOptions
from radepth_jax.views.view import Views

# Native pixels are integers up to 255 and weights need no more digits than an image has: on
# GPUs this allows TF32, on TPUs three bfloat16 passes.
_PRECISION = jax.lax.Precision.HIGH


def make_views(
    key: Array,
    frames: UInt8[Array, "F H0 W0 3"],
    size: Int[Array, "2"],
    intrinsics: Float[Array, "3 3"],
    *,
    options: ViewOptions,
) -> Views:
    """AS-Aug: the views of one sample, resampled from native frames with Pillow's LANCZOS.

    Scale, crop and flip are drawn once for all frames, and do not depend on the other views.

    Args:
      key: PRNG key.
      frames: uint8 [F, H0, W0, 3], of which the top-left `size` is the image.
      size: [2] true (h, w).
      intrinsics: [3, 3] in native pixels.
      options: see `ViewOptions`.

    Returns:
      The views of `options.names`, in that order.
    """
    flip_key, scale_key = jax.random.split(key)
    flipped = jax.random.bernoulli(flip_key, options.flip)
    mirrored = camera.flip_intrinsics(intrinsics, size[1].astype(jnp.float32))
    intrinsics = jnp.where(flipped, mirrored, intrinsics)

    sizes, offsets = draw_placements(scale_key, options=options)

    canvas, native = options.size, (frames.shape[1], frames.shape[2])
    rows, columns = jax.vmap(
        lambda view_size, offset: _weights(view_size, offset, size, flipped, canvas, native)
    )(sizes, offsets)
    # All views in one product over the rows, the larger of the two: the frames are read once.
    planes = jnp.moveaxis(frames, 3, 1).astype(jnp.float32)
    n_views = len(options.names)
    shorter = jnp.einsum(
        "ny,fcyx->fcnx", rows.reshape(n_views * canvas[0], -1), planes, precision=_PRECISION
    ).reshape(*planes.shape[:2], n_views, canvas[0], -1)
    images = jnp.einsum("vwx,fcvhx->vfhwc", columns, shorter, precision=_PRECISION)
    images = jnp.clip(images / 255, 0, 1)

    resized = jax.vmap(camera.resize_intrinsics, (None, None, 0))(intrinsics, size, sizes)
    return Views(
        names=options.names,
        images=images,
        intrinsics=jax.vmap(camera.crop_intrinsics)(resized, offsets),
        size=sizes,
        offset=offsets,
        flipped=flipped,
        filled=any(options.entries[name].scale[0] < 1 for name in options.names),
    )


def draw_placements(
    key: Array, *, options: ViewOptions
) -> tuple[Int[Array, "V 2"], Int[Array, "V 2"]]:
    """Random scale and crop of each view of `options.names`.

    Args:
      key: PRNG key.
      options: see `ViewOptions`.

    Returns:
      (h, w) of the whole resized frame and (y, x) of the canvas in it, int32 [V, 2] each.
    """
    canvas = jnp.array(options.size, jnp.int32)
    drawn = (
        _draw_placement(*_keys(key, name), options.entries[name], canvas) for name in options.names
    )
    sizes, offsets = zip(*drawn, strict=True)
    return jnp.stack(sizes), jnp.stack(offsets)


def _keys(key: Array, name: str) -> tuple[Array, Array]:
    """Of a view's scale and of its crop; those of the published views come out of one split."""
    high_key, crop_key, low_key = jax.random.split(key, 3)
    of_scale, of_crop = jax.random.split(fold_name(key, name))
    published = {"high": (high_key, crop_key), "low": (low_key, of_crop)}
    return published.get(name, (of_scale, of_crop))


def _draw_placement(
    scale_key: Array, crop_key: Array, entry: ViewEntry, canvas: Int[Array, "2"]
) -> tuple[Int[Array, "2"], Int[Array, "2"]]:
    least, most = entry.scale
    drawn = least if least == most else jax.random.uniform(scale_key, minval=least, maxval=most)
    size = jnp.floor(drawn * canvas).astype(jnp.int32)
    room = jnp.maximum(size - canvas, 0)
    offset = jax.random.randint(crop_key, (2,), 0, room + 1) if entry.crop else room // 2
    return size, offset


def _weights(
    view_size: Int[Array, "2"],
    offset: Int[Array, "2"],
    size: Int[Array, "2"],
    flipped: Bool[Array, ""],
    canvas: tuple[int, int],
    native: tuple[int, int],
) -> tuple[Array, Array]:
    """Row and column weights of one view; crop, filler and flip are choices of coordinates."""
    rows, columns = (_shown(canvas[axis], view_size[axis], offset[axis]) for axis in range(2))
    columns = jnp.where(flipped, view_size[1] - 1 - columns, columns)
    row_weights, column_weights = (
        resize_weights(wanted, size[axis], view_size[axis], native[axis], kernel="lanczos3")
        for axis, wanted in enumerate((rows, columns))
    )
    return row_weights, column_weights


def _shown(length: int, resized: Array, offset: Array) -> Int[Array, "n"]:
    """Which pixel of the resized frame each canvas pixel shows, along one axis.

    Beyond the frame's end, the last `length - resized` pixels once more.
    """
    position = jnp.arange(length) + offset
    return jnp.where(position < resized, position, position - (length - resized))
