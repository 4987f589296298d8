"""The temporal error of methods on a split's consecutive frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from radepth_jax.data import EvaluationSource, schema
from radepth_jax.errors import UserError
from radepth_jax.evaluation.loop import batches
from radepth_jax.evaluation.method import Method, Step
from radepth_jax.evaluation.metrics import valid_mask
from radepth_jax.evaluation.odometry import invert
from radepth_jax.evaluation.temporal import (
    fit_scale,
    is_dense,
    pair_errors,
    same_surface,
    unhidden,
)
from radepth_jax.geometry.camera import resize_intrinsics
from radepth_jax.runs.protocol import Protocol

TRUTH = "ground truth"


@dataclass(frozen=True)
class Clip:
    """Consecutive frames of one camera, and its motion between them.

    Attributes:
        name: the sequence's name.
        images: their positions in the split.
        motions: `later_T_earlier` [N - 1, 4, 4].
        metric: whether the motions are true ones, in metres.
    """

    name: str
    images: range
    motions: np.ndarray
    metric: bool = True


@dataclass(frozen=True)
class TemporalRow:
    """One line of the table.

    Attributes:
        model: what was evaluated.
        resolution: "WxH" of the network's input, "native" or "as given".
        pairs: "SEQUENCE/CAMERA/FRAME" of the earlier frame of every pair.
        one_scale: [P] the errors of the pairs with one scale for each sequence.
        own_scale: [P] the errors of the pairs with each frame's own scale.
        compared: [P] the shares of the pixels that were compared.
        scales: the factor of each clip's depth.
    """

    model: str
    resolution: str
    pairs: list[str] = field(default_factory=list)
    one_scale: list[float] = field(default_factory=list)
    own_scale: list[float] = field(default_factory=list)
    compared: list[float] = field(default_factory=list)
    scales: list[float] = field(default_factory=list)


def consecutive(source: EvaluationSource) -> list[range]:
    """The positions in a split that belong to consecutive frames of one camera.

    Raises:
        UserError: There are no two of them.
    """
    index = source.dataset.metadata.index
    places = [index.locate(target) for target in source.dataset.targets(source.split)]
    starts = [0, *(
        i
        for i, ((sequence, camera, frame), place) in enumerate(pairwise(places), 1)
        if place != (sequence, camera, frame + 1)
    ), len(places)]  # fmt: skip
    found = [range(a, b) for a, b in pairwise(starts) if b - a > 1]
    if not found:
        raise UserError(
            f"data set {source.dataset.name}: no two images of {source.split!r} are consecutive "
            "frames, so nothing can flicker; name a data set or a split that has, such as street"
        )
    return found


def true_clips(source: EvaluationSource) -> list[Clip]:
    """The clips of a split with the data set's own motion.

    Raises:
        UserError: There are no consecutive frames, or none with poses.
    """
    targets = source.dataset.targets(source.split)
    clips = []
    for images in consecutive(source):
        poses = np.stack(
            [source.dataset.record(schema.FRAMES, targets[i])["world_T_camera"] for i in images]
        )
        if np.isfinite(poses).all():
            clips.append(clip_of(source, images, invert(poses[1:]) @ poses[:-1], metric=True))
    if not clips:
        raise UserError(
            f"data set {source.dataset.name}: its frames have no poses (world_T_camera); take the "
            "motion that a checkpoint's pose network predicts: --motion network"
        )
    return clips


def clip_of(source: EvaluationSource, images: range, motions: np.ndarray, *, metric: bool) -> Clip:
    """A clip that is named after its sequence. The other arguments are as in `Clip`."""
    return Clip(source.name(images[0]).rpartition("/")[0], images, motions, metric)


def evaluate_temporal(
    methods: Sequence[Method],
    source: EvaluationSource,
    clips: Sequence[Clip],
    *,
    protocol: Protocol,
) -> list[TemporalRow]:
    """The rows of all methods. If the true depth is dense, it has the last row.

    With true motion, depth is scaled by the median over a clip's frames of the ratio of medians,
    truth over prediction. Without true depth, or with motion up to scale, the factor is that of
    `fit_scale`. If both frames' true depth is dense and the motion is true, the pixels that count
    are those of `same_surface` within the protocol's crop and range, and otherwise those of
    `unhidden`.

    Args:
        methods: what is evaluated. Their frames need no ground truth.
        source: the images.
        clips: which of them follow one another, and how the camera moved.
        protocol: the crop and the range of true depth.

    Raises:
        UserError: A prediction is not positive and finite at a pixel that counts.
    """
    rows: list[TemporalRow] = []
    truth = TemporalRow(TRUTH, "native")
    for method in methods:
        for step in method.steps():
            rows.append(TemporalRow(method.name, step.resolution))
            for clip in clips:
                shot = _shoot(method, step, source, clip)
                _add(rows[-1], shot, clip, source, protocol, shot.depths)
                if len(rows) == 1 and clip.metric and all(map(is_dense, shot.truths, shot.sizes)):
                    filled = np.where(shot.truths > 0, shot.truths, 1)
                    _add(truth, shot, clip, source, protocol, filled, scale=1.0)
    return [*rows, truth] if truth.pairs else rows


@dataclass(frozen=True)
class _Shot:
    """A method's depth for a clip's N frames, beside the truth, on its canvas."""

    depths: np.ndarray  # [N, H, W]
    truths: np.ndarray  # [N, H, W] metres, 0 where unknown
    sizes: np.ndarray  # int32 [N, 2]
    intrinsics: np.ndarray  # float32 [N, 3, 3] in the truth's pixels
    ratios: np.ndarray  # [N] the truth's median over the prediction's, NaN without truth


def _shoot(method: Method, step: Step, source: EvaluationSource, clip: Clip) -> _Shot:
    batch_size = -(-min(method.batch_size, len(clip.images)) // method.devices) * method.devices
    parts: dict[str, list[Any]] = {
        name: [] for name in ("depths", "truths", "sizes", "intrinsics", "ratios")
    }
    done = 0
    for batch, names in batches(source, clip.images, batch_size):
        real = len(names)
        found = step.run(clip.images[done : done + real], method.place(batch))
        parts["depths"] += [np.array(found.depth(i), np.float32) for i in range(real)]
        parts["truths"] += list(batch["depth"][:real])
        parts["sizes"] += list(batch["depth_size"][:real])
        parts["intrinsics"] += [
            np.asarray(resize_intrinsics(K, size, depth_size))
            for K, size, depth_size in zip(
                *(batch[name][:real] for name in ("intrinsics", "size", "depth_size")), strict=True
            )
        ]
        metrics = found.metrics[method.scalings[0]]
        parts["ratios"] += np.where(metrics["known"] > 0, metrics["median_ratio"], np.nan)[
            :real
        ].tolist()
        done += real
    return _Shot(**{name: np.array(values) for name, values in parts.items()})


def _add(
    row: TemporalRow,
    shot: _Shot,
    clip: Clip,
    source: EvaluationSource,
    protocol: Protocol,
    depths: np.ndarray,
    *,
    scale: float | None = None,
) -> None:
    """Add the pairs of a clip to a row."""
    motions = clip.motions.astype(np.float32)
    if scale is None:
        _refuse_unusable(row, shot, clip, source)
        known = shot.ratios[np.isfinite(shot.ratios)]
        if clip.metric and len(known):
            scale = float(np.median(known))
        else:
            scale = fit_scale(depths, shot.intrinsics, motions, shot.sizes)
    row.scales.append(scale)
    depths = np.float32(scale) * depths
    for i, motion in enumerate(motions):
        where = shot.intrinsics[i], motion, shot.sizes[i]
        truth = shot.truths[i : i + 2]
        if clip.metric and all(map(is_dense, truth, shot.sizes[i : i + 2])):
            seen = same_surface(*truth, *where) & valid_mask(truth[0], shot.sizes[i], protocol)
        else:
            seen = unhidden(depths[i], *where)
        errors = pair_errors(depths[i], depths[i + 1], *where, seen)
        row.pairs.append(source.name(clip.images[i]))
        row.one_scale.append(float(errors.one_scale))
        row.own_scale.append(float(errors.own_scale))
        row.compared.append(float(errors.pixels) / float(np.prod(shot.sizes[i])))


def _refuse_unusable(row: TemporalRow, shot: _Shot, clip: Clip, source: EvaluationSource) -> None:
    """A prediction with NaN, or with depth that is not positive, has no logarithm."""
    for image, depth, (h, w) in zip(clip.images, shot.depths, shot.sizes, strict=True):
        part = depth[:h, :w]
        if not (np.isfinite(part) & (part > 0)).all():
            raise UserError(
                f"{row.model} at {row.resolution}: the predicted depth of {source.name(image)} is "
                "NaN, infinite, 0 or negative somewhere; expected a positive number at every pixel"
            )


def clip_rows(row: TemporalRow) -> Iterator[dict[str, Any]]:
    """A record for each pair of a row, for `per_pair.csv`."""
    for i, pair in enumerate(row.pairs):
        yield {
            "model": row.model,
            "resolution": row.resolution,
            "image": pair,
            "one_scale": row.one_scale[i],
            "own_scale": row.own_scale[i],
            "compared": row.compared[i],
        }
