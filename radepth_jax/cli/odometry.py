"""`radepth odometry --checkpoint DIR [--dataset NAME --data_dir DIR] [--output DIR]`.

Runs the pose network along every recording of a split, chains the motions into trajectories and
compares them with the true poses. The output folder gets odometry.csv, odometry.json and, for each
recording, NAME_kitti.txt, NAME_tum.txt and the truth as NAME_truth_kitti.txt, NAME_truth_tum.txt,
all of them camera to world, for `evo_ape kitti NAME_truth_kitti.txt NAME_kitti.txt -as`. Timestamps
are the recording's, or frame numbers where it has none.
"""

import sys
from pathlib import Path

from radepth_jax.cli.cache import use_compilation_cache
from radepth_jax.cli.parser import Parser


def main(argv: list[str]) -> None:
    """Print and write how well one checkpoint's pose network follows the camera."""
    parser = Parser("radepth odometry", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="the --workdir of a training run")
    parser.add_argument("--dataset", help="a prepared data set; by default the one trained on")
    parser.add_argument("--data_dir", help="where it was prepared; by default as trained")
    parser.add_argument("--split", default="test")
    parser.add_argument(
        "--yardsticks", action="store_true", help="add straight-ahead and no motion to the table"
    )
    parser.add_argument("--output", help="folder for the table and the trajectories")
    options = parser.parse_args(argv)

    use_compilation_cache()
    from radepth_jax.data import open_dataset
    from radepth_jax.data.recordings import find_recordings, read_poses
    from radepth_jax.errors import UserError, writing_to
    from radepth_jax.evaluate import odometry, trajectory_report
    from radepth_jax.inference.motion import check_pose_network, motions_along
    from radepth_jax.runs.saved_model import load_model

    model = load_model(options.checkpoint)
    check_pose_network(model, options.checkpoint)
    dataset = open_dataset(
        options.dataset or model.config.data.name, options.data_dir or model.config.data.data_dir
    )
    found = find_recordings(dataset, options.split)
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

    folder = Path(options.output) if options.output else None
    if folder:
        with writing_to(folder):
            folder.mkdir(parents=True, exist_ok=True)
    model_name = f"{model.name}, step {model.step}"
    scores: dict[str, dict[str, odometry.Score]] = {model_name: {}}
    for recording, (truth, times) in zip(recordings, truths, strict=True):
        axisangle, translation = motions_along(
            model.variables,
            (dataset.image(position)[0] for position in recording.positions),
            networks=model.networks,
            resolution=tuple(model.config.views.resolution),
            canvas=dataset.canvas,
            batch_size=model.config.evaluate.batch_size,
        )
        predicted = odometry.chain(odometry.motions(axisangle, translation))
        scores[model_name][recording.name] = odometry.score(predicted, truth)
        if folder:
            with writing_to(folder):
                trajectory_report.write_trajectories(
                    folder, recording.name, predicted, truth, times
                )
        if options.yardsticks:
            for name, yardstick in odometry.YARDSTICKS.items():
                result = odometry.score(yardstick(len(truth)), truth)
                scores.setdefault(name, {})[recording.name] = result
    rows = [row for name, own in scores.items() for row in trajectory_report.make_rows(name, own)]
    trajectory_report.print_table(rows, f"{dataset.name}, {options.split} (metres)")
    if folder:
        with writing_to(folder):
            for path in trajectory_report.write_rows(rows, folder):
                print(path)
        print(f"{folder}: trajectories of {len(recordings)} recordings")
