"""From a batch of native frames to the loss: views, networks, objective."""

import dataclasses
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from radepth_jax.geometry.camera import centred_intrinsics
from radepth_jax.geometry.resize import enlarge
from radepth_jax.losses import LearnedFocal, objective
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.state import focal_length
from radepth_jax.training.keys import StepKeys, step_keys
from radepth_jax.training.motions import Apply, find_motions
from radepth_jax.views import Views, make_views, network_images


def compute_loss(
    params: Any,
    batch_stats: Any,
    batch: dict[str, jax.Array],
    step: jax.Array,
    seed: jax.Array | int,
    *,
    recipe: Recipe,
    index: jax.Array,
    train: bool = True,
) -> tuple[jax.Array, tuple[dict, Any, dict]]:
    """The objective's mean over the samples of a batch.

    Args:
        params: of `TrainState`.
        batch_stats: likewise.
        batch: as the loader gives it (docs/architecture.md).
        step: int32 [].
        seed: int32 [], of the run.
        recipe: with the networks that compute; `over_devices` inside a mapped step.
        index: int32 [B], the samples' positions in the global batch.
        train: whether BatchNorm uses the batch's statistics, unless the recipe has fixed ones.

    Returns:
        The loss [], and (terms by name [], each network's statistics of the batch for
        `average_statistics`, pictures with a batch axis).
    """
    keys = step_keys(seed, step, index)
    focal, intrinsics = _camera(params, batch, recipe)
    views, images = _views(keys, batch, intrinsics, recipe)
    apply_depth, apply_pose = _networks(params, batch_stats, keys, recipe, train)
    disparities, depth_stats = _disparities(apply_depth, images, recipe)
    motions, pose_stats = find_motions(apply_pose, batch, views, disparities[0], step, recipe)
    judge = partial(
        objective, options=recipe.loss, step=step, focal=focal, motions_from=motions.found_by
    )
    _, terms, pictures = jax.vmap(
        lambda v, d, T, k, p: judge(v, d, T, k, predicted_motions=p), in_axes=(0, 1, 0, 0, 0)
    )(views, disparities, motions.source_T_target, keys.objective, motions.predicted)
    terms = jax.tree.map(jnp.mean, terms)
    stats = dict.fromkeys(batch_stats) | {"depth": depth_stats, "pose": pose_stats}
    targets = {name: views[name].images[:, 0] for name in views.names}
    finest = {name: disparities[0][i] for i, name in enumerate(views.names)}
    return terms["total"], (terms, stats, {"views": targets, "disparities": finest, **pictures})


def _camera(
    params: Any, batch: dict[str, jax.Array], recipe: Recipe
) -> tuple[LearnedFocal | None, jax.Array]:
    """The focal length, if it is learned, and the intrinsics [B, 3, 3] in native pixels."""
    if not recipe.pose.learns_camera:
        return None, batch["intrinsics"]
    length = focal_length(params["camera"]["log_focal"])
    known = partial(centred_intrinsics, jax.lax.stop_gradient(length))
    return LearnedFocal(length, recipe.pose.learn_fov_from), jax.vmap(known)(batch["size"])


def _views(
    keys: StepKeys, batch: dict[str, jax.Array], intrinsics: jax.Array, recipe: Recipe
) -> tuple[Views, jax.Array]:
    """The views of every sample, and the images [V, B, h, w, 3] that the depth network sees."""
    options = recipe.views
    make = jax.vmap(partial(make_views, options=options))
    views = make(keys.views, batch["frames"], batch["size"], intrinsics)
    seen = views
    if recipe.seen:
        small = dataclasses.replace(options, resolution=recipe.seen)
        make = jax.vmap(partial(make_views, options=small))
        seen = make(keys.views, batch["frames"][:, :1], batch["size"], intrinsics)
    # The views one after the other: BatchNorm's groups are consecutive.
    prepare_images = jax.vmap(partial(network_images, options=options), out_axes=1)
    return views, prepare_images(keys.augmentations, seen)


def _networks(
    params: Any, batch_stats: Any, keys: StepKeys, recipe: Recipe, train: bool
) -> tuple[Apply, Apply]:
    """Of depth and pose, what a network gives, and in training its statistics of the batch."""
    batch_statistics = train and not recipe.fixed_statistics

    def apply(name: str, images: jax.Array, groups: int) -> tuple[Any, Any]:
        outputs, changed = getattr(recipe.networks, name).apply(
            {"params": params[name], "batch_stats": batch_stats[name]},
            images,
            train=batch_statistics,
            groups=groups,
            mutable=["batch_stats"],
            rngs={"params": getattr(keys, name)} if train else None,
        )
        return outputs, changed.get("batch_stats") if batch_statistics else None

    return partial(apply, "depth"), partial(apply, "pose")


def _disparities(apply_depth: Apply, images: jax.Array, recipe: Recipe) -> tuple[Any, Any]:
    """The network's scales [V, B, h, w, 1], as of the views' own resolution, and its statistics."""
    views, batch = images.shape[:2]
    groups = views if recipe.options.batch_norm == "per_view" else 1
    outputs, stats = apply_depth(images.reshape(-1, *images.shape[2:]), groups)
    if recipe.seen:
        resolution = recipe.views.resolution
        outputs = [enlarge(x, _grown(x.shape[1:3], recipe.seen, resolution)) for x in outputs]
    return tuple(x.reshape(views, batch, *x.shape[1:]) for x in outputs), stats


def _grown(
    size: tuple[int, ...], seen: tuple[int, int], resolution: tuple[int, int]
) -> tuple[int, ...]:
    """(h, w) of a disparity of `size`, had the network seen (width, height) `resolution`."""
    sides = zip(size, seen[::-1], resolution[::-1], strict=True)
    return tuple(side * whole // small for side, small, whole in sides)
