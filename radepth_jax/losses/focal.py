"""Learning a focal length that nobody knows, from how well other ones explain the images.

A turn moves the image's margins farther than its middle, by an amount that depends on the focal
length (Gordon et al., Depth from Videos in the Wild, ICCV 2019). But another motion makes good most
of what another focal length changes. So each focal length is judged with the motion that suits it
best.
"""

from functools import partial

import flax.struct
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.geometry import se3
from radepth_jax.geometry.alignment import COARSE_TO_FINE, align, misfit

_STEP = 0.1  # how far the logarithm of the focal length goes to either side
_AGAIN = (2, 1, 1)  # steps of alignment for another focal length; see `align`


@flax.struct.dataclass
class LearnedFocal:
    """A focal length that is a parameter, in place of the data set's camera.

    Attributes:
      length: [] in widths of the image. The views' intrinsics have it as a constant.
      start: the step from which it is learned; static.
    """

    length: Float[Array, ""]
    start: int = flax.struct.field(pytree_node=False)


def focal_slope(
    images: Float[Array, "F H W 3"],
    depth: Float[Array, "H W 1"],
    intrinsics: Float[Array, "3 3"],
    source_T_target: Float[Array, "S 4 4"],
    *,
    aligned: bool = True,
) -> Float[Array, ""]:
    """How the misfit of aligned images changes with the logarithm of the focal length.

    It is a difference of two misfits, and no gradient flows back.

    Args:
      images: [F, H, W, 3] in [0, 1] of one view, the target first.
      depth: [H, W, 1] of the target.
      intrinsics: [3, 3] of the view.
      source_T_target: [F - 1, 4, 4], found with these intrinsics.
      aligned: whether these motions explain the images as well as those that `align` finds. If not,
        they are aligned first, because what a motion lacks is made good more easily at one focal
        length than at another.

    Returns:
      [] the mean over the sources.
    """
    target, sources = images[0], images[1:]

    def slope(source: Array, motion: Array) -> Array:
        if not aligned:
            motion = align(target, source, depth, intrinsics, motion, factors=COARSE_TO_FINE)

        def judge(factor: Array) -> Array:
            other = intrinsics.at[0, 0].multiply(factor).at[1, 1].multiply(factor)
            near = se3.refocus(motion, factor)
            best = align(target, source, depth, other, near, factors=_AGAIN)
            error = partial(misfit, target, source, depth, other)
            return jnp.minimum(error(near), error(best))

        less, more = judge(jnp.exp(-_STEP)), judge(jnp.exp(_STEP))
        return (more - less) / (2 * _STEP)

    return jax.lax.stop_gradient(jnp.mean(jax.vmap(slope)(sources, source_T_target)))
