"""Motions between native frames, jitted and batched."""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from radepth_jax import models
from radepth_jax.data.pictures import pad_to_canvas
from radepth_jax.errors import UserError
from radepth_jax.geometry import se3
from radepth_jax.geometry.alignment import align
from radepth_jax.geometry.camera import depth_from_disparity, resize_intrinsics
from radepth_jax.inference.disparity import Resolution, network_input
from radepth_jax.models import Networks
from radepth_jax.models.pose import Pose
from radepth_jax.runs.saved_model import Model


def check_pose_network(model: Model, where: str) -> None:
    """Raises a UserError if a model's pose network never learnt anything.

    That is so if the run saw stereo pairs alone, or if the parameters are as they were first drawn,
    as in a model that was converted from files without a pose network.

    Args:
        model: from `load_model`.
        where: the checkpoint, for the message.
    """
    offsets = tuple(model.config.data.frame_offsets)
    if not any(isinstance(offset, int) and offset for offset in offsets):
        raise UserError(
            f"{where}: its pose network was never trained (data.frame_offsets is {offsets}); "
            "give a checkpoint trained on neighbouring frames"
        )
    drawn = models.init_network(
        model.networks,
        "pose",
        jax.random.key(model.config.seed),
        tuple(model.config.views.resolution),
    )
    if jax.tree.all(jax.tree.map(np.array_equal, model.variables["pose"], drawn)):
        raise UserError(
            f"{where}: its pose network was never trained (it is as it was first drawn); give a "
            "checkpoint of a training run, or one converted together with a pose network"
        )


class Alignment(NamedTuple):
    """Direct alignment of the pose network's motions, as in training (`config.pose.align`).

    Attributes:
        intrinsics: [3, 3] of the recording, in native pixels.
        factors: by how much each step shrinks the images.
        depths: the smallest and the largest depth that disparities stand for.
    """

    intrinsics: np.ndarray
    factors: tuple[int, ...]
    depths: tuple[float, float]


def alignment_of(model: Model, intrinsics: np.ndarray) -> Alignment | None:
    """The alignment of a run's config. None if it has none, or if the camera is not known.

    Args:
        model: from `load_model`.
        intrinsics: [3, 3] of the recording, in native pixels. They are not finite if unknown.
    """
    factors = tuple(model.config.pose.align)
    if not factors or not np.isfinite(intrinsics).all():
        return None
    loss = model.config.loss
    return Alignment(intrinsics, factors, (loss.min_depth, loss.max_depth))


@partial(jax.jit, static_argnames=("networks", "resolution"))
def predict_motions(
    variables: Any,
    frames: jax.Array,
    sizes: jax.Array,
    *,
    networks: Networks,
    resolution: Resolution,
) -> Pose:
    """Motion between each frame and the next. The network sees them in this order, as in training.

    Args:
        variables: {"pose": {"params", "batch_stats"}, ...}.
        frames: uint8 [B + 1, H0, W0, 3], consecutive, edge-padded to one canvas.
        sizes: int32 [B + 1, 2], the true (h, w) of each.
        networks: from `models.build`.
        resolution: (width, height) that the network was trained at.

    Returns:
        Axis-angle [B, 3] in radians and translation [B, 3] of `later_T_earlier`.
    """
    images = jax.vmap(lambda frame, size: network_input(frame, size, resolution))(frames, sizes)
    pairs = jnp.concatenate([images[:-1], images[1:]], axis=-1)
    motion: Any = networks.pose.apply(variables["pose"], pairs, train=False)
    return motion


