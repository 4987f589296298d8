"""The terms of the objective, by name: each a function of the scene, weighed by the config.

A term of your own is such a function and an entry in `TERMS` (docs/extending.md).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.geometry.resize import shrink
from radepth_jax.losses.consistency import consistency, overlap
from radepth_jax.losses.options import LossOptions
from radepth_jax.losses.region import Region, masked_mean
from radepth_jax.losses.scene import Scene
from radepth_jax.losses.smoothness import smoothness

Term = Callable[[Scene, LossOptions], dict[str, Float[Array, ""]]]


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
    middle = views.names.index("middle")
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


TERMS: dict[str, Term] = {
    "photometric": photometric_term,
    "smoothness": smoothness_term,
    "consistency": consistency_term,
}


def _by_name(names: tuple[str, ...], values: Float[Array, "V"]) -> dict[str, Float[Array, ""]]:
    return {name: values[index] for index, name in enumerate(names)}
