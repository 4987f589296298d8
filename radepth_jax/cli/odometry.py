"""`radepth odometry --checkpoint DIR [--dataset NAME --data_dir DIR] [--output DIR]`.

Runs the pose network along every recording of a split, with the direct alignment that the network
was trained with or that `--align` gives. The motions are chained into trajectories, which are
compared with the true poses. The output folder gets odometry.csv, odometry.json and, for each
recording, NAME_kitti.txt, NAME_tum.txt and the truth as NAME_truth_kitti.txt, NAME_truth_tum.txt,
all of them camera to world, for `evo_ape kitti NAME_truth_kitti.txt NAME_kitti.txt -as`. Timestamps
are the recording's. If it has none, they are frame numbers.

`radepth odometry --trajectory FILE --truth FILE [--output DIR]`.

Compares two files from anywhere, after each of four alignments: "origin" brings the first cameras
together, "scale" fits one factor as well, "6dof" a rigid motion, "7dof" a similarity. A line of a
file is a 3x4 matrix by rows (KITTI), a frame number and such a matrix, or
`timestamp tx ty tz qx qy qz qw` (TUM, in seconds), camera to world. EuRoC's CSV is read, too.
"""

import argparse
import sys
from pathlib import Path

from radepth_jax.cli.parser import Parser, add_allow_plugins
from radepth_jax.errors import UserError, writing_to
from radepth_jax.startup import start_program


