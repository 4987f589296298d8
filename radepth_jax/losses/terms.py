"""The terms of the objective, by name: each a function of the scene, weighed by the config.

A term of your own is such a function and an entry in `TERMS` (docs/extending.md).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.geometry.resize import shrink
from radepth_jax.losses.consistency import consistency, overlap
from radepth_jax.losses.focal import focal_slope
from radepth_jax.losses.height import height_error
from radepth_jax.losses.options import LossOptions
from radepth_jax.losses.region import Region, masked_mean
from radepth_jax.losses.scene import Scene
from radepth_jax.losses.smoothness import smoothness

# Scalars by view; or one of no view. {} where there is nothing to judge.
Values = dict[str, Float[Array, ""]] | Float[Array, ""]
Term = Callable[[Scene, LossOptions], Values]


def photometric_term(scene: Scene, options: LossOptions) -> dict[str, Float[Array, ""]]:
    """Of each view, the mean over its pixels and the network's scales of the smallest error."""
    del options
    means = jax.vmap(jax.vmap(masked_mean), (0, None))(scene.reprojection.error, scene.inside)
    return _by_name(scene.views.names, jnp.mean(means, axis=0))


def smoothness_term(scene: Scene, options: LossOptions) -> dict[str, Float[Array, ""]]:
    """Of each view, the mean over scales, each at its own size and halved from one to the next."""
    del options
    targets = scene.views.images[:, 0]
    total = jnp.zeros(len(scene.views.names))
    for scale, disparity in enumerate(scene.disparities):
        factor = 2**scale
        part = scene.region and Region(*(side // factor for side in scene.region))
        images = jax.vmap(lambda image, factor=factor: shrink(image, factor))(targets)
        smooth = jax.vmap(lambda d, image, region: smoothness(d, image, region=region))
        total += smooth(disparity, images, part) / factor
    return _by_name(scene.views.names, total / len(scene.disparities))


def consistency_term(scene: Scene, options: LossOptions) -> dict[str, Float[Array, ""]]:
    """Of each view but the middle one, how far its disparity is from the middle view's.

    Both are of the finest scale; pixels where an unwarped source won do not count.
    """
    views, disparities = scene.views, scene.disparities[0]
    middle = scene.middle
    mask = scene.reprojection.warped_won[0, middle]
    others = [i for i in range(len(views.names)) if i != middle]
    if not others:
        return {}

    def judge(disparity: Array, size: Array, offset: Array) -> Array:
        shared = overlap(scene.size, size, offset)
        return consistency(
            disparities[middle],
            disparity,
            mask,
            shared,
            ssim_weight=options.ssim,
        )

    values = jax.vmap(judge)(
        *(jnp.delete(x, middle, axis=0) for x in (disparities, views.size, views.offset))
    )
    return _by_name(tuple(views.names[i] for i in others), values)


def alignment_term(scene: Scene, options: LossOptions) -> Values:
    """How far the predicted motions are from what alignment makes of them.

    This is what the pose network learns from: aligned motions are constants.
    """
    del options
    if scene.motions_from != "alignment":
        return {}
    return jnp.mean(jnp.abs(scene.predicted_motions - scene.source_T_target))


def height_term(scene: Scene, options: LossOptions) -> Values:
    """How far the camera's height over the middle view's ground is from the known one."""
    if not options.camera_height:
        return {}
    depth = depth_from_disparity(
        scene.predicted_disparity[scene.middle],
        min_depth=options.min_depth,
        max_depth=options.max_depth,
    )
    return height_error(depth, scene.views.intrinsics[scene.middle], options.camera_height)


def focal_term(scene: Scene, options: LossOptions) -> Values:
    """0, with `focal_slope` as its gradient by the logarithm of a learned focal length."""
    del options
    focal = scene.focal
    if focal is None:
        return {}
    slope = jax.lax.cond(
        scene.step >= focal.start,
        lambda: focal_slope(
            scene.views.images[scene.middle],
            scene.depth[0, scene.middle],
            scene.views.intrinsics[scene.middle],
            scene.source_T_target,
            aligned=scene.motions_from != "network",
        ),
        lambda: jnp.zeros(()),
    )
    return slope * jnp.log(focal.length / jax.lax.stop_gradient(focal.length))


TERMS: dict[str, Term] = {
    "photometric": photometric_term,
    "smoothness": smoothness_term,
    "consistency": consistency_term,
    "alignment": alignment_term,
    "height": height_term,
    "focal": focal_term,
}


def _by_name(names: tuple[str, ...], values: Float[Array, "V"]) -> dict[str, Float[Array, ""]]:
    return {name: values[index] for index, name in enumerate(names)}
