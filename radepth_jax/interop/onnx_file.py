"""The depth network as an ONNX file, written by jax2onnx (the extra `onnx`)."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax

from radepth_jax.errors import UserError
from radepth_jax.interop.depth_function import depth_function, write_whole
from radepth_jax.interop.onnx_sizes import PREFIX, open_sizes
from radepth_jax.runs.saved_model import Model

INSTALL = "pip install 'radepth-jax[onnx]'"

# Every operator that is used has its final form in this version, which most runtimes know.
OPSET = 18


def export_onnx(
    model: Model,
    resolution: tuple[int, int] | None,
    path: str | Path,
    *,
    with_depth: bool = False,
    half: bool = False,
) -> None:
    """Write the depth network as an ONNX graph with its weights. Nothing is compiled.

    The input is `images`, float32 [batch, height, width, 3] in [0, 1], with any batch size. The
    outputs are those of `depth_function`, and its metadata become the properties of the model.

    Args:
        model: what `load_model` returned.
        resolution: (width, height) of the images. None leaves it open: the sides may then be any
            multiples of the network's stride that are at least twice as large.
        path: the file.
        with_depth: see `depth_function`.
        half: whether the weights, and everything between input and output, are float16.

    Raises:
        UserError: The resolution does not fit the network, the file cannot be written, or
            jax2onnx is missing or too old for this version of JAX.
    """
    function, metadata = depth_function(model, resolution, with_depth=with_depth)
    names = metadata["outputs"]

    def outputs(images: jax.Array) -> tuple[jax.Array, ...]:
        values = function(images)
        return tuple(values[name] for name in names)

    with _quiet(), jax.numpy_rank_promotion("allow"):  # jax2onnx needs it
        try:
            import jax2onnx
            import onnx
        except ImportError as error:
            raise UserError(f"{path}: writing ONNX needs jax2onnx: {INSTALL}") from error

        def graph_for(size: tuple[int, int]) -> Any:
            try:
                return jax2onnx.to_onnx(
                    outputs,
                    [("batch", size[1], size[0], 3)],
                    model_name="radepth",
                    opset=OPSET,
                    input_names=["images"],
                    output_names=names,
                )
            except AttributeError as error:  # it reads JAX's private parts, some of which went away
                if not str(error).startswith("module 'jax"):
                    raise
                raise UserError(
                    f"{path}: the installed jax2onnx does not work with jax {jax.__version__}; run "
                    "pip install 'jax<0.12', or take --format stablehlo"
                ) from error

        if resolution is None:
            graph = open_sizes(graph_for, metadata["stride"])
        else:
            graph = graph_for(resolution)
        if half:
            from onnxruntime.transformers.float16 import convert_float_to_float16
            from onnxruntime.transformers.onnx_model import OnnxModel

            # Positions and sizes must be computed exactly.
            exact = [node.name for node in graph.graph.node if node.name.startswith(PREFIX)]
            graph = convert_float_to_float16(graph, keep_io_types=True, node_block_list=exact)
            OnnxModel(graph).topological_sort()
    onnx.helper.set_model_props(
        graph, {k: v if isinstance(v, str) else json.dumps(v) for k, v in metadata.items()}
    )
    onnx.checker.check_model(graph)
    write_whole(path, graph.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence jax2onnx's prints, and its warnings about parts that are not used here."""
    loggers = [logging.getLogger(name) for name in ("jax2onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