def main(argv: list[str]) -> None:
    """Print and write how well a pose network, or any trajectory, follows the camera."""
    parser = Parser(
        "radepth odometry",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--checkpoint", help="the --workdir of a training run")
    parser.add_argument("--dataset", help="a prepared data set; by default the one trained on")
    parser.add_argument("--data_dir", help="where it was prepared; by default as trained")
    parser.add_argument("--split", help="of the data set; by default test")
    parser.add_argument(
        "--align",
        help="steps of direct alignment, each by how much it shrinks the images, such as "
        "4,4,2,2,1,1, or none; by default as the network was trained (config.pose.align)",
    )
    parser.add_argument("--trajectory", help="a file to compare instead of a checkpoint")
    parser.add_argument("--truth", help="the file of the true poses, in metres")
    parser.add_argument(
        "--max_difference", type=float, help="seconds between paired timestamps; by default 0.02"
    )
    parser.add_argument(
        "--yardsticks", action="store_true", help="add straight-ahead and no motion to the table"
    )
    parser.add_argument("--output", help="folder for the table and the trajectories")
    add_allow_plugins(parser)
    options = parser.parse_args(argv)

    of_checkpoints = ("checkpoint", "dataset", "data_dir", "split", "align")
    of_files = ("trajectory", "truth", "max_difference")
    given = [name for name in of_checkpoints + of_files if getattr(options, name) is not None]
    mixed = [name for name in given if name in of_checkpoints]
    if options.trajectory is None and options.truth is None:
        if options.checkpoint is None:
            parser.error("--checkpoint is required, or --trajectory and --truth")
        if options.max_difference is not None:
            parser.error("--max_difference goes with --trajectory and --truth")
        _follow(options)
    elif mixed:
        parser.error(f"--{mixed[0]} does not go with --trajectory and --truth")
    elif options.trajectory is None or options.truth is None:
        parser.error("--trajectory and --truth go together")
    else:
        _compare(options)


def _compare(options: argparse.Namespace) -> None:
    from radepth_jax.evaluation import alignment, odometry, trajectory_report
    from radepth_jax.evaluation.trajectory_files import read_trajectory
    from radepth_jax.evaluation.trajectory_pairs import MAX_DIFFERENCE, pair
    from radepth_jax.names import counted

    max_difference = MAX_DIFFERENCE if options.max_difference is None else options.max_difference
    if not max_difference >= 0:
        raise UserError(f"--max_difference {max_difference:g}: expected 0 or more seconds")
    files = read_trajectory(options.trajectory), read_trajectory(options.truth)
    predicted, truth, unpaired, gaps = pair(*files, max_difference=max_difference)
    folder = _make_folder(options.output) if options.output else None
    scores = {Path(options.trajectory).name: odometry.score(predicted, truth)}
    if options.yardsticks:
        for name, yardstick in odometry.YARDSTICKS.items():
            scores[name] = odometry.score(yardstick(len(truth)), truth)
    sequence = Path(options.truth).name
    rows = [
        row
        for name, score in scores.items()
        for kind in alignment.ALIGNMENTS
        for row in trajectory_report.make_rows(name, {sequence: score}, kind)
    ]
    trajectory_report.print_tables(rows, "snippets (metres)")
    for file, number in zip(files, unpaired, strict=True):
        if number:
            total = counted(len(file.world_T_camera), "pose")
            print(f"{file.path}: {number} of {total} without a partner; they are left out")
    if gaps:
        print(f"{counted(gaps, 'gap')} in time; the poses on its two sides are not consecutive")
    if folder:
        with writing_to(folder):
            for path in trajectory_report.write_rows(rows, folder):
                print(path)


def _follow(options: argparse.Namespace) -> None:
    start_program()
    import numpy as np

    from radepth_jax.data import open_dataset
    from radepth_jax.data.intrinsics import parse_intrinsics
    from radepth_jax.data.recordings import find_recordings, read_poses
    from radepth_jax.evaluation import odometry, trajectory_files, trajectory_report
    from radepth_jax.inference.motion import alignment_of, check_pose_network, motions_along
    from radepth_jax.runs.config import check_config
    from radepth_jax.runs.saved_model import load_model

    model = load_model(options.checkpoint, allow_plugins=options.allow_plugins)
    check_pose_network(model, options.checkpoint)
    if options.align is not None:
        model.config.pose.align = _factors(options.align)
        check_config(model.config)
    dataset = open_dataset(
        options.dataset or model.config.data.name, options.data_dir or model.config.data.data_dir
    )
    split = options.split or "test"
    found = find_recordings(dataset, split)
    recordings = [recording for recording in found if len(recording.positions) > 1]
    short = ", ".join(r.name for r in found if len(r.positions) < 2)
    if not recordings:
        raise UserError(
            f"data set {dataset.name}: {short}: one frame each, odometry needs two in a row, and "
            f"{odometry.SNIPPET} for a snippet; name a split with longer recordings"
        )
    if short:
        print(f"left out, one frame each: {short}", file=sys.stderr)
    truths = [read_poses(dataset, recording) for recording in recordings]

    folder = _make_folder(options.output) if options.output else None
    model_name = f"{model.name}, step {model.step}"
    scores: dict[str, dict[str, odometry.Score]] = {model_name: {}}
    for recording, (truth, times) in zip(recordings, truths, strict=True):
        image, intrinsics = dataset.image(recording.positions[0])
        if model.learned_fov is not None and not np.isfinite(intrinsics).all():
            intrinsics = parse_intrinsics(None, model.learned_fov, image.shape[:2])
        axisangle, translation = motions_along(
            model.variables,
            (dataset.image(position)[0] for position in recording.positions),
            networks=model.networks,
            resolution=tuple(model.config.views.resolution),
            canvas=dataset.canvas,
            batch_size=model.config.evaluate.batch_size,
            alignment=alignment_of(model, intrinsics),
        )
        wrong = ~np.isfinite(np.concatenate([axisangle, translation], axis=1)).all(axis=1)
        if wrong.any():
            raise UserError(
                f"{options.checkpoint}: the motion that it predicts for {recording.name} is NaN or "
                f"infinite in {wrong.sum()} of {len(wrong)} steps; a trajectory without them would "
                "flatter it, so there is none"
            )
        predicted = odometry.chain(odometry.motions(axisangle, translation))
        scores[model_name][recording.name] = odometry.score(predicted, truth)
        if folder:
            with writing_to(folder):
                trajectory_files.write_trajectories(folder, recording.name, predicted, truth, times)
        if options.yardsticks:
            for name, yardstick in odometry.YARDSTICKS.items():
                result = odometry.score(yardstick(len(truth)), truth)
                scores.setdefault(name, {})[recording.name] = result
    rows = [row for name, own in scores.items() for row in trajectory_report.make_rows(name, own)]
    trajectory_report.print_tables(rows, f"{dataset.name}, {split}: snippets (metres)")
    if folder:
        with writing_to(folder):
            for path in trajectory_report.write_rows(rows, folder):
                print(path)
        print(f"{folder}: trajectories of {len(recordings)} recordings")


def _factors(text: str) -> tuple[int, ...]:
    """The value of `--align`."""
    if text == "none":
        return ()
    factors = text.split(",")
    if not all(factor.strip().isdecimal() for factor in factors):
        raise UserError(f"--align: expected numbers such as 4,4,2,2,1,1, or none, got {text!r}")
    return tuple(map(int, factors))


def _make_folder(name: str) -> Path:
    folder = Path(name)
    with writing_to(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder
