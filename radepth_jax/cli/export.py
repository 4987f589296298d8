"""`radepth export --checkpoint DIR --format stablehlo|onnx --resolution WxH --output FILE`."""

from radepth_jax.cli.parser import Parser, add_allow_plugins
from radepth_jax.errors import UserError


def main(argv: list[str]) -> None:
    """Write the depth network of a checkpoint as one file for deployment."""
    parser = Parser("radepth export", description=__doc__)
    parser.add_argument("--checkpoint", required=True, help="the --workdir of a training run")
    parser.add_argument("--format", required=True, choices=("stablehlo", "onnx"))
    parser.add_argument(
        "--resolution",
        help="WxH of the images, or `any`: one file for all; by default the training resolution",
    )
    parser.add_argument("--output", required=True, help="the file")
    parser.add_argument("--depth", action="store_true", help="give depth besides disparity")
    parser.add_argument("--half", action="store_true", help="onnx: compute in float16")
    parser.add_argument(
        "--platforms", default="cpu,cuda,tpu", help="stablehlo: what to lower for, by commas"
    )
    add_allow_plugins(parser)
    options = parser.parse_args(argv)

    from radepth_jax.interop.onnx_file import export_onnx
    from radepth_jax.interop.stablehlo import export_stablehlo
    from radepth_jax.runs.config import parse_resolution
    from radepth_jax.runs.saved_model import load_model

    model = load_model(options.checkpoint, allow_plugins=options.allow_plugins)
    resolution: tuple[int, int] | None = tuple(model.config.views.resolution)
    if options.resolution:
        given = options.resolution
        resolution = None if given == "any" else parse_resolution("--resolution", given)
    if options.half and options.format != "onnx":
        raise UserError("--half: is for --format onnx")
    if options.format == "onnx":
        export_onnx(model, resolution, options.output, with_depth=options.depth, half=options.half)
    else:
        platforms = options.platforms.split(",")
        export_stablehlo(
            model, resolution, options.output, with_depth=options.depth, platforms=platforms
        )
    unit = "depth in metres" if model.metric_scale else "depth in the network's own unit"
    outputs = f"disparity and {unit}" if options.depth else "disparity"
    stride = model.networks.depth.stride
    size = "{}x{}".format(*resolution) if resolution else f"any multiple of {stride}"
    print(f"{options.output}: {size} images to {outputs}")
