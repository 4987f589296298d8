"""Networks for prediction alone: BatchNorm folded into the convolutions before it.

In evaluation mode a norm is a factor and an addition for each channel, with fixed numbers. The
factor goes into the convolution's kernel, and a bias is left. So a GPU's library computes the
convolution, the bias and the ReLU in one kernel, and an exported file is smaller.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from radepth_jax.models.depth import DepthNetwork
from radepth_jax.models.hrnet import HRNet
from radepth_jax.models.norm import BatchNorm
from radepth_jax.models.resnet import ResNet

# In these modules each norm, `bn`, directly follows the convolution `conv` of the same block.
_FOLDABLE = (HRNet, ResNet)


def fold_norms(
    network: DepthNetwork, variables: Mapping[str, Any]
) -> tuple[DepthNetwork, dict[str, Any]]:
    """The same function of images with an encoder without norms. It cannot be trained.

    Only HRNet and ResNet are folded. It is not known which norms other modules have, and where, so
    encoders and decoders from outside the package keep theirs.

    Args:
        network: from `models.build`.
        variables: its {"params", "batch_stats"}, float32.

    Returns:
        The network that takes the new variables, and the new variables, float32: {"params"}, and
        {"batch_stats"} if some norms stay. The disparities differ by rounding.
    """
    encoder = network.encoder
    if type(encoder) not in _FOLDABLE:
        return network, dict(variables)
    params = flatten_dict(jax.device_get(variables["params"]))
    stats = flatten_dict(jax.device_get(variables["batch_stats"]))
    for part, *layer, kind in list(stats):
        if part != "encoder" or kind != "mean":
            continue
        norm = (part, *layer)
        mean, var = (np.float64(stats.pop((*norm, leaf))) for leaf in ("mean", "var"))
        gain = np.float64(params.pop((*norm, "scale"))) / np.sqrt(var + BatchNorm.epsilon)
        bias, kernel = (*norm, "bias"), (*norm[:-1], "conv", "kernel")
        params[bias] = np.float32(params[bias] - mean * gain)
        params[kernel] = np.float32(params[kernel] * gain)
    policy = dataclasses.replace(encoder.policy, folded=True)
    values = {"params": unflatten_dict(params)}
    if stats:
        values["batch_stats"] = unflatten_dict(stats)
    return network.clone(encoder=encoder.clone(policy=policy)), values
