"""Everything a sample's views and disparities are judged by, as named scalars and their total."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.geometry.resize import resample, resize_weights
from radepth_jax.geometry.sampling import warp
from radepth_jax.losses.consistency import consistency, overlap_high, overlap_low
from radepth_jax.losses.photometric import Reprojection, minimum_reprojection
from radepth_jax.losses.region import Region, masked_mean
from radepth_jax.losses.smoothness import smoothness
from radepth_jax.views.view import NAMES, View


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """Weights and switches of the objective; defaults are RA-Depth's.

    Attributes:
      consistency: weight of the cross-scale consistency; 0 leaves it out.
      smoothness: weight of the edge-aware smoothness.
      ssim: share of SSIM in every comparison, 0 to 1; the rest is L1.
      automask: whether unwarped sources compete in the minimum over sources.
      noise: standard deviation of the noise that breaks ties with unwarped sources.
      mask_low_filler: leave the low view's filler strips out of its losses. They are images of
        nothing under its intrinsics; the published training keeps them.
      min_depth: depth of disparity 1.
      max_depth: depth of disparity 0.
    """

    consistency: float = 1.0
    smoothness: float = 1e-3
    ssim: float = 0.85
    automask: bool = True
    noise: float = 1e-5
    mask_low_filler: bool = False
    min_depth: float = 0.1
    max_depth: float = 100.0

    def __post_init__(self) -> None:
        """Checks every field.

        Raises:
          UserError: a field is out of its range.
        """
        if not 0 < self.min_depth < self.max_depth:
            raise UserError(
                f"loss.min_depth is {self.min_depth} and loss.max_depth {self.max_depth}; "
                "expected 0 < min_depth < max_depth"
            )
        if not 0 <= self.ssim <= 1:
            raise UserError(f"loss.ssim is {self.ssim}; expected a share from 0 to 1")
        for field in ("consistency", "smoothness", "noise"):
            if getattr(self, field) < 0:
                raise UserError(f"loss.{field} is {getattr(self, field)}; expected at least 0")


def objective(
    views: dict[str, View],
    disparities: dict[str, tuple[Float[Array, "h w 1"], ...]],
    source_T_target: Float[Array, "S 4 4"],
    key: Array,
    *,
    options: LossOptions,
    consistency_weight: Any = None,
) -> tuple[Float[Array, ""], dict[str, Array], dict[str, Array]]:
    """The training loss of one sample (RA-Depth, section 3.4).

    `total = sum_v (photometric_v + smoothness weight * smoothness_v)
    + consistency weight * (consistency_high + consistency_low)`.

    Of a network with several scales, every disparity is brought to the full size and judged there,
    and the photometric loss is their mean (Monodepth2, section 3.3); smoothness is measured at each
    scale's own size and halved from each to the next; consistency is the finest scale's.

    Args:
      views: by name; frame 0 of each is the target, the others the S sources. Has `middle`.
      disparities: of the same names, each at one or several scales: [H, W, 1], [H/2, W/2, 1], ...
        in (0, 1).
      source_T_target: [S, 4, 4], in the order of the frames; the same for all views.
      key: PRNG key of the tie-breaking noise.
      options: see `LossOptions`.
      consistency_weight: scalar, may be traced, in place of `options.consistency` (which leaves
        the consistency out where it is 0).

    Returns:
      total: scalar.
      terms: scalars: `total`; per view `photometric_NAME` and `smoothness_NAME`, per other view
        `consistency_NAME`, all unweighted; and of the middle view `automasked`, the share of
        pixels where an unwarped source won, and its disparity's `disparity_mean_middle` and
        `disparity_std_middle`.
      aux: pictures of the middle view: `automask` bool [H, W], set where a warped source won, and
        `warped` [H, W, 3], rebuilt from the best source of each pixel.
    """
    names = tuple(name for name in NAMES if name in views)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(views[name] for name in names))
    canvas = stacked.images.shape[-3:-1]
    regions = None
    if options.mask_low_filler and "low" in names:
        sizes = jnp.minimum(stacked.size, jnp.array([canvas], stacked.size.dtype))
        zeros = jnp.zeros(len(names), sizes.dtype)
        regions = Region(zeros, zeros, sizes[:, 0], sizes[:, 1])

    photometric, smooth, warped, best = jax.vmap(
        lambda *args: _judge_view(*args, options=options), in_axes=(0, 0, None, 0, 0)
    )(
        stacked,
        jax.tree.map(lambda *d: jnp.stack(d), *(disparities[name] for name in names)),
        source_T_target,
        jax.random.split(key, len(names)),
        regions,
    )
    terms = {}
    for index, name in enumerate(names):
        terms[f"photometric_{name}"] = photometric[index]
        terms[f"smoothness_{name}"] = smooth[index]

    middle = names.index("middle")
    mask = best.warped_won[middle]
    disparity = disparities["middle"][0]
    overlaps = {}
    if options.consistency and "high" in names:
        high = views["high"]
        overlaps["high"] = overlap_high(canvas, high.size, high.offset)
    if options.consistency and "low" in names:
        overlaps["low"] = overlap_low(canvas, views["low"].size)
    disagreement = jnp.zeros(())
    if overlaps:
        disagreements = jax.vmap(
            lambda other, overlap: consistency(
                disparity, other, mask, overlap, ssim_weight=options.ssim
            )
        )(
            jnp.stack([disparities[name][0] for name in overlaps]),
            jax.tree.map(lambda *leaves: jnp.stack(leaves), *overlaps.values()),
        )
        disagreement = jnp.sum(disagreements)
        terms |= {f"consistency_{name}": disagreements[i] for i, name in enumerate(overlaps)}

    weight = options.consistency if consistency_weight is None else consistency_weight
    total = jnp.sum(photometric) + options.smoothness * jnp.sum(smooth) + weight * disagreement
    terms |= {
        "total": total,
        "automasked": 1 - jnp.mean(mask.astype(jnp.float32)),
        "disparity_mean_middle": jnp.mean(disparity),
        "disparity_std_middle": jnp.std(jax.lax.stop_gradient(disparity)),
    }
    source = best.source[middle][None, ..., None]
    aux = {
        "automask": mask,
        "warped": jnp.take_along_axis(warped[middle], source, axis=0)[0],
    }
    return total, terms, aux


def _judge_view(
    view: View,
    disparities: tuple[Float[Array, "h w 1"], ...],
    source_T_target: Float[Array, "S 4 4"],
    key: Array,
    region: Region | None,
    *,
    options: LossOptions,
) -> tuple[Array, Array, Float[Array, "S H W 3"], Reprojection]:
    """Photometric loss, smoothness, and the finest scale's warped sources and what won where."""
    target, sources = view.images[0], view.images[1:]
    inside = None if region is None else region.mask(target.shape[:2])
    size = None if region is None else (region.height, region.width)

    def judge(disparity: Float[Array, "H W 1"]) -> tuple[Array, Array, Reprojection]:
        depth = depth_from_disparity(
            disparity, min_depth=options.min_depth, max_depth=options.max_depth
        )
        warped = jax.vmap(
            lambda source, transform: warp(source, depth, view.intrinsics, transform, size=size)
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
        return masked_mean(best.error, inside), warped, best

    full = [_enlarge(disparity, target.shape[:2]) for disparity in disparities]
    if len(full) == 1:  # Under vmap, XLA's CPU backend takes ten times as long over some sums.
        judged = jax.tree.map(lambda x: x[None], judge(full[0]))
    else:
        judged = jax.vmap(judge)(jnp.stack(full))
    photometric, warped, best = judged
    smooth = jnp.zeros(())
    for scale, disparity in enumerate(disparities):
        factor = 2**scale
        part = None if region is None else Region(*(side // factor for side in region))
        smooth += smoothness(disparity, _shrink(target, factor), region=part) / factor
    finest = jax.tree.map(lambda x: x[0], (warped, best))
    return jnp.mean(photometric), smooth / len(disparities), *finest


def _enlarge(
    disparity: Float[Array, "h w 1"], size: tuple[int, ...]
) -> Float[Array, "{size[0]} {size[1]} 1"]:
    """Bilinear interpolation to `size` (h, w)."""
    if disparity.shape[:2] == size:
        return disparity
    rows, columns = (
        resize_weights(jnp.arange(new), old, new, old, kernel="linear", antialias=False)
        for old, new in zip(disparity.shape[:2], size, strict=True)
    )
    return resample(disparity, rows, columns)


def _shrink(image: Float[Array, "H W 3"], factor: int) -> Float[Array, "h w 3"]:
    """Means of blocks of `factor` by `factor` pixels."""
    if factor == 1:
        return image
    height, width, channels = image.shape
    blocks = image.reshape(height // factor, factor, width // factor, factor, channels)
    return blocks.mean(axis=(1, 3))
