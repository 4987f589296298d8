"""The depth network as one function of images. This is what exports hold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import radepth_jax
from radepth_jax.errors import UserError, writing_to
from radepth_jax.files import atomic_write
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.models.depth import check_resolution
from radepth_jax.models.fold import fold_norms
from radepth_jax.platforms import PLAIN
from radepth_jax.runs.saved_model import Model

Outputs = dict[str, jax.Array]


def depth_function(
    model: Model, resolution: tuple[int, int] | None, *, with_depth: bool = False
) -> tuple[Callable[[jax.Array], Outputs], dict[str, Any]]:
    """The function, and what a user of the exported file needs to know about it.

    Args:
        model: what `load_model` returned.
        resolution: (width, height) of the images. None leaves it open.
        with_depth: whether the depth is returned besides the disparity.

    Returns:
        (function, metadata). The function takes images, float32 [N, height, width, 3], RGB in
        [0, 1]. It returns `"disparity"`, float32 [N, height, width, 1] in (0, 1), and with
        `with_depth` also `"depth"` of the same shape. The depth is in metres if the checkpoint has
        a metric scale, and otherwise in the network's own unit. JSON can hold the metadata.

    Raises:
        UserError: The resolution does not fit the network.
    """
    stride = model.networks.depth.stride
    if resolution is not None:
        check_resolution(resolution, stride)
    low, high = model.depth_range
    scale = model.metric_scale
    network, variables = fold_norms(
        model.networks.depth.with_policy(ops=PLAIN), model.variables["depth"]
    )
    # The weights become constants of the exported program.
    variables = jax.tree.map(jnp.asarray, variables)

    def depth_of(images: jax.Array) -> Outputs:
        disparity = network.apply(variables, images, train=False)[0]
        outputs = {"disparity": disparity.astype(jnp.float32)}
        if with_depth:
            depth = depth_from_disparity(outputs["disparity"], min_depth=low, max_depth=high)
            outputs["depth"] = depth if scale is None else scale * depth
        return outputs

    metadata = {
        "producer": f"radepth-jax {radepth_jax.__version__}",
        "model": model.name,
        "step": model.step,
        "resolution": "{}x{}".format(*resolution) if resolution else "any",
        "stride": stride,
        "input": "images: float32 [N, height, width, 3], RGB in [0, 1]",
        "outputs": ["disparity", "depth"] if with_depth else ["disparity"],
        "min_depth": low,
        "max_depth": high,
        "metres_per_unit": scale,
        "depth_unit": "the network's own" if scale is None else "metres",
    }
    return depth_of, metadata


def write_whole(path: str | Path, content: bytes) -> None:
    """Write a file completely or not at all. Its folder is made if it is not there.

    Raises:
        UserError: The file cannot be written.
    """
    path = Path(path)
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name a file")
    with writing_to(path), atomic_write(path) as part:
        part.write_bytes(content)
