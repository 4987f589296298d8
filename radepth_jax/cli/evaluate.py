"""`radepth evaluate --checkpoint DIR[,DIR...] [--dataset NAME --data_dir DIR] --resolutions ...`.

One table for all checkpoints and resolutions: printed, and written to --output as CSV, JSON, a plot
over resolution, per-image figures, depth maps and error maps.
"""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radepth_jax.cli.cache import use_compilation_cache
from radepth_jax.cli.parser import Parser
from radepth_jax.errors import UserError, writing_to

if TYPE_CHECKING:
    from radepth_jax.data import EvaluationSource
    from radepth_jax.evaluate.row import Row
    from radepth_jax.inference.disparity import Resolution
    from radepth_jax.runs.protocol import Protocol
    from radepth_jax.runs.saved_model import Model


def main(argv: list[str]) -> None:
    """Print and write the metrics table of checkpoints."""
    options = make_parser().parse_args(argv)
    use_compilation_cache()
    from radepth_jax.data import EvaluationSource, open_dataset
    from radepth_jax.evaluate import priors, report

    models = [load_named(text) for texts in options.checkpoint for text in texts.split(",")]
    if options.store_scale:
        options.scaling = "median"
    dataset = open_dataset(*dataset_of([model for _, model in models], options))
    source = EvaluationSource(dataset, options.split)
    protocol = protocol_from(models[0][1], dataset.metadata.protocol, options)
    resolutions = resolutions_from(models, options.resolutions)
    if options.store_scale:
        store_scales(models, source, protocol, resolutions, options)
        return

    from radepth_jax.evaluate.sheets import choose_images

    show = choose_images(source, options.pictures) if options.output else []
    prior_rows = []
    if options.row_prior:  # first: a split without depth should not cost an evaluation
        train_split = models[0][1].config.data.train_split
        prior = priors.row_prior(EvaluationSource(dataset, train_split), protocol)
        prior_rows = [priors.evaluate_constant(prior, source, protocol=protocol, model="row prior")]
    rows = []
    for checkpoint, model in models:
        factor = factor_of(checkpoint, model, protocol, options)
        rows += measure(model, source, resolutions, protocol, options, factor=factor, show=show)
    rows += prior_rows
    title = f"{dataset.name}, {options.split}"
    report.print_table(rows, title, confidence=options.confidence)
    for row in rows:
        with_truth = int((row.per_image["median_ratio"] > 0).sum())
        if row.images < with_truth:
            print(
                f"{row.label} at {row.resolution}: no ground plane in {with_truth - row.images} of "
                f"{with_truth} images; they are left out of its row"
            )
    if options.output:
        about = {"dataset": dataset.name, "split": options.split, "flip": options.flip}
        about |= {k: v for k, v in dataclasses.asdict(protocol).items() if k != "scaling"}
        with writing_to(options.output):
            paths = report.write_report(
                rows, options.output, about=about, confidence=options.confidence or 0.95
            )
            paths += write_sheets(source, show, rows, protocol, Path(options.output))
        for path in paths:
            print(path)


def make_parser() -> Parser:
    """The command's options."""
    parser = Parser(
        "radepth evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        action="append",
        help="the --workdir of a training run; several by commas or by repeating the option; "
        "NAME=DIR names it in the table",
    )
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
        choices=("median", "ground", "fixed", "none"),
        help="how predictions become metres: median of each image's ground truth; ground: camera "
        "height over the estimated ground (reported beside median); fixed: the checkpoint's stored "
        "factor; none: times --scale_factor. By default as in the config",
    )
    add("--scale_factor", type=float, help="for --scaling none (5.4 in the stereo protocol)")
    add("--camera_height", type=float, help="metres over the road, for --scaling ground")
    add("--crop", help="none, garg or nyu; by default the data set's, or else as in the config")
    add("--min_depth", type=float, help="metres; ground truth must exceed it; default as --crop")
    add("--max_depth", type=float, help="metres; the cap; default as --crop")
    add("--batch_size", type=int, help="images a step, over all devices")
    add("--confidence", type=float, default=0.95, help="of the bootstrap intervals; 0: none")
    add("--row-prior", action="store_true", help="add the constant-per-row prior")
    add("--pictures", type=int, default=4, help="images on the contact sheets")
    add(
        "--store_scale",
        action="store_true",
        help="measure the median of truth / prediction on --split (validation, say) and store it "
        "in the checkpoint, for --scaling fixed",
    )
    add("--output", help="folder for tables, plot and pictures")
    return parser


def load_named(text: str) -> "tuple[str, Model]":
    """`DIR` or `NAME=DIR` -> (DIR, its model, so named)."""
    from radepth_jax.runs.saved_model import load_model

    name, equals, folder = text.strip().partition("=")
    if not equals or Path(text).exists():
        name, folder = "", text.strip()
    model = load_model(folder)
    return folder, dataclasses.replace(model, name=name) if name else model


