"""`radepth prepare NAME --data_dir DIR [...]`: build a data set, once."""

import argparse
from pathlib import Path
from typing import Any

from radepth_jax.cli.parser import Parser
from radepth_jax.downloads import DOWNLOADS


def main(argv: list[str]) -> None:
    """Prepare the data set that the arguments name."""
    parser = Parser("radepth prepare", description=__doc__)
    comma_list: Any = {"type": _comma_list, "action": _Once}
    names = parser.add_subparsers(dest="family", required=True, metavar="NAME")

    kitti = names.add_parser(
        "kitti_raw",
        help="an extracted KITTI raw tree, whole or in part",
        description=DOWNLOADS["kitti_raw"],
    )
    kitti.add_argument("--source", required=True, help="the folder that holds 2011_09_26, ...")
    kitti.add_argument(
        "--split_lists",
        help="eigen_zhou (downloaded, the default), eigen (its test images alone), or a folder "
        "with train_files.txt, ...",
    )
    kitti.add_argument(
        "--targets_only",
        action="store_true",
        help="store the listed frames alone, without their drives: enough to evaluate on",
    )
    for split in ("train", "validation", "test"):
        kitti.add_argument(f"--{split}_list", help="a file of lines DATE/DRIVE FRAME l|r")
        kitti.add_argument(
            f"--{split}_drives",
            type=_comma_list,
            action=_Once,
            default=(),
            help="drives: 0005,0019 or folders",
        )

    improved = names.add_parser(
        "kitti_improved",
        help="KITTI Eigen's test images with the improved ground truth",
        description=DOWNLOADS["kitti_improved"],
    )
    improved.add_argument("--source", required=True, help="the folder that holds 2011_09_26, ...")
    improved.add_argument(
        "--annotated", required=True, help="data_depth_annotated: the folder of train and val"
    )
    improved.add_argument(
        "--split_lists",
        help="eigen_benchmark (downloaded, the default), or a folder with test_files.txt",
    )

    make3d = names.add_parser(
        "make3d", help="Make3D's 134 test images", description=DOWNLOADS["make3d"]
    )
    make3d.add_argument("--source", required=True, help="the folder of Test134 and Gridlaserdata")

    nyu = names.add_parser(
        "nyu_v2", help="NYUv2's 654 labelled test images", description=DOWNLOADS["nyu_v2"]
    )
    nyu.add_argument("--source", required=True, help="the folder of the two .mat files")
    nyu.add_argument(
        "--depth",
        choices=("filled", "raw"),
        default="filled",
        help="with the sensor's holes filled in, or as measured",
    )

    odometry = names.add_parser(
        "kitti_odometry",
        help="KITTI odometry sequences with their poses",
        description=DOWNLOADS["kitti_odometry"],
    )
    odometry.add_argument("--source", required=True, help="the folder of sequences and poses")
    odometry.add_argument("--sequences", **comma_list, default=("09", "10"), help="09,10")

    video = names.add_parser("video", help="videos, or folders of images in order")
    video.add_argument(
        "--source",
        required=True,
        action="append",
        help="the file or the folder; several by repeating the option, or a folder of them",
    )
    video.add_argument(
        "--intrinsics",
        action="append",
        help="fx,fy,cx,cy in pixels of the video; one for all, or repeated, one for each --source",
    )
    video.add_argument(
        "--fov", type=float, action="append", help="or the horizontal field of view in degrees"
    )
    video.add_argument(
        "--sampling",
        choices=("length", "even"),
        default="length",
        help="train on clips as often as they are long, or evenly",
    )
    video.add_argument("--stride", type=int, default=1, help="keep every n-th frame")
    video.add_argument(
        "--min_change",
        type=float,
        default=0.5,
        help="skip frames that differ less from the last one kept (mean grey levels of 255)",
    )
    video.add_argument("--validation_share", type=float, default=0.1, help="of the end, held out")

    rgbd = names.add_parser(
        "rgbd", help="RGB-D folders in the layout of 7-Scenes", description=DOWNLOADS["rgbd"]
    )
    rgbd.add_argument("--source", required=True, help="a folder of frames, or of such folders")
    rgbd.add_argument("--intrinsics", help="fx,fy,cx,cy, where there is no camera-intrinsics.txt")
    for split in ("train", "validation", "test"):
        rgbd.add_argument(
            f"--{split}_sequences",
            type=_comma_list,
            action=_Once,
            default=(),
            help="folders: seq-01,seq-02",
        )
    rgbd.add_argument("--validation_share", type=float, default=0.1, help="of a single folder")
    rgbd.add_argument("--test_share", type=float, default=0.2, help="of a single folder, its end")

    names.add_parser("street", help="the rendered street: street/demo, street/full, street/varied")
    for sub_parser in names.choices.values():
        sub_parser.add_argument("--data_dir", default="data", help="the folder of all data sets")

    for beamed in (kitti, improved):
        beamed.add_argument(
            "--beam_pipeline_options",
            help="prepare with Apache Beam: "
            "runner=DirectRunner,direct_num_workers=0,direct_running_mode=multi_processing",
        )

    # NAME may carry a configuration (video/mine), which argparse cannot match.
    config = ""
    if argv and not argv[0].startswith("-"):
        family, slash, config = argv[0].partition("/")
        argv = [family, *argv[1:]]
        config = slash + config
    options = vars(parser.parse_args(argv))

    from radepth_jax.data.prepare import prepare

    name = options.pop("family") + config
    prepare(name, data_dir=Path(options.pop("data_dir")), **options)


class _Once(argparse.Action):
    """An error where the option is given again: the earlier values would be forgotten."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        if getattr(namespace, self.dest) != self.default:
            parser.error(f"{option_string}: given twice; give all its values at once, by commas")
        setattr(namespace, self.dest, values)


def _comma_list(text: str) -> tuple[str, ...]:
    return tuple(word for word in text.split(",") if word)
