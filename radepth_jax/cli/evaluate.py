"""`radepth evaluate --checkpoint DIR[,DIR...] [--dataset NAME --data_dir DIR] --resolutions ...`.

Or, for depth maps that another program wrote, `--predictions DIR --dataset NAME --data_dir DIR`;
for anyone's network, `--onnx FILE --dataset NAME --data_dir DIR --resolutions WxH,...`.

One table for all checkpoints and resolutions: printed, and written to --output as CSV, JSON, a plot
over resolution, per-image figures, depth maps and error maps; `report.html` shows all of it on one
page that needs no network.
"""

import argparse
import dataclasses
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radepth_jax.cli.evaluate_methods import load_models, methods_of, network_methods
from radepth_jax.cli.evaluate_options import make_parser
from radepth_jax.cli.evaluate_temporal import report_temporal
from radepth_jax.errors import UserError, writing_to
from radepth_jax.startup import start_program

if TYPE_CHECKING:
    from ml_collections import ConfigDict

    from radepth_jax.data import EvaluationSource
    from radepth_jax.evaluation.row import Row
    from radepth_jax.inference.disparity import Resolution
    from radepth_jax.runs.protocol import Protocol
    from radepth_jax.runs.saved_model import Model


def main(argv: list[str]) -> None:
    """Print and write the metrics table of checkpoints."""
    options = make_parser(__doc__).parse_args(argv)
    start_program()
    from radepth_jax.data import EvaluationSource, open_dataset
    from radepth_jax.evaluation import report
    from radepth_jax.evaluation.loop import evaluate_methods
    from radepth_jax.evaluation.row import over_same_images
    from radepth_jax.evaluation.sheets import choose_images
    from radepth_jax.runs.config import default_config

    models = load_models(options)
    others = options.predictions or options.onnx
    if not models and not (others and options.dataset):
        raise UserError(
            "expected --checkpoint DIR, or --predictions DIR or --onnx FILE with --dataset NAME"
        )
    if not models and (options.store_scale or options.row_prior):
        raise UserError("--store_scale and --row_prior need a --checkpoint")
    if not models and options.resolutions and not options.onnx:
        raise UserError("--resolutions needs a --checkpoint or --onnx")
    config = models[0][1].config if models else default_config()
    if options.store_scale:
        options.scaling = "median"
    dataset = open_dataset(*dataset_of([model for _, model in models], options))
    source = EvaluationSource(dataset, options.split)
    protocol = protocol_from(config, dataset.metadata.protocol, options)
    resolutions = resolutions_from(models, options)
    if options.store_scale:
        store_scales(models, source, protocol, resolutions, options)
        return
    if options.temporal:
        methods = methods_of(models, source, protocol, resolutions, options)
        report_temporal(models, methods, source, protocol, options)
        return
    show = choose_images(source, options.pictures) if options.output else []
    own_rows = evaluate_methods(
        methods_of(models, source, protocol, resolutions, options),
        source,
        show=show,
        show_worst=options.pictures if options.output and models else 0,
    )
    rows = over_same_images(own_rows)
    paths = write_files(rows, source, show, protocol, options, argv) if options.output else []
    title = f"{dataset.name}, {options.split}"
    report.print_table(rows, title, confidence=options.confidence)
    print_left_out(own_rows)
    for path in paths:
        print(path)


