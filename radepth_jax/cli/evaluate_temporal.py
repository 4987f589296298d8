"""`radepth evaluate --temporal`: how much depth flickers from frame to frame."""

import argparse
from typing import TYPE_CHECKING

from radepth_jax.errors import UserError, writing_to

if TYPE_CHECKING:
    from radepth_jax.data import EvaluationSource
    from radepth_jax.evaluation.method import Method
    from radepth_jax.evaluation.temporal_loop import Clip
    from radepth_jax.runs.protocol import Protocol
    from radepth_jax.runs.saved_model import Model

TRUE, NETWORK = "true", "network"


def report_temporal(
    models: "list[tuple[str, Model]]",
    methods: "list[Method]",
    source: "EvaluationSource",
    protocol: "Protocol",
    options: argparse.Namespace,
) -> None:
    """Measure, print and write the temporal errors of all methods."""
    from radepth_jax.evaluation.temporal_loop import evaluate_temporal, true_clips
    from radepth_jax.evaluation.temporal_report import print_temporal, write_temporal

    clips = true_clips(source) if options.motion == TRUE else network_clips(models, source)
    rows = evaluate_temporal(methods, source, clips, protocol=protocol)
    title = f"{source.dataset.name}, {options.split}: flicker, {options.motion} motion"
    paths = []
    if options.output:
        about = {
            "dataset": source.dataset.name,
            "split": options.split,
            "motion": options.motion,
            "flip": options.flip,
        }
        with writing_to(options.output):
            paths = write_temporal(
                rows, options.output, about=about, confidence=options.confidence or 0.95
            )
    print_temporal(rows, title, confidence=options.confidence)
    for path in paths:
        print(path)


def network_clips(models: "list[tuple[str, Model]]", source: "EvaluationSource") -> "list[Clip]":
    """The clips of a split with the motion that the first checkpoint predicts, after alignment.

    Raises:
        UserError: There is no checkpoint, its pose network was not trained, or no camera is known.
    """
    import numpy as np

    from radepth_jax.evaluation.odometry import motions
    from radepth_jax.evaluation.temporal_loop import clip_of, consecutive
    from radepth_jax.geometry.alignment import COARSE_TO_FINE
    from radepth_jax.inference.motion import Alignment, check_pose_network, motions_along

    if not models:
        raise UserError("--motion network needs a --checkpoint, whose pose network is taken")
    checkpoint, model = models[0]
    check_pose_network(model, checkpoint)
    targets = source.dataset.targets(source.split)
    clips = []
    for images in consecutive(source):
        _, intrinsics = source.dataset.image(targets[images[0]])
        if not np.isfinite(intrinsics).all():
            raise UserError(
                f"data set {source.dataset.name}: the camera of {source.name(images[0])} is not "
                "known, so depth cannot be carried; prepare it with --fov or --intrinsics"
            )
        factors = tuple(model.config.pose.align) or COARSE_TO_FINE
        axisangle, translation = motions_along(
            model.variables,
            (source.dataset.image(targets[i])[0] for i in images),
            networks=model.networks,
            resolution=tuple(model.config.views.resolution),
            canvas=source.dataset.canvas,
            batch_size=model.config.evaluate.batch_size,
            alignment=Alignment(intrinsics, factors, model.depth_range),
        )
        if not np.isfinite(np.concatenate([axisangle, translation])).all():
            raise UserError(f"{checkpoint}: the motion that it predicts is NaN or infinite")
        clips.append(clip_of(source, images, motions(axisangle, translation), metric=False))
    return clips
