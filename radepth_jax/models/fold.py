"""Networks for prediction alone: BatchNorm folded into the convolutions before it.

In evaluation mode a norm is a factor and an addition for each channel, with fixed numbers. The
factor goes into the convolution's kernel, and a bias is left. So a GPU's library computes the
convolution, the bias and the ReLU in one kernel, and an exported file is smaller.
"""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from radepth_jax.models.depth import DepthNetwork
from radepth_jax.models.norm import BatchNorm


def fold_norms(
    network: DepthNetwork, variables: Mapping[str, Any]
) -> tuple[DepthNetwork, dict[str, Any]]:
    """The same function of images, without norms; it cannot be trained.

    Args:
        network: of `models.build`.
        variables: its {"params", "batch_stats"}, float32.

    Returns:
        The network that takes the new variables, and these: {"params"}, float32. The disparities
        differ by rounding.
    """
    params = flatten_dict(jax.device_get(variables["params"]))
    stats = flatten_dict(jax.device_get(variables["batch_stats"]))
    for *norm, kind in stats:
        if kind != "mean":
            continue
        mean, var = (np.float64(stats[(*norm, leaf)]) for leaf in ("mean", "var"))
        gain = np.float64(params.pop((*norm, "scale"))) / np.sqrt(var + BatchNorm.epsilon)
        bias, kernel = (*norm, "bias"), (*norm[:-1], "conv", "kernel")
        params[bias] = np.float32(params[bias] - mean * gain)
        params[kernel] = np.float32(params[kernel] * gain)
    return network.with_policy(folded=True), {"params": unflatten_dict(params)}