def dataset_of(models: "list[Model]", options: argparse.Namespace) -> tuple[str, str]:
    """(name, data_dir): given, or what the models were trained on.

    Raises:
        UserError: if they were trained on different ones and none is given.
    """
    names = {model.config.data.name for model in models}
    if not options.dataset and len(names) > 1:
        raise UserError(
            f"--dataset: the checkpoints were trained on {', '.join(sorted(names))}; name the one "
            "to evaluate on"
        )
    data = models[0].config.data
    return options.dataset or data.name, options.data_dir or data.data_dir


def protocol_from(
    model: "Model", of_dataset: dict[str, Any], options: argparse.Namespace
) -> "Protocol":
    """The options, then what the field fixes for the data set, then the first model's config.

    Raises:
        UserError: for options that do not go together.
    """
    from radepth_jax.runs.protocol import protocol_of

    if not 0 <= options.confidence < 1:
        raise UserError(f"--confidence: expected a share such as 0.95, got {options.confidence}")
    if (options.batch_size or 1) < 1:
        raise UserError(f"--batch_size: expected 1 or more, got {options.batch_size}")
    given = {
        name: getattr(options, name)
        for name in ("scaling", "camera_height", "crop", "min_depth", "max_depth")
        if getattr(options, name) is not None
    }
    protocol = dataclasses.replace(protocol_of(model.config), **(of_dataset | given))
    if options.scale_factor is not None and protocol.scaling != "none":
        raise UserError(
            f"--scale_factor goes with --scaling none; here it is --scaling {protocol.scaling}"
        )
    return protocol


def resolutions_from(
    models: "list[tuple[str, Model]]", text: str | None
) -> "list[Resolution | None]":
    """The resolutions to evaluate at, checked for every model; None stands for "native"."""
    from radepth_jax.models.depth import check_resolution
    from radepth_jax.runs.config import parse_resolution

    text = text or "{}x{}".format(*models[0][1].config.views.resolution)
    resolutions = [
        None if part.strip() == "native" else parse_resolution("--resolutions", part)
        for part in dict.fromkeys(text.split(","))
    ]
    for _, model in models:
        for resolution in resolutions:
            if resolution:
                check_resolution(resolution, model.networks.depth.stride)
    return resolutions


def factor_of(
    checkpoint: str, model: "Model", protocol: "Protocol", options: argparse.Namespace
) -> float:
    """Metres per unit of predicted depth, for the scalings `fixed` and `none`.

    Raises:
        UserError: with the command that measures it, if `fixed` has none.
    """
    if protocol.scaling == "fixed":
        if model.metric_scale is None:
            raise UserError(
                f"{checkpoint}: no metric scale is stored in this checkpoint; measure one with "
                f"'radepth evaluate --checkpoint {checkpoint} --store_scale --split validation'"
            )
        return model.metric_scale
    if options.scale_factor is not None:
        return options.scale_factor
    return model.config.evaluate.scale_factor


def measure(
    model: "Model",
    source: "EvaluationSource",
    resolutions: "list[Resolution | None]",
    protocol: "Protocol",
    options: argparse.Namespace,
    **others: Any,
) -> "list[Row]":
    """A model's rows; `others` go to `evaluate` as they are."""
    from radepth_jax.evaluate.evaluator import evaluate

    batch_size = options.batch_size or model.config.evaluate.batch_size
    return evaluate(
        model,
        source,
        resolutions,
        protocol=protocol,
        flip=options.flip,
        batch_size=batch_size,
        **others,
    )


def store_scales(
    models: "list[tuple[str, Model]]",
    source: "EvaluationSource",
    protocol: "Protocol",
    resolutions: "list[Resolution | None]",
    options: argparse.Namespace,
) -> None:
    """Measure each model's metric scale and store it in its checkpoint."""
    from radepth_jax.runs.saved_model import store_metric_scale

    if len(resolutions) > 1:
        raise UserError("--store_scale: expected one of --resolutions, the one to measure at")
    for checkpoint, model in models:
        (row,) = measure(model, source, resolutions, protocol, options)
        path = store_metric_scale(checkpoint, model.step, row.scale)
        print(
            f"{model.name}: {row.scale:.4g} metres per unit of predicted depth at "
            f"{row.resolution} ({row.images} images of {options.split}, spread "
            f"{row.scale_spread:.1%}); stored in {path}"
        )


def write_sheets(
    source: "EvaluationSource",
    show: list[int],
    rows: "list[Row]",
    protocol: "Protocol",
    folder: Path,
) -> list[Path]:
    """Write `depth.png` and, where there is ground truth, `errors.png`; returns their paths."""
    from PIL import Image

    from radepth_jax.evaluate.sheets import depth_sheet, error_sheet

    if not show:
        return []
    samples = [source[i] for i in show]
    paths = [folder / "depth.png"]
    Image.fromarray(depth_sheet(samples, show, rows)).save(paths[0])
    if any(sample["depth"].any() for sample in samples):
        paths.append(folder / "errors.png")
        Image.fromarray(error_sheet(samples, show, rows, protocol)).save(paths[1])
    return paths
