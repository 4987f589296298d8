"""What `radepth evaluate` can be told."""

import argparse

from radepth_jax.cli.parser import Parser, add_allow_plugins
from radepth_jax.runs.protocol import SCALINGS


def make_parser(description: str = "") -> Parser:
    """The command's options. `description`: what its help begins with."""
    parser = Parser(
        "radepth evaluate",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        action="append",
        help="the --workdir of a training run; several by commas or by repeating the option; "
        "NAME=DIR names it in the table",
    )
    add(
        "--predictions",
        action="append",
        default=[],
        help="a folder of depth maps (NPY, PFM, EXR or 16-bit PNG) of another program, named "
        "as the images or in the split's order; NAME=DIR names it in the table",
    )
    add("--predictions_are", choices=("depth", "disparity"), default="depth", help="1 / depth")
    add(
        "--onnx",
        action="append",
        default=[],
        help="a network in an ONNX file, evaluated at --resolutions beside the checkpoints; "
        "NAME=FILE names it in the table",
    )
    add(
        "--onnx_gives",
        choices=("auto", "depth", "disparity", "relative"),
        default="auto",
        help="what --onnx files give: depth, disparity (1 / depth) or relative (inverse depth up "
        "to a factor and a shift, fitted to each image); auto: as `radepth export` wrote",
    )
    add(
        "--onnx_normalise",
        choices=("none", "imagenet"),
        default="none",
        help="what --onnx files expect: RGB in [0, 1], or that less ImageNet's mean and so on",
    )
    add("--png_levels", type=float, default=256.0, help="a unit, in --predictions of PNG")
    add("--dataset", help="a prepared data set; by default the one trained on")
    add("--data_dir", help="where it was prepared; by default as trained")
    add("--split", default="test")
    add(
        "--resolutions",
        help="WxH,WxH,... and native (the images' own size); by default the training resolution",
    )
    add("--flip", action="store_true", help="average with the mirrored image's prediction")
    add(
        "--scaling",
        choices=tuple(SCALINGS),
        help="how predictions become metres: median of each image's ground truth; ground: camera "
        "height over the estimated ground (reported beside median); fixed: the checkpoint's stored "
        "factor; none: times --scale_factor. By default as in the config",
    )
    add("--scale_factor", type=float, help="for --scaling none (5.4 in the stereo protocol)")
    add("--camera_height", type=float, help="metres over the road, for --scaling ground")
    add("--crop", help="none, garg or nyu; by default the data set's, or else as in the config")
    add("--min_depth", type=float, help="metres; ground truth must exceed it; default as --crop")
    add("--max_depth", type=float, help="metres; the cap; default as --crop")
    add(
        "--edges",
        action="store_const",
        const=True,
        help="also measure how well the borders of objects are found: precision, recall and F1, "
        "and the recall of thin structures; needs dense ground truth",
    )
    add("--batch_size", type=int, help="images a step, over all devices")
    add("--confidence", type=float, default=0.95, help="of the bootstrap intervals; 0: none")
    # The second spelling is an older one, which still works.
    add("--row_prior", "--row-prior", action="store_true", help="add the constant-per-row prior")
    add(
        "--pictures",
        type=int,
        default=4,
        help="images on the contact sheets; report.html has as many more, the worst",
    )
    add(
        "--store_scale",
        action="store_true",
        help="measure the median of truth / prediction on --split (validation, say) and store it "
        "in the checkpoint, for --scaling fixed",
    )
    add(
        "--temporal",
        action="store_true",
        help="instead of the metrics: how much depth flickers from frame to frame, for splits of "
        "consecutive frames",
    )
    add(
        "--motion",
        choices=("true", "network"),
        default="true",
        help="for --temporal: the data set's poses, or what the first checkpoint's pose network "
        "predicts, after direct alignment",
    )
    add("--output", help="folder for tables, plot and pictures")
    add_allow_plugins(parser)
    return parser
