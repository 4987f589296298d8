"""What the terms of the objective judge, computed once for all of them."""

from functools import partial
from typing import Literal

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.geometry.resize import enlarge
from radepth_jax.geometry.sampling import warp
from radepth_jax.losses.filters import FILTERS
from radepth_jax.losses.focal import LearnedFocal
from radepth_jax.losses.options import LossOptions
from radepth_jax.losses.photometric import Reprojection, minimum_reprojection
from radepth_jax.losses.region import Region
from radepth_jax.views.view import Views

# Who has found the camera's motions: the pose network, direct alignment after it, or the data set.
MotionsFrom = Literal["network", "alignment", "data"]


@flax.struct.dataclass
class Scene:
    """One sample: its V views of a target and S sources, and what the networks make of them.

    Where a network has disparities at K scales, every one is brought to the full size and judged
    there (Monodepth2, section 3.3); the finest is first.

    Attributes:
      views: frame 0 of each is the target, the others the sources.
      disparities: K arrays [V, h, w, 1] in (0, 1), as the network gave them. Where the motions are
        aligned, no gradient changes their common factor (see `without_scale`).
      predicted_disparity: [V, H, W, 1] the finest of them, whose common factor a gradient changes.
      source_T_target: [S, 4, 4], in the order of the sources; the same for all views.
      predicted_motions: [S, 4, 4] the transforms as the pose network gave them, before alignment;
        without alignment they are `source_T_target`.
      motions_from: who has found `source_T_target`; static.
      focal: the camera's focal length where it is learned, else None.
      depth: [K, V, H, W, 1] of the target.
      warped: [K, V, S, H, W, 3] the target, rebuilt from each source.
      reprojection: [K, V, H, W] the smallest error over the sources, and which source won.
      region: [V] the part of each view that counts; None is all of it.
      step: [] the training step.
      key: PRNG key for the terms. A term that draws numbers folds a number of its own into it, so
        that it shares none with another term.
    """

    views: Views
    disparities: tuple[Float[Array, "V _ _ 1"], ...]
    predicted_disparity: Float[Array, "V H W 1"]
    source_T_target: Float[Array, "S 4 4"]  # noqa: N815
    predicted_motions: Float[Array, "S 4 4"]
    focal: LearnedFocal | None
    depth: Float[Array, "K V H W 1"]
    warped: Float[Array, "K V S H W 3"]
    reprojection: Reprojection
    region: Region | None
    step: Int[Array, ""] | int
    key: Array
    motions_from: MotionsFrom = flax.struct.field(pytree_node=False)

    @property
    def middle(self) -> int:
        """Which of the views is the middle one."""
        return self.views.names.index("middle")

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
    step: Int[Array, ""] | int,
    predicted_motions: Float[Array, "S 4 4"] | None,
    motions_from: MotionsFrom,
    focal: LearnedFocal | None,
) -> Scene:
    """The scene of one sample.

    Args:
      views: of V views.
      disparities: as the network gives them, finest first, [V, H, W, 1], [V, H/2, W/2, 1], ... in
        (0, 1).
      source_T_target: [S, 4, 4].
      key: PRNG key of the noise that breaks ties, and of the terms.
      options: see `LossOptions`.
      step: see `Scene`.
      predicted_motions: [S, 4, 4]; None is `source_T_target`.
      motions_from: see `Scene`.
      focal: see `Scene`.
    """
    size = views.images.shape[-3:-1]
    predicted_disparity = disparities[0]
    if motions_from == "alignment":
        disparities = without_scale(disparities, views.names.index("middle"))
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
    return Scene(
        views=views,
        disparities=disparities,
        predicted_disparity=predicted_disparity,
        source_T_target=source_T_target,
        predicted_motions=source_T_target if predicted_motions is None else predicted_motions,
        motions_from=motions_from,
        focal=focal,
        depth=depth,
        warped=warped,
        reprojection=reprojection,
        region=region,
        step=step,
        key=jax.random.fold_in(key, len(keys)),  # which is none of `keys`
    )


def without_scale(
    disparities: tuple[Float[Array, "V _ _ 1"], ...], middle: int
) -> tuple[Float[Array, "V _ _ 1"], ...]:
    """The same disparities, whose common factor no gradient changes.

    Depth and aligned motion share a scale that the images do not tell. If it is left free, it
    drifts. Alignment that falls a little short drives it up until the sigmoid saturates. The
    consistency loss drives it down, because smaller disparities make that loss smaller.

    Args:
      disparities: each [V, h, w, 1], the finest first.
      middle: which of the V is the middle view, whose mean stands for the sample's scale.

    Returns:
      Equal numbers.
    """
    scale = jnp.mean(disparities[0][middle])
    follow = jax.lax.stop_gradient(scale) / scale
    return tuple(disparity * follow for disparity in disparities)


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
    images = jax.vmap(FILTERS[options.filter])(images)
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
    """Of each view [V] the part without filler; None where no view has any."""
    if not views.filled:
        return None
    canvas = views.images.shape[-3:-1]
    sizes = jnp.minimum(views.size, jnp.array([canvas], views.size.dtype))
    zeros = jnp.zeros(len(views.names), sizes.dtype)
    return Region(zeros, zeros, sizes[:, 0], sizes[:, 1])
