"""What the terms of the objective judge, computed once for all of them."""

from functools import partial

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.geometry.resize import enlarge
from radepth_jax.geometry.sampling import warp
from radepth_jax.losses.options import LossOptions
from radepth_jax.losses.photometric import Reprojection, minimum_reprojection
from radepth_jax.losses.region import Region
from radepth_jax.views.view import Views


@flax.struct.dataclass
class Scene:
    """One sample: its V views of a target and S sources, and what the networks make of them.

    Where a network has disparities at K scales, every one is brought to the full size and judged
    there (Monodepth2, section 3.3); the finest is first.

    Attributes:
      views: frame 0 of each is the target, the others the sources.
      disparities: K arrays [V, h, w, 1] in (0, 1), as the network gave them.
      source_T_target: [S, 4, 4], in the order of the sources; the same for all views.
      depth: [K, V, H, W, 1] of the target.
      warped: [K, V, S, H, W, 3] the target, rebuilt from each source.
      reprojection: [K, V, H, W] the smallest error over the sources, and which source won.
      region: [V] the part of each view that counts; None is all of it.
      key: PRNG key. A term that draws numbers folds something of its own into it.
    """

    views: Views
    disparities: tuple[Float[Array, "V _ _ 1"], ...]
    source_T_target: Float[Array, "S 4 4"]  # noqa: N815
    depth: Float[Array, "K V H W 1"]
    warped: Float[Array, "K V S H W 3"]
    reprojection: Reprojection
    region: Region | None
    key: Array

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of every view."""
        height, width = self.views.images.shape[-3:-1]
        return height, width

    @property
    def inside(self) -> Bool[Array, "V H W"] | None:
        """The pixels of each view that count; None is all of them."""
        return None if self.region is None else jax.vmap(lambda r: r.mask(self.size))(self.region)


def make_scene(
    views: Views,
    disparities: tuple[Float[Array, "V _ _ 1"], ...],
    source_T_target: Float[Array, "S 4 4"],
    key: Array,
    *,
    options: LossOptions,
) -> Scene:
    """The scene of one sample.

    Args:
      views: of V views.
      disparities: finest first, [V, H, W, 1], [V, H/2, W/2, 1], ... in (0, 1).
      source_T_target: [S, 4, 4].
      key: PRNG key of the noise that breaks ties, and of the terms.
      options: see `LossOptions`.
    """
    size = views.images.shape[-3:-1]
    region = _region(views) if options.mask_low_filler else None
    keys = jax.random.split(key, len(views.names))

    judge = partial(_reproject, source_T_target=source_T_target, options=options)

    def reproject(disparity: Float[Array, "V H W 1"]) -> tuple[Array, Array, Reprojection]:
        return jax.vmap(judge)(views.images, views.intrinsics, disparity, keys, region)

    full = [enlarge(disparity, size) for disparity in disparities]
    if len(full) == 1:  # Under vmap, XLA's CPU backend takes ten times as long over some sums.
        depth, warped, reprojection = jax.tree.map(lambda x: x[None], reproject(full[0]))
    else:
        depth, warped, reprojection = jax.vmap(reproject)(jnp.stack(full))
    return Scene(views, disparities, source_T_target, depth, warped, reprojection, region, key)


def _reproject(
    images: Float[Array, "F H W 3"],
    intrinsics: Float[Array, "3 3"],
    disparity: Float[Array, "H W 1"],
    key: Array,
    region: Region | None,
    *,
    source_T_target: Float[Array, "S 4 4"],
    options: LossOptions,
) -> tuple[Float[Array, "H W 1"], Float[Array, "S H W 3"], Reprojection]:
    """One view's depth, its target as rebuilt from each source, and which source fits best."""
    target, sources = images[0], images[1:]
    size = None if region is None else (region.height, region.width)
    depth = depth_from_disparity(
        disparity, min_depth=options.min_depth, max_depth=options.max_depth
    )
    warped = jax.vmap(
        lambda source, transform: warp(source, depth, intrinsics, transform, size=size)
    )(sources, source_T_target)
    best = minimum_reprojection(
        target,
        sources,
        warped,
        key,
        automask=options.automask,
        noise=options.noise,
        ssim_weight=options.ssim,
        region=region,
    )
    return depth, warped, best


def _region(views: Views) -> Region | None:
    """Of each view [V] the part without filler, which the low view alone has."""
    if "low" not in views.names:
        return None
    canvas = views.images.shape[-3:-1]
    sizes = jnp.minimum(views.size, jnp.array([canvas], views.size.dtype))
    zeros = jnp.zeros(len(views.names), sizes.dtype)
    return Region(zeros, zeros, sizes[:, 0], sizes[:, 1])
