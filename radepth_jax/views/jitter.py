"""Colour jitter. Each operation is defined as torchvision defines it for float images."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from radepth_jax.settings import check_number

_LUMA = (0.2989, 0.587, 0.114)  # ITU-R BT.601, in torchvision's digits


def colour_jitter(
    key: Array,
    images: Float[Array, "... H W 3"],
    *,
    brightness: float,
    contrast: float,
    saturation: float,
    hue: float,
) -> Float[Array, "... H W 3"]:
    """Brightness, contrast, saturation and hue changes in random order, one draw for all images.

    Args:
      key: PRNG key.
      images: [..., H, W, 3] in [0, 1].
      brightness: brightness factors are drawn from 1 +- this, which is from 0 to 1.
      contrast: contrast factors are drawn from 1 +- this, which is from 0 to 1.
      saturation: saturation factors are drawn from 1 +- this, which is from 0 to 1.
      hue: shifts of the hue are drawn from +- this, in turns of the colour circle; 0 to 0.5.

    Returns:
      [..., H, W, 3] in [0, 1].

    Raises:
      UserError: an option is out of its range.
    """
    check_number("brightness", brightness, 0, 1)
    check_number("contrast", contrast, 0, 1)
    check_number("saturation", saturation, 0, 1)
    check_number("hue", hue, 0, 0.5)
    factor_key, order_key = jax.random.split(key)
    spread = jnp.array([brightness, contrast, saturation, hue])
    centre = jnp.array([1.0, 1.0, 1.0, 0.0])
    factors = centre + spread * jax.random.uniform(factor_key, (4,), minval=-1.0)
    return adjust(images, factors, jax.random.permutation(order_key, 4))


def adjust(
    images: Float[Array, "... H W 3"], factors: Float[Array, "4"], order: Int[Array, "4"]
) -> Float[Array, "... H W 3"]:
    """All four operations, one after the other.

    Args:
      images: [..., H, W, 3] in [0, 1].
      factors: of brightness, contrast, saturation, and the shift of hue.
      order: positions in `factors`, the first operation first.

    Returns:
      [..., H, W, 3] in [0, 1].
    """
    operations = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
    for operation in order:
        images = jax.lax.switch(operation, operations, images, factors[operation])
    return images


def adjust_brightness(
    images: Float[Array, "... 3"], factor: Array | float
) -> Float[Array, "... 3"]:
    """`factor` times the images, clipped to [0, 1]."""
    return jnp.clip(images * factor, 0, 1)


def adjust_contrast(
    images: Float[Array, "... H W 3"], factor: Array | float
) -> Float[Array, "... H W 3"]:
    """Blend with each image's mean grey: 0 gives uniform grey, 1 the image."""
    mean = jnp.mean(grey(images), axis=(-3, -2, -1), keepdims=True)
    return jnp.clip(factor * images + (1 - factor) * mean, 0, 1)


def adjust_saturation(
    images: Float[Array, "... 3"], factor: Array | float
) -> Float[Array, "... 3"]:
    """Blend with each pixel's grey: 0 gives a grey image, 1 the image."""
    return jnp.clip(factor * images + (1 - factor) * grey(images), 0, 1)


def adjust_hue(images: Float[Array, "... 3"], shift: Array | float) -> Float[Array, "... 3"]:
    """Turn every colour's hue by `shift` turns, keeping HSV's saturation and value."""
    value = jnp.max(images, axis=-1)
    chroma = value - jnp.min(images, axis=-1)
    r, g, b = images[..., 0], images[..., 1], images[..., 2]
    safe = jnp.where(chroma == 0, 1.0, chroma)
    # Sixths of a turn (Smith, SIGGRAPH 1978); a grey pixel has chroma 0 and any hue.
    sextant = jnp.where(
        value == r, (g - b) / safe, jnp.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe)
    )
    turned = sextant + 6 * shift
    # The channel whose hue is n sixths away falls from value to value - chroma linearly.
    away = (jnp.stack([turned + 5, turned + 3, turned + 1], axis=-1)) % 6
    fall = jnp.clip(jnp.minimum(away, 4 - away), 0, 1)
    return jnp.clip(value[..., None] - chroma[..., None] * fall, 0, 1)


def grey(images: Float[Array, "... 3"]) -> Float[Array, "... 1"]:
    """Luma of RGB images, ITU-R BT.601."""
    r, g, b = images[..., 0:1], images[..., 1:2], images[..., 2:3]
    return _LUMA[0] * r + _LUMA[1] * g + _LUMA[2] * b