def write_files(
    rows: "list[Row]",
    source: "EvaluationSource",
    show: list[int],
    protocol: "Protocol",
    options: argparse.Namespace,
    argv: list[str],
) -> list[Path]:
    """Write what --output gets; returns the paths.

    Args:
        rows: of the table.
        source: the images.
        show: those of the contact sheets.
        protocol: how predictions were compared with the ground truth.
        options: of the command.
        argv: the command's own words, which the page shows.
    """
    from radepth_jax.evaluation.page import write_page
    from radepth_jax.evaluation.report import write_report
    from radepth_jax.evaluation.sheets import write_sheets

    about = {"dataset": source.dataset.name, "split": options.split, "flip": options.flip}
    about |= {
        k: v for k, v in dataclasses.asdict(protocol).items() if k not in ("scaling", "edges")
    }
    with writing_to(options.output):
        paths = list(
            write_report(rows, options.output, about=about, confidence=options.confidence or 0.95)
        )
        paths += write_sheets(source, show, rows, protocol, Path(options.output))
        page = write_page(
            rows,
            source,
            options.output,
            about=about,
            command=shlex.join(["radepth", "evaluate", *argv]),
            confidence=options.confidence,
        )
    return [*paths, page]


def print_left_out(rows: "list[Row]") -> None:
    """Say which images the table's averages are not over, and why.

    Args:
        rows: before they were restricted to the same images.
    """
    known = int((rows[0].per_image["known"] > 0).sum())
    total = len(rows[0].names)
    if known < total:
        print(
            f"no ground truth in range in {total - known} of {total} images; they are left out of "
            "every row"
        )
    for row in rows:
        if row.images < known:
            print(
                f"{row.label} at {row.resolution}: no ground plane in {known - row.images} of "
                f"{known} images; they are left out of every row"
            )


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
    if not models:
        return options.dataset, options.data_dir or "data"
    data = models[0].config.data
    return options.dataset or data.name, options.data_dir or data.data_dir


def protocol_from(
    config: "ConfigDict", of_dataset: dict[str, Any], options: argparse.Namespace
) -> "Protocol":
    """The options, then what the field fixes for the data set, then the (first model's) config.

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
        for name in ("scaling", "camera_height", "crop", "min_depth", "max_depth", "edges")
        if getattr(options, name) is not None
    }
    protocol = dataclasses.replace(protocol_of(config), **(of_dataset | given))
    for name in ("scale_factor", "camera_height"):
        value = getattr(options, name)
        if value is not None and not 0 < value < math.inf:
            raise UserError(f"--{name}: expected a positive number, got {value:g}")
    if options.scale_factor is not None and protocol.scaling != "none":
        raise UserError(
            f"--scale_factor goes with --scaling none; here it is --scaling {protocol.scaling}"
        )
    return protocol


def resolutions_from(
    models: "list[tuple[str, Model]]", options: argparse.Namespace
) -> "list[Resolution | None]":
    """The resolutions to evaluate at, checked for every model; None stands for "native"."""
    from radepth_jax.models.depth import check_resolution
    from radepth_jax.runs.config import parse_resolution

    text = options.resolutions
    if not text and models:
        text = "{}x{}".format(*models[0][1].config.views.resolution)
    resolutions = [
        None if part.strip() == "native" else parse_resolution("--resolutions", part)
        for part in dict.fromkeys((text or "native").split(","))
    ]
    for _, model in models:
        for resolution in resolutions:
            if resolution:
                check_resolution(resolution, model.networks.depth.stride)
    return resolutions


def store_scales(
    models: "list[tuple[str, Model]]",
    source: "EvaluationSource",
    protocol: "Protocol",
    resolutions: "list[Resolution | None]",
    options: argparse.Namespace,
) -> None:
    """Measure each model's metric scale and store it in its checkpoint."""
    from radepth_jax.evaluation.loop import evaluate_method
    from radepth_jax.runs.saved_model import store_metric_scale

    if len(resolutions) > 1:
        raise UserError("--store_scale: expected one of --resolutions, the one to measure at")
    methods = network_methods(models, protocol, resolutions, options)
    for (checkpoint, model), method in zip(models, methods, strict=True):
        (row,) = evaluate_method(method, source)
        path = store_metric_scale(checkpoint, model.step, row.scale)
        print(
            f"{model.name}: {row.scale:.4g} metres per unit of predicted depth at "
            f"{row.resolution} ({row.images} images of {options.split}, spread "
            f"{row.scale_spread:.1%}); stored in {path}"
        )
