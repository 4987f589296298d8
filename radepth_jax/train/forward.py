"""From a batch of native frames to the loss: views, networks, objective."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from radepth_jax.geometry import se3
from radepth_jax.geometry.alignment import align
from radepth_jax.geometry.camera import centred_intrinsics, depth_from_disparity
from radepth_jax.geometry.resize import enlarge
from radepth_jax.losses import objective
from radepth_jax.runs.recipe import Recipe
from radepth_jax.runs.state import focal_length
from radepth_jax.train.camera import focal_slope
from radepth_jax.train.metres import WEIGHT, height_error
from radepth_jax.views import Views, make_views, network_images


def sample_keys(seed: jax.Array | int, step: jax.Array, index: jax.Array) -> jax.Array:
    """One key per sample, from (seed, step, index in the global batch) alone.

    Args:
        seed: of the run.
        step: int32 [].
        index: int32 [B], the samples' positions in the global batch.

    Returns:
        Typed keys [B].
    """
    step_key = jax.random.fold_in(jax.random.key(seed), step)
    return jax.vmap(jax.random.fold_in, (None, 0))(step_key, index)


def predict_poses(
    apply_pose: Any, frames: jax.Array, offsets: Sequence[int | str], stereo: jax.Array | None
) -> tuple[jax.Array, Any]:
    """The transforms from the target to every source camera.

    The pose network sees pairs in temporal order; for an earlier source its answer is inverted
    (METHOD, section 2). The opposite camera's transform is known.

    Args:
        apply_pose: (pairs [N, H, W, 6], groups) -> ((axisangle [N, 3], translation [N, 3]), stats).
        frames: [B, F, H, W, 3] in [0, 1], unjittered middle view, target first.
        offsets: of the frames, 0 first.
        stereo: `stereo_T_target` [B, 4, 4], or None without "s" in offsets.

    Returns:
        `source_T_target` [B, F - 1, 4, 4] in the order of offsets[1:], and the network's new
        statistics (None if it was not needed).
    """
    batch = frames.shape[0]
    temporal = [(i, o) for i, o in enumerate(offsets) if i and isinstance(o, int)]
    transforms: dict[int | str, jax.Array] = {} if stereo is None else {"s": stereo}
    stats = None
    if temporal:
        in_order = [(i, 0) if o < 0 else (0, i) for i, o in temporal]
        pairs = [jnp.concatenate([frames[:, a], frames[:, b]], -1) for a, b in in_order]
        (axisangle, translation), stats = apply_pose(jnp.concatenate(pairs), len(pairs))
        later_T_earlier = jax.vmap(se3.transform_from_pose)(axisangle, translation)
        for n, (_, o) in enumerate(temporal):
            T = later_T_earlier[n * batch : (n + 1) * batch]
            transforms[o] = jax.vmap(se3.invert)(T) if o < 0 else T
    return jnp.stack([transforms[o] for o in offsets[1:]], axis=1), stats


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
    networks, view_options = recipe.networks, recipe.views
    train = train and not recipe.fixed_statistics
    keys = sample_keys(seed, step, index)
    view_key, jitter_key, noise_key = jnp.moveaxis(
        jax.vmap(lambda key: jax.random.split(key, 3))(keys),
        1,
        0,
    )
    # Of a network with dropout, which is drawn for all samples at once. 0, 1 and 2 are taken above.
    network_keys = {"depth": jax.random.fold_in(keys[0], 3), "pose": jax.random.fold_in(keys[0], 4)}
    intrinsics = batch["intrinsics"]
    if recipe.pose.learns_camera:
        focal = focal_length(params["camera"]["log_focal"])
        known = jax.lax.stop_gradient(focal)
        intrinsics = jax.vmap(partial(centred_intrinsics, known))(batch["size"])
    make = jax.vmap(partial(make_views, options=view_options))
    views = make(view_key, batch["frames"], batch["size"], intrinsics)
    names, batch_size = views.names, len(index)
    # The views one after the other: BatchNorm's groups are consecutive.
    prepare_images = jax.vmap(partial(network_images, options=view_options), out_axes=1)
    network_views = views
    if recipe.seen:
        small = dataclasses.replace(view_options, resolution=recipe.seen)
        make = jax.vmap(partial(make_views, options=small))
        network_views = make(view_key, batch["frames"][:, :1], batch["size"], intrinsics)
    network_input = prepare_images(jitter_key, network_views)
    outputs, depth_stats = networks.depth.apply(
        {"params": params["depth"], "batch_stats": batch_stats["depth"]},
        network_input.reshape(-1, *network_input.shape[2:]),
        train=train,
        groups=len(names) if recipe.options.batch_norm == "per_view" else 1,
        mutable=["batch_stats"],
        rngs={"params": network_keys["depth"]} if train else None,
    )
    if recipe.seen:
        outputs = tuple(
            enlarge(x, _grown(x.shape[1:3], recipe.seen, view_options.resolution)) for x in outputs
        )
    disparities = tuple(x.reshape(len(names), batch_size, *x.shape[1:]) for x in outputs)

    source_T_target, pose_stats = _motions(
        params, batch_stats, batch, views, recipe, network_keys["pose"] if train else None
    )
    middle_disparity = disparities[0][names.index("middle")]
    predicted, aligns = source_T_target, bool(recipe.pose.align) and not recipe.pose.true_scale
    if aligns:
        disparities = without_scale(disparities, names.index("middle"))
        source_T_target = align_poses(views, disparities[0], predicted, step, recipe)
    weights = recipe.loss.weights_at(step)
    total, terms, pictures = jax.vmap(
        lambda v, d, T, k: objective(v, d, T, k, options=recipe.loss, weights=weights),
        in_axes=(0, 1, 0, 0),
    )(views, disparities, source_T_target, noise_key)
    terms = jax.tree.map(jnp.mean, terms)
    total = jnp.mean(total)
    if aligns:  # The pose network learns what alignment makes of its answers.
        terms["alignment"] = jnp.mean(jnp.abs(predicted - source_T_target))
        total += terms["alignment"]
    if recipe.loss.camera_height:
        terms["height"] = jnp.mean(_height_errors(views, middle_disparity, recipe))
        total += WEIGHT * terms["height"]
    terms["total"] = total
    if recipe.pose.learns_camera:
        slope = jax.lax.cond(
            step >= recipe.pose.learn_fov_from,
            lambda: jnp.mean(_focal_slopes(views, middle_disparity, source_T_target, recipe)),
            lambda: jnp.zeros(()),
        )
        total += slope * jnp.log(focal / known)  # plus 0
        terms["focal"] = known
    new_stats = dict.fromkeys(batch_stats)
    if train:
        new_stats["depth"] = depth_stats.get("batch_stats")
        new_stats["pose"] = pose_stats.get("batch_stats") if pose_stats else None
    targets = {name: views[name].images[:, 0] for name in names}
    finest = {name: disparities[0][i] for i, name in enumerate(names)}
    shown = {"views": targets, "disparities": finest, **pictures}
    return total, (terms, new_stats, shown)


def _motions(
    params: Any,
    batch_stats: Any,
    batch: dict[str, jax.Array],
    views: Views,
    recipe: Recipe,
    train_key: jax.Array | None,
) -> tuple[jax.Array, Any]:
    """As `predict_poses`, of the middle view; or the true ones where the recipe asks for those.

    The pose network is called for training where it is given a key.
    """
    networks, offsets = recipe.networks, recipe.options.data.frame_offsets
    flipped = jnp.asarray(views["middle"].flipped)
    if recipe.pose.true_scale:
        metres = batch["source_T_target"]
        scaled = metres.at[..., :3, 3].multiply(recipe.pose.true_scale)
        return jax.vmap(jax.vmap(se3.mirror, (0, None)))(scaled, flipped), None

    def apply_pose(pairs: jax.Array, groups: int) -> tuple:
        return networks.pose.apply(
            {"params": params["pose"], "batch_stats": batch_stats["pose"]},
            pairs,
            train=train_key is not None,
            groups=groups,
            mutable=["batch_stats"],
            rngs={"params": train_key} if train_key is not None else None,
        )

    stereo = None
    if "s" in offsets:
        stereo = jax.vmap(se3.mirror)(batch["stereo_T_target"], flipped)
    return predict_poses(apply_pose, views["middle"].images, offsets, stereo)


def _focal_slopes(
    views: Views, disparity: jax.Array, source_T_target: jax.Array, recipe: Recipe
) -> jax.Array:
    """`focal_slope` [B] with the middle view's disparity [B, H, W, 1]."""
    middle, depth = views["middle"], _depth(disparity, recipe)
    slope = partial(focal_slope, aligned=bool(recipe.pose.align or recipe.pose.true_scale))
    return jax.vmap(slope)(middle.images, depth, middle.intrinsics, source_T_target)


