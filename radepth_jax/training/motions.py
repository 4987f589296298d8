"""The camera's motions of a batch: predicted, corrected by alignment, or the data set's own."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from radepth_jax.geometry import se3
from radepth_jax.geometry.alignment import align
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.losses.scene import MotionsFrom
from radepth_jax.runs.recipe import Recipe
from radepth_jax.views import Views

# A network: (images [N, H, W, C], groups) -> (outputs, new statistics or None).
Apply = Callable[[jax.Array, int], tuple[Any, Any]]


class Motions(NamedTuple):
    """The transforms from the target to every source camera, for B samples.

    Attributes:
        source_T_target: [B, S, 4, 4], with which the views are judged.
        predicted: [B, S, 4, 4] the transforms as the pose network gave them, before alignment;
            without alignment they are `source_T_target`.
        found_by: who has found `source_T_target`; static.
    """

    source_T_target: jax.Array  # noqa: N815
    predicted: jax.Array
    found_by: MotionsFrom


def find_motions(
    apply_pose: Apply,
    batch: dict[str, jax.Array],
    views: Views,
    disparities: jax.Array,
    step: jax.Array,
    recipe: Recipe,
) -> tuple[Motions, Any]:
    """The motions that a recipe asks for, found in the middle view.

    Args:
        apply_pose: the pose network, see `predict_poses`.
        batch: as the loader gives it.
        views: of B samples.
        disparities: [V, B, H, W, 1], the finest.
        step: int32 [].
        recipe: see `PoseOptions.true_scale` and `PoseOptions.align`.

    Returns:
        The motions, and the pose network's new statistics (None if it was not needed).
    """
    middle, offsets = views["middle"], recipe.options.data.frame_offsets
    flipped = jnp.asarray(middle.flipped)
    if recipe.pose.true_scale:
        metres = batch["source_T_target"]
        scaled = metres.at[..., :3, 3].multiply(recipe.pose.true_scale)
        true = jax.vmap(jax.vmap(se3.mirror, (0, None)))(scaled, flipped)
        return Motions(true, true, "data"), None
    stereo = None
    if "s" in offsets:
        stereo = jax.vmap(se3.mirror)(batch["stereo_T_target"], flipped)
    predicted, stats = predict_poses(apply_pose, middle.images, offsets, stereo)
    if not recipe.pose.align:
        return Motions(predicted, predicted, "network"), stats
    aligned = align_poses(views, disparities, predicted, step, recipe)
    return Motions(aligned, predicted, "alignment"), stats


def predict_poses(
    apply_pose: Apply,
    frames: jax.Array,
    offsets: Sequence[int | str],
    stereo: jax.Array | None,
) -> tuple[jax.Array, Any]:
    """The transforms from the target to every source camera.

    The pose network sees pairs in temporal order; for an earlier source its answer is inverted
    (METHOD, section 2). The opposite camera's transform is known.

    Args:
        apply_pose: (pairs [N, H, W, 6], groups) -> ((axisangle [N, 3], translation [N, 3]), stats).
        frames: [B, F, H, W, 3] in [0, 1], unaugmented middle view, target first.
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
        recipe: see `PoseOptions.align` and `PoseOptions.turns_from`.

    Returns:
        [B, S, 4, 4], constant.
    """
    middle, loss = views["middle"], recipe.loss
    depth = depth_from_disparity(
        disparities[views.names.index("middle")],
        min_depth=loss.min_depth,
        max_depth=loss.max_depth,
    )
    turns = step >= recipe.pose.turns_from
    start = jnp.where(turns, source_T_target, jnp.eye(4))
    over_sources = jax.vmap(
        partial(align, factors=recipe.pose.align, turns=turns), (None, 0, None, None, 0)
    )
    return jax.vmap(over_sources)(
        middle.images[:, 0], middle.images[:, 1:], depth, middle.intrinsics, start
    )
