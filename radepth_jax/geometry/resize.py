"""Separable resampling as matrix products, with sizes that may be traced.

A resized image is `rows @ image @ columns.T`. The matrices' shapes are static, while the true input
size, the output size and which output pixels are wanted may differ per sample under `vmap`: crops,
flips and repeated strips are then only a choice of output coordinates, and cost nothing.
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

Kernel = Literal["lanczos3", "linear"]


def resize_weights(
    output_coordinates: Real[Array, "n"],
    input_size: Any,
    output_size: Any,
    n_input: int,
    *,
    kernel: Kernel,
    antialias: bool = True,
) -> Float[Array, "n n_input"]:
    """Weights of every input pixel in the wanted output pixels, along one axis.

    Half-pixel convention: output pixel `o` is centred at `(o + 0.5) input_size / output_size` from
    the input's edge. With `antialias` the kernel is stretched when shrinking, and the window is cut
    to the true image and renormalised, as Pillow's `Image.resize` does (LANCZOS, BILINEAR); without
    it, `linear` is plain bilinear interpolation with clamped borders.

    Args:
      output_coordinates: [n] wanted pixels of the output. One outside it stands for the nearest
        border pixel.
      input_size: true length of the input, at most `n_input`; static or traced.
      output_size: length of the whole output; static or traced.
      n_input: static length of the input canvas.
      kernel: `lanczos3` or `linear`.
      antialias: whether to stretch the kernel when shrinking.

    Returns:
      [n, n_input] rows that sum to 1, and are 0 beyond `input_size`.
    """
    input_size = jnp.asarray(input_size, jnp.float32)
    output_size = jnp.asarray(output_size, jnp.float32)
    scale = input_size / output_size
    stretch = jnp.maximum(scale, 1.0) if antialias else jnp.ones_like(scale)
    coordinates = jnp.clip(jnp.asarray(output_coordinates, jnp.float32), 0, output_size - 1)
    centres = (coordinates + 0.5) * scale
    pixels = jnp.arange(n_input, dtype=jnp.float32)
    distance = (pixels[None, :] + 0.5 - centres[:, None]) / stretch
    weights = _lanczos3(distance) if kernel == "lanczos3" else jnp.maximum(1 - abs(distance), 0)
    weights = jnp.where(pixels[None, :] < input_size, weights, 0)
    return weights / jnp.sum(weights, axis=1, keepdims=True)


def resample(
    image: Float[Array, "... H W C"],
    rows: Float[Array, "h H"],
    columns: Float[Array, "w W"],
    *,
    precision: jax.lax.Precision = jax.lax.Precision.HIGHEST,
) -> Float[Array, "... h w C"]:
    """`rows @ image @ columns.T` for each channel.

    Args:
      image: [..., H, W, C].
      rows: [h, H] from `resize_weights`.
      columns: [w, W] from `resize_weights`.
      precision: of the two matrix products.

    Returns:
      [..., h, w, C] the resampled image.
    """
    shorter = jnp.einsum("hy,...yxc->...hxc", rows, image, precision=precision)
    return jnp.einsum("wx,...hxc->...hwc", columns, shorter, precision=precision)


def enlarge(
    image: Float[Array, "... h w C"], size: tuple[int, ...]
) -> Float[Array, "... {size[0]} {size[1]} C"]:
    """Bilinear interpolation to `size` (H, W), with clamped borders."""
    old = image.shape[-3:-1]
    if old == size:
        return image
    rows, columns = (
        resize_weights(jnp.arange(new), had, new, had, kernel="linear", antialias=False)
        for had, new in zip(old, size, strict=True)
    )
    return resample(image, rows, columns)


def _lanczos3(x: Array) -> Array:
    """`sinc(x) sinc(x/3)` within |x| < 3, with one sine: sin(3a) = 3 sin(a) - 4 sin(a)^3."""
    safe = jnp.where(x == 0, 1.0, x)
    sine = jnp.sin(safe * (jnp.pi / 3))
    value = 3 * sine * (3 * sine - 4 * sine**3) / (jnp.pi * safe) ** 2
    return jnp.where(x == 0, 1.0, jnp.where(abs(x) < 3, value, 0.0))


def shrink(image: Float[Array, "H W C"], factor: int) -> Float[Array, "h w C"]:
    """Means of blocks of `factor` by `factor` pixels. The factor divides both sides."""
    if factor == 1:
        return image
    height, width, channels = image.shape
    blocks = image.reshape(height // factor, factor, width // factor, factor, channels)
    return blocks.mean(axis=(1, 3))
