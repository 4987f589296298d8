"""Yardsticks without a network: depth maps that are the same for every image."""

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.data import EvaluationSource
from radepth_jax.errors import UserError
from radepth_jax.evaluate.metrics import depth_metrics
from radepth_jax.evaluate.row import Row, make_row
from radepth_jax.runs.protocol import Protocol


def row_prior(train: EvaluationSource, protocol: Protocol) -> np.ndarray:
    """The best depth map that is constant along each row: each row's median over the training set.

    A network that does not look at the image can find this prior. One that looks must beat it.

    Args:
        train: images with depth, all of one size.
        protocol: says which ground truth counts.

    Returns:
        float32 [H, W] in metres. A row that never has depth gets that of the nearest row.

    Raises:
        UserError: No training image has depth.
    """
    depths = np.stack([train[i]["depth"] for i in range(len(train))])
    valid = (depths > protocol.min_depth) & (depths < protocol.max_depth)
    if not valid.any():
        raise UserError(
            "the row prior needs depth in the training split, and this one has none; leave out "
            "--row_prior, or prepare the data set with depth"
        )
    rows = np.array(
        [np.median(depths[:, y][valid[:, y]]) if valid[:, y].any() else np.nan
         for y in range(depths.shape[1])]
    )  # fmt: skip
    known = np.flatnonzero(~np.isnan(rows))
    nearest = known[np.abs(np.arange(len(rows))[:, None] - known[None]).argmin(1)]
    return np.repeat(rows[nearest, None], depths.shape[2], 1).astype(np.float32)


def evaluate_constant(
    depth: np.ndarray, source: EvaluationSource, *, protocol: Protocol, model: str
) -> Row:
    """Evaluate one depth map, which is the same for every image.

    Args:
        depth: float32 [H, W], of the size of the source's canvas.
        source: images with ground truth.
        protocol: how predictions are compared with the ground truth.
        model: the name in the table.
    """
    constant = jnp.asarray(depth)
    scaling = protocol.scalings[0]
    factor = None if scaling == "median" else 1.0  # the map is in metres already
    compare = jax.jit(lambda truth, size: depth_metrics(constant, truth, size, protocol, factor))
    names, results = [], []
    for i in range(len(source)):
        sample = source[i]
        results.append(jax.device_get(compare(sample["depth"], sample["depth_size"])))
        names.append(sample["name"])
    per_image = {k: np.stack([r[k] for r in results]) for k in results[0]}
    return make_row(model, "native", scaling, names, per_image)
