"""How much a rebuilt image differs from the target, pixel by pixel (Godard et al., ICCV 2019)."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from radepth_jax.losses.region import Region
from radepth_jax.losses.ssim import ssim


def photometric_error(
    a: Float[Array, "... H W C"],
    b: Float[Array, "... H W C"],
    *,
    ssim_weight: float = 0.85,
    region: Region | None = None,
) -> Float[Array, "... H W"]:
    """`w mean_c((1 - SSIM) / 2) + (1 - w) mean_c|a - b|` of every pixel.

    Args:
      a: [..., H, W, C] in [0, 1]; leading axes broadcast against those of `b`.
      b: [..., H, W, C].
      ssim_weight: w; 0 leaves SSIM out.
      region: at whose borders SSIM's windows reflect; the whole canvas by default.

    Returns:
      [..., H, W] in [0, 1].
    """
    error = (1 - ssim_weight) * jnp.mean(jnp.abs(a - b), axis=-1)
    if ssim_weight:
        dissimilarity = jnp.clip((1 - ssim(a, b, region=region)) / 2, 0, 1)
        error += ssim_weight * jnp.mean(dissimilarity, axis=-1)
    return error


class Reprojection(NamedTuple):
    """The photometric error that counts, and what won.

    Attributes:
      error: [H, W] minimum over sources, warped and (with auto-masking) unwarped.
      warped_won: [H, W] whether that was a warped source.
      source: int [H, W] the best warped source.
    """

    error: Float[Array, "H W"]
    warped_won: Bool[Array, "H W"]
    source: Array


def minimum_reprojection(
    target: Float[Array, "H W 3"],
    sources: Float[Array, "S H W 3"],
    warped: Float[Array, "S H W 3"],
    key: Array,
    *,
    automask: bool = True,
    noise: float = 1e-5,
    ssim_weight: float = 0.85,
    region: Region | None = None,
) -> Reprojection:
    """Per pixel, the smallest photometric error over sources (Godard et al., sections 3.3, 3.4).

    With `automask`, unwarped sources compete. Where one of them wins, the scene does not move
    relative to the camera, or has no texture. Its error depends on neither depth nor pose, so the
    pixel teaches nothing.

    Args:
      target: [H, W, 3].
      sources: [S, H, W, 3] unwarped.
      warped: [S, H, W, 3] the sources as rebuilt from the target's depth.
      key: PRNG key of the noise.
      automask: whether unwarped sources compete.
      noise: standard deviation of the noise on unwarped errors, which breaks ties.
      ssim_weight: see `photometric_error`.
      region: see `photometric_error`.

    Returns:
      Reprojection.
    """
    compare = partial(photometric_error, ssim_weight=ssim_weight, region=region)
    errors = compare(warped, target[None])
    best, source = jnp.min(errors, axis=0), jnp.argmin(errors, axis=0)
    if not automask:
        return Reprojection(best, jnp.ones(best.shape, bool), source)
    unwarped = compare(sources, target[None])
    if noise:
        unwarped += noise * jax.random.normal(key, unwarped.shape)
    still = jnp.min(unwarped, axis=0)
    warped_won = best < still
    return Reprojection(jnp.where(warped_won, best, still), warped_won, source)
