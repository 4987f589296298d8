"""Yardsticks without a network: depth maps that are the same for every image."""

import numpy as np

from radepth_jax.data import EvaluationSource
from radepth_jax.errors import UserError
from radepth_jax.evaluation.method import NOT_TIMED, Method, Step, one_by_one
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


def constant_method(depth: np.ndarray, *, protocol: Protocol, model: str) -> Method:
    """One depth map, which is the same for every image.

    Args:
        depth: float32 [H, W] in metres, of the size of the source's canvas.
        protocol: how predictions are compared with the ground truth.
        model: the name in the table.
    """
    scalings = protocol.scalings[:1]
    run = one_by_one(lambda *_: (depth, NOT_TIMED), protocol=protocol, scalings=scalings)
    return Method(model, scalings, lambda: [Step("native", run)], pictured=False)
