"""`radepth convert --input FOLDER --output WORKDIR`, and back with `--to torch|safetensors`."""

from pathlib import Path

from radepth_jax.cli.parser import Parser, add_allow_plugins
from radepth_jax.errors import UserError
from radepth_jax.models.presets import MODELS


def main(argv: list[str]) -> None:
    """Turn PyTorch files into a checkpoint, or a checkpoint into PyTorch files."""
    parser = Parser("radepth convert", description=__doc__)
    parser.add_argument(
        "--input", required=True, help="a folder of PyTorch files; with --to, a --workdir"
    )
    parser.add_argument(
        "--output", required=True, help="the checkpoint's --workdir; with --to, a folder"
    )
    parser.add_argument(
        "--to", choices=("torch", "safetensors"), help="write PyTorch files of this kind"
    )
    parser.add_argument(
        "--model", choices=tuple(MODELS), default="ra_depth", help="what the PyTorch files hold"
    )
    add_allow_plugins(parser)
    options = parser.parse_args(argv)

    from radepth_jax.interop.published import checkpoint_from_torch, checkpoint_to_torch
    from radepth_jax.runs.checkpoint import FOLDER

    if options.to:
        for path in checkpoint_to_torch(
            options.input,
            options.output,
            format=options.to,
            allow_plugins=options.allow_plugins,
        ):
            print(path)
        return
    if (Path(options.input) / FOLDER).is_dir():
        raise UserError(
            f"{options.input}: is a checkpoint already; to write PyTorch files of it, "
            "add --to torch or --to safetensors"
        )
    config, has_pose = checkpoint_from_torch(options.input, options.output, model=options.model)
    if not has_pose:
        print(
            f"{options.input} has no pose_encoder and no pose: "
            "the pose network is freshly initialised"
        )
    width, height = config.views.resolution
    print(f"converted to {options.output}: {options.model}, {width}x{height}, at step 0")
