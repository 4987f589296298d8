"""Everything a sample's views and disparities are judged by, as named scalars and their total."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from radepth_jax.errors import UserError
from radepth_jax.losses.options import LossOptions
from radepth_jax.losses.scene import Scene, make_scene
from radepth_jax.losses.terms import TERMS
from radepth_jax.views.view import Views


def objective(
    views: Views,
    disparities: tuple[Float[Array, "V _ _ 1"], ...],
    source_T_target: Float[Array, "S 4 4"],
    key: Array,
    *,
    options: LossOptions,
    weights: Mapping[str, Any] | None = None,
) -> tuple[Float[Array, ""], dict[str, Array], dict[str, Array]]:
    """The training loss of one sample (RA-Depth, section 3.4).

    It is the sum over the terms of `options.weights`, and of each term over the views:
    `total = sum_t weight_t sum_v term_tv`.

    Args:
      views: frame 0 of each is the target, the others the S sources. One is the middle view.
      disparities: of the V views, at one or several scales, finest first: [V, H, W, 1],
        [V, H/2, W/2, 1], ... in (0, 1).
      source_T_target: [S, 4, 4], in the order of the frames; the same for all views.
      key: PRNG key of the tie-breaking noise, and of the terms.
      options: see `LossOptions`.
      weights: scalars by term, may be traced, in place of the numbers of `options.weights` (which
        leaves out the terms whose number is 0).

    Returns:
      total: scalar.
      terms: scalars: `total`; of every term and view `TERM_VIEW`, unweighted; and of the middle
        view `automasked`, the share of pixels where an unwarped source won, and its disparity's
        `disparity_mean_middle` and `disparity_std_middle`.
      aux: pictures of the middle view: `automask` bool [H, W], set where a warped source won, and
        `warped` [H, W, 3], rebuilt from the best source of each pixel.

    Raises:
      UserError: `options.weights` names an unknown term.
    """
    check_weights(options)
    scene = make_scene(views, disparities, source_T_target, key, options=options)
    weights = options.weights if weights is None else weights
    total = jnp.zeros(())
    terms: dict[str, Array] = {}
    for name, term in TERMS.items():
        if options.weights.get(name):
            values = term(scene, options)
            total += weights[name] * sum(values.values())
            terms |= {f"{name}_{view}": value for view, value in values.items()}
    return total, terms | {"total": total} | _diagnostics(scene), _pictures(scene)


def check_weights(options: LossOptions) -> None:
    """Raise UserError for a weight or a ramp of a term that is not in `TERMS`."""
    for field in ("weights", "ramps"):
        for name in getattr(options, field):
            if name not in TERMS:
                raise UserError(
                    f"loss.{field}.{name}: no such term of the loss; expected one of "
                    f"{', '.join(TERMS)}, or one that your config file adds to losses.TERMS"
                )


def _diagnostics(scene: Scene) -> dict[str, Array]:
    middle = scene.views.names.index("middle")
    disparity = scene.disparities[0][middle]
    warped_won = scene.reprojection.warped_won[0, middle]
    return {
        "automasked": 1 - jnp.mean(warped_won.astype(jnp.float32)),
        "disparity_mean_middle": jnp.mean(disparity),
        "disparity_std_middle": jnp.std(jax.lax.stop_gradient(disparity)),
    }


def _pictures(scene: Scene) -> dict[str, Array]:
    middle = scene.views.names.index("middle")
    source = scene.reprojection.source[0, middle][None, ..., None]
    return {
        "automask": scene.reprojection.warped_won[0, middle],
        "warped": jnp.take_along_axis(scene.warped[0, middle], source, axis=0)[0],
    }
