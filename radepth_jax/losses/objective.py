"""Everything a sample's views and disparities are judged by, as named scalars and their total."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from radepth_jax.errors import UserError
from radepth_jax.losses.filters import FILTERS
from radepth_jax.losses.focal import LearnedFocal
from radepth_jax.losses.options import AFTER_RAMPS, LossOptions
from radepth_jax.losses.scene import MotionsFrom, Scene, make_scene
from radepth_jax.losses.terms import TERMS, Values
from radepth_jax.settings import check_choice
from radepth_jax.views.view import Views


def objective(
    views: Views,
    disparities: tuple[Float[Array, "V _ _ 1"], ...],
    source_T_target: Float[Array, "S 4 4"],
    key: Array,
    *,
    options: LossOptions,
    weights: Mapping[str, Any] | None = None,
    step: Int[Array, ""] | int = AFTER_RAMPS,
    predicted_motions: Float[Array, "S 4 4"] | None = None,
    motions_from: MotionsFrom = "network",
    focal: LearnedFocal | None = None,
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
      weights: scalars by term, may be traced, in place of the numbers of `options.weights` and
        their ramps (a term whose number there is 0 is left out).
      step: [] the training step, for the ramps and the terms; by default all ramps are over.
      predicted_motions: [S, 4, 4] as the pose network gave them, where alignment has corrected
        them; by default `source_T_target`.
      motions_from: who has found `source_T_target`.
      focal: the camera's focal length where it is learned.

    Returns:
      total: scalar.
      terms: scalars: `total`; of every term and view `TERM_VIEW`, unweighted, or `TERM` if it is of
        no view; and of the middle view `automasked`, the share of pixels where an unwarped source
        won, and its disparity's `disparity_mean_middle` and `disparity_std_middle`. Where it is
        learned, `focal` is the focal length: the term of this name is always 0.
      aux: pictures of the middle view: `automask` bool [H, W], set where a warped source won, and
        `warped` [H, W, 3], rebuilt from the best source of each pixel.

    Raises:
      UserError: the options name an unknown term or filter.
    """
    check_names(options)
    scene = make_scene(
        views,
        disparities,
        source_T_target,
        key,
        options=options,
        step=step,
        predicted_motions=predicted_motions,
        motions_from=motions_from,
        focal=focal,
    )
    weights = options.weights_at(step) | dict(weights or {})
    total = jnp.zeros(())
    terms: dict[str, Array] = {}
    for name, term in TERMS.items():
        if options.weights.get(name):
            values = _named(name, term(scene, options))
            if values:
                total += weights[name] * sum(values.values())
            terms |= values
    return total, terms | {"total": total} | _diagnostics(scene), _pictures(scene)


def check_names(options: LossOptions) -> None:
    """Raise UserError for a term that is not in `TERMS` or a filter that is not in `FILTERS`."""
    check_choice("config.loss.filter", options.filter, FILTERS)
    for field in ("weights", "ramps"):
        for name in getattr(options, field):
            if name not in TERMS:
                raise UserError(
                    f"loss.{field}.{name}: no such term of the loss; expected one of "
                    f"{', '.join(TERMS)}, or one that your config file or a plugin adds to TERMS"
                )


def _named(term: str, values: Values) -> dict[str, Array]:
    """A term's values by the names that they are logged under."""
    if isinstance(values, dict):
        return {f"{term}_{view}": value for view, value in values.items()}
    return {term: values}


def _diagnostics(scene: Scene) -> dict[str, Array]:
    disparity = scene.disparities[0][scene.middle]
    warped_won = scene.reprojection.warped_won[0, scene.middle]
    focal = {} if scene.focal is None else {"focal": jax.lax.stop_gradient(scene.focal.length)}
    return focal | {
        "automasked": 1 - jnp.mean(warped_won.astype(jnp.float32)),
        "disparity_mean_middle": jnp.mean(disparity),
        "disparity_std_middle": jnp.std(jax.lax.stop_gradient(disparity)),
    }


def _pictures(scene: Scene) -> dict[str, Array]:
    middle = scene.middle
    source = scene.reprojection.source[0, middle][None, ..., None]
    return {
        "automask": scene.reprojection.warped_won[0, middle],
        "warped": jnp.take_along_axis(scene.warped[0, middle], source, axis=0)[0],
    }
