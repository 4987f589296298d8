"""`radepth push --checkpoint RUN --to OWNER/NAME`: give a network away on the Hugging Face hub.

It writes `model.safetensors`, `config.json` and a model card, `README.md`. Every command then takes
the network as `--checkpoint hf:OWNER/NAME`, or `hf:OWNER/NAME@REVISION`.
"""

import argparse
from pathlib import Path

from radepth_jax.cli.parser import Parser, add_allow_plugins


def main(argv: list[str]) -> None:
    """Write a checkpoint's network and its card where `--to` says."""
    parser = Parser(
        "radepth push", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--checkpoint", required=True, help="the --workdir of a training run")
    parser.add_argument(
        "--to", required=True, help="OWNER/NAME on the hub, or a folder, such as ./NAME"
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="the --output of `radepth evaluate`, for the card; by default the run's own folder",
    )
    parser.add_argument("--license", help="the hub's identifier of one, such as apache-2.0")
    parser.add_argument("--private", action="store_true", help="for the owner alone")
    add_allow_plugins(parser)
    options = parser.parse_args(argv)

    from radepth_jax.runs.hub import push
    from radepth_jax.runs.packed_model import PackedModel
    from radepth_jax.runs.saved_model import load_model

    model = load_model(options.checkpoint, allow_plugins=options.allow_plugins)
    address = push(
        PackedModel(model.variables, model.config, model.step, model.metric_scale),
        options.to,
        results=options.results or Path(options.checkpoint),
        license=options.license,
        private=options.private,
    )
    print(f"{model.name}, step {model.step}: {address}")
