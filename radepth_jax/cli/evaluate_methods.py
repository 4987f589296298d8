"""From what `radepth evaluate` was told to the methods that it evaluates."""

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

from radepth_jax.cli.named_path import split_name, split_names
from radepth_jax.errors import UserError

if TYPE_CHECKING:
    from radepth_jax.data import EvaluationSource
    from radepth_jax.evaluation.method import Method
    from radepth_jax.inference.disparity import Resolution
    from radepth_jax.runs.protocol import Protocol
    from radepth_jax.runs.saved_model import Model


def load_models(options: argparse.Namespace) -> "list[tuple[str, Model]]":
    """(folder, its model) of each --checkpoint, named as it says."""
    from radepth_jax.runs.saved_model import load_model

    models = []
    for text in options.checkpoint or []:
        for name, folder in split_names(text):
            model = load_model(folder, allow_plugins=options.allow_plugins)
            models.append((folder, dataclasses.replace(model, name=name) if name else model))
    return models


def methods_of(
    models: "list[tuple[str, Model]]",
    source: "EvaluationSource",
    protocol: "Protocol",
    resolutions: "list[Resolution | None]",
    options: argparse.Namespace,
) -> "list[Method]":
    """All that the table has, in its order: checkpoints, depth maps, ONNX files, the prior.

    Raises:
        UserError: for what cannot be evaluated, before anything is.
    """
    from radepth_jax.evaluation.predictions import folder_method
    from radepth_jax.evaluation.priors import constant_method, row_prior

    methods = network_methods(models, protocol, resolutions, options)
    for text in options.predictions:
        name, folder = split_name(text)
        methods.append(
            folder_method(
                folder,
                source,
                protocol=protocol,
                kind=options.predictions_are,
                factor=given_factor(options),
                png_levels=options.png_levels,
                model=name or Path(folder).name,
            )
        )
    methods += [onnx_method_of(text, protocol, resolutions, options) for text in options.onnx]
    if options.row_prior:
        from radepth_jax.data import EvaluationSource

        train = EvaluationSource(source.dataset, models[0][1].config.data.train_split)
        prior = row_prior(train, protocol)
        methods.append(constant_method(prior, protocol=protocol, model="row prior"))
    return methods


def network_methods(
    models: "list[tuple[str, Model]]",
    protocol: "Protocol",
    resolutions: "list[Resolution | None]",
    options: argparse.Namespace,
) -> "list[Method]":
    """The checkpoints."""
    from radepth_jax.evaluation.evaluator import network_method

    return [
        network_method(
            model,
            resolutions,
            protocol=protocol,
            factor=factor_of(checkpoint, model, protocol, options),
            flip=options.flip,
            batch_size=options.batch_size or model.config.evaluate.batch_size,
        )
        for checkpoint, model in models
    ]


def onnx_method_of(
    text: str,
    protocol: "Protocol",
    resolutions: "list[Resolution | None]",
    options: argparse.Namespace,
) -> "Method":
    """`FILE` or `NAME=FILE`; without --resolutions at the size that the file fixes, if it does."""
    from radepth_jax.evaluation.onnx_network import load_onnx, onnx_method

    if options.flip:
        raise UserError("--onnx: cannot be combined with --flip")
    name, path = split_name(text)
    network = load_onnx(path, kind=options.onnx_gives, normalise=options.onnx_normalise)
    height, width = network.sides
    if not options.resolutions and height and width:
        resolutions = [(width, height)]
    return onnx_method(
        network,
        resolutions,
        protocol=protocol,
        factor=given_factor(options),
        model=name or Path(path).stem,
    )


def given_factor(options: argparse.Namespace) -> float:
    """--scale_factor; 1 without it."""
    return 1.0 if options.scale_factor is None else options.scale_factor


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
