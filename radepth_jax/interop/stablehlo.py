"""The depth network as StableHLO, for programs that run it without this package's model code.

A file is a zip archive with two members, `metadata.json` and `exported`. Plain JAX reads the second
one with `jax.export.deserialize`. The weights are inside, and any batch size will do.
"""

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from radepth_jax.errors import UserError, reason
from radepth_jax.interop.depth_function import Outputs, depth_function, write_whole
from radepth_jax.runs.saved_model import Model

PLATFORMS = ("cpu", "cuda", "tpu")


@dataclass(frozen=True)
class ExportedDepth:
    """What a file holds.

    Attributes:
        metadata: the metadata of `depth_function`, and `platforms`.
        call: maps images, float32 [N, height, width, 3] in [0, 1], to {"disparity": [N, height,
            width, 1], ...}. Under `jax.jit` it compiles once for each shape.
    """

    metadata: dict[str, Any]
    call: Callable[[jax.Array], Outputs]


def export_stablehlo(
    model: Model,
    resolution: tuple[int, int] | None,
    path: str | Path,
    *,
    with_depth: bool = False,
    platforms: Sequence[str] = PLATFORMS,
) -> None:
    """Lower the depth network for every platform at once, and write it. Nothing is compiled.

    Args:
        model: what `load_model` returned.
        resolution: (width, height) of the images. None leaves it open: the sides may then be any
            multiples of the network's stride that are at least twice as large.
        path: the file.
        with_depth: see `depth_function`.
        platforms: any of cpu, cuda, rocm and tpu.

    Raises:
        UserError: The resolution does not fit the network, a platform is unknown, or the file
            cannot be written.
    """
    for platform in platforms:
        if platform not in (*PLATFORMS, "rocm"):
            raise UserError(f"platform {platform!r}: expected cpu, cuda, rocm or tpu")
    function, metadata = depth_function(model, resolution, with_depth=with_depth)
    stride = metadata["stride"]
    width, height = resolution or (f"{stride}*w", f"{stride}*h")
    shape = jax.export.symbolic_shape(
        f"batch, {height}, {width}, 3", constraints=() if resolution else ("h >= 2", "w >= 2")
    )
    images = jax.ShapeDtypeStruct(shape, jnp.float32)
    exported = jax.export.export(jax.jit(function), platforms=tuple(platforms))(images)
    metadata["platforms"] = list(exported.platforms)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("metadata.json", json.dumps(metadata, indent=2) + "\n")
        archive.writestr("exported", bytes(exported.serialize()))
    write_whole(path, content.getvalue())


def load_stablehlo(path: str | Path) -> ExportedDepth:
    """Read a file that `export_stablehlo` wrote.

    Raises:
        UserError: It is not such a file, or it was written by a JAX of too different a version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            metadata = json.loads(archive.read("metadata.json"))
            exported = jax.export.deserialize(bytearray(archive.read("exported")))
    except Exception as error:  # from zip, JSON, flatbuffers or MLIR
        raise UserError(
            f"{path}: not a file of `radepth export --format stablehlo` that this JAX can read "
            f"({reason(error)})"
        ) from error
    return ExportedDepth(metadata, exported.call)