@partial(jax.jit, static_argnames=("networks", "resolution", "factors", "depths"))
def align_motions(
    variables: Any,
    frames: jax.Array,
    sizes: jax.Array,
    motions: Pose,
    intrinsics: jax.Array,
    *,
    networks: Networks,
    resolution: Resolution,
    factors: tuple[int, ...],
    depths: tuple[float, float],
) -> jax.Array:
    """Motions after direct alignment of each frame to the next, on the depth of the earlier one.

    Args:
        variables: {"depth": {"params", "batch_stats"}, ...}.
        frames: the frames, as for `predict_motions`.
        sizes: their sizes, likewise.
        motions: from `predict_motions`.
        intrinsics: see `Alignment`.
        networks: from `models.build`.
        resolution: (width, height) that the network was trained at.
        factors: see `Alignment`.
        depths: see `Alignment`.

    Returns:
        `later_T_earlier` [B, 4, 4].
    """
    images = jax.vmap(lambda frame, size: network_input(frame, size, resolution))(frames, sizes)
    disparity = networks.depth.apply(variables["depth"], images[:-1], train=False)[0]
    depth = depth_from_disparity(disparity, min_depth=depths[0], max_depth=depths[1])
    resized = jax.vmap(resize_intrinsics, (None, 0, None))(
        intrinsics, sizes[:-1], (resolution[1], resolution[0])
    )
    start = jax.vmap(se3.transform_from_pose)(*motions)
    return jax.vmap(partial(align, factors=factors))(images[:-1], images[1:], depth, resized, start)


def motions_along(
    variables: Any,
    images: Iterable[np.ndarray],
    *,
    networks: Networks,
    resolution: Resolution,
    canvas: tuple[int, int],
    batch_size: int = 8,
    alignment: Alignment | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Motions between all consecutive images, with one compilation per canvas and batch size.

    Args:
        variables: {"pose": {"params", "batch_stats"}, ...}.
        images: N images, uint8 [h, w, 3] each. They are read as they are needed.
        networks: from `models.build`.
        resolution: (width, height) that the network was trained at.
        canvas: (H0, W0), at least as large as every image.
        batch_size: how many pairs are predicted at once.
        alignment: the direct alignment after the network. None does without.

    Returns:
        Axis-angle float32 [N - 1, 3] in radians and translation [N - 1, 3] of `later_T_earlier`.
        They are not finite where the network's results are not.
    """
    axisangles = [np.empty((0, 3), np.float32)]
    translations = [np.empty((0, 3), np.float32)]
    for frames, sizes, pairs in _overlapping(images, canvas, batch_size):
        motions = predict_motions(
            variables, frames, sizes, networks=networks, resolution=resolution
        )
        axisangle, translation = motions
        if alignment is not None:
            aligned = align_motions(
                variables,
                frames,
                sizes,
                motions,
                alignment.intrinsics,
                networks=networks,
                resolution=resolution,
                factors=alignment.factors,
                depths=alignment.depths,
            )
            transforms = np.asarray(aligned)
            translation = transforms[:, :3, 3]
            axisangle = np.full(translation.shape, np.nan, np.float32)
            known = np.isfinite(transforms).all(axis=(1, 2))
            axisangle[known] = Rotation.from_matrix(transforms[known, :3, :3]).as_rotvec()
        axisangles.append(np.asarray(axisangle)[:pairs])
        translations.append(np.asarray(translation)[:pairs])
    return np.concatenate(axisangles), np.concatenate(translations)


def _overlapping(
    images: Iterable[np.ndarray], canvas: tuple[int, int], batch_size: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """Batches of `batch_size + 1` frames, each starting with the last frame of the one before.

    The last batch is filled up by repeating its last frame.

    Yields:
        Frames, their sizes, and how many pairs are real.
    """
    held: list[tuple[np.ndarray, tuple[int, int]]] = []

    def batch() -> tuple[np.ndarray, np.ndarray, int]:
        full = held + [held[-1]] * (batch_size + 1 - len(held))
        frames, sizes = zip(*full, strict=True)
        return np.stack(frames), np.array(sizes, np.int32), len(held) - 1

    for image in images:
        held.append((pad_to_canvas(image, canvas), image.shape[:2]))
        if len(held) == batch_size + 1:
            yield batch()
            held = held[-1:]
    if len(held) > 1:
        yield batch()