def _height_errors(views: Views, disparity: jax.Array, recipe: Recipe) -> jax.Array:
    """`height_error` [B] of the middle view's disparity [B, H, W, 1]."""
    judge = partial(height_error, camera_height=recipe.loss.camera_height)
    return jax.vmap(judge)(_depth(disparity, recipe), views["middle"].intrinsics)


def _grown(
    size: tuple[int, ...], seen: tuple[int, int], resolution: tuple[int, int]
) -> tuple[int, ...]:
    """(h, w) of a disparity of `size`, had the network seen (width, height) `resolution`."""
    sides = zip(size, seen[::-1], resolution[::-1], strict=True)
    return tuple(side * whole // small for side, small, whole in sides)


def _depth(disparity: jax.Array, recipe: Recipe) -> jax.Array:
    loss = recipe.loss
    return depth_from_disparity(disparity, min_depth=loss.min_depth, max_depth=loss.max_depth)


def without_scale(disparities: tuple[jax.Array, ...], middle: int) -> tuple[jax.Array, ...]:
    """The same disparities, whose common factor no gradient changes.

    Depth and aligned motion share a scale that the images do not tell. Left free, it drifts: up
    where alignment falls a little short, until the sigmoid saturates, and down with the consistency
    loss, which smaller disparities make smaller.

    Args:
        disparities: each [V, B, h, w, 1], the finest first.
        middle: which of the V is the middle view, whose mean stands for a sample's scale.

    Returns:
        Equal numbers.
    """
    scale = jnp.mean(disparities[0][middle], axis=(1, 2, 3), keepdims=True)[None]
    follow = jax.lax.stop_gradient(scale) / scale
    return tuple(disparity * follow for disparity in disparities)


def align_poses(
    views: Views,
    disparities: jax.Array,
    source_T_target: jax.Array,
    step: jax.Array,
    recipe: Recipe,
) -> jax.Array:
    """The transforms after direct alignment of the middle view, on the depth that it has now.

    Args:
        views: of B samples.
        disparities: [V, B, H, W, 1], the finest.
        source_T_target: [B, S, 4, 4].
        step: int32 [].
        recipe: its `pose.align` and `pose.turns_from` count.

    Returns:
        [B, S, 4, 4], constant.
    """
    middle = views["middle"]
    depth = _depth(disparities[views.names.index("middle")], recipe)
    turns = step >= recipe.pose.turns_from
    start = jnp.where(turns, source_T_target, jnp.eye(4))
    over_sources = jax.vmap(
        partial(align, factors=recipe.pose.align, turns=turns), (None, 0, None, None, 0)
    )
    return jax.vmap(over_sources)(
        middle.images[:, 0], middle.images[:, 1:], depth, middle.intrinsics, start
    )
