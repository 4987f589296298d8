"""ResNet weights that were published with BatchNorm folded into the convolutions.

Such a file has torchvision's names, a bias beside each convolution, and no norms. In evaluation
mode, a norm with mean 0, variance 1 - epsilon, scale 1 and the folded bias gives the same network.
"""

from collections.abc import Mapping

import numpy as np

from radepth_jax.interop.torch_keys import Entry
from radepth_jax.interop.torch_layouts import Path
from radepth_jax.models.norm import BatchNorm
from radepth_jax.models.resnet import DEVIATION, MEAN

# The mean and deviation by which ImageNet classifiers normalise RGB in [0, 1], [3, 1, 1] for OIHW.
_IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])[:, None, None]
_IMAGENET_DEVIATION = np.array([0.229, 0.224, 0.225])[:, None, None]


def is_folded(weights: Mapping[str, np.ndarray], wanted: list[Entry]) -> bool:
    """Whether a file has biases of convolutions and nothing of the norms.

    Args:
        weights: maps PyTorch keys to arrays.
        wanted: the leaves of the encoder that the file is for, without the prefix `encoder.`.
    """
    if any(entry.key in weights for entry in wanted if entry.path[-2] == "bn"):
        return False
    return any(key in weights for key in _biases(wanted).values())


def without_norms(wanted: list[Entry]) -> tuple[list[Entry], dict[Path, np.ndarray]]:
    """Where an encoder's leaves are in a folded file, and the values of those that it lacks.

    Args:
        wanted: see `is_folded`.

    Returns:
        First the convolutions, and the biases of the norms under the keys of the convolutions'
        biases. Second, a map from paths to values of the norms' scales, means and variances.
    """
    biases = _biases(wanted)
    constants = {"scale": 1.0, "mean": 0.0, "var": 1.0 - BatchNorm.epsilon}
    listed, fixed = [], {}
    for entry in wanted:
        *layer, kind = entry.path
        if layer[-1] != "bn":
            listed.append(entry)
        elif kind == "bias":
            listed.append(entry._replace(key=biases[entry.path]))
        else:
            fixed[entry.path] = np.full(entry.shape, constants[kind], np.float32)
    return listed, fixed


def for_our_input(weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """A folded file's weights for images that were normalised as our ResNet does.

    Its first convolution expects (x - mean) / deviation with a mean and a deviation of each
    channel; ours gets the same two numbers for all. The ratio of the deviations goes into the
    weights and is exact. The difference of the means goes into the bias, which is exact only where
    the kernel does not reach over the border: there, zero stands for another colour than before.

    Args:
        weights: maps PyTorch keys to arrays. `conv1.weight` [O, 3, 7, 7] and `conv1.bias` [O] are
            used. If they have other shapes, nothing is changed.
    """
    kernel, bias = weights.get("conv1.weight"), weights.get("conv1.bias")
    if kernel is None or bias is None or kernel.shape[1:2] != (3,) or kernel.ndim != 4:
        return dict(weights)
    if bias.shape != kernel.shape[:1]:
        return dict(weights)
    precise = kernel.astype(np.float64)
    shift = (precise * ((MEAN - _IMAGENET_MEAN) / _IMAGENET_DEVIATION)).sum(axis=(1, 2, 3))
    scaled = precise * (DEVIATION / _IMAGENET_DEVIATION)
    return dict(weights) | {"conv1.weight": scaled, "conv1.bias": bias + shift}


def _biases(wanted: list[Entry]) -> dict[Path, str]:
    """Maps each norm's bias (its path) to its convolution's bias (the key in a folded file)."""
    return {
        (*entry.path[:-2], "bn", "bias"): entry.key.removesuffix("weight") + "bias"
        for entry in wanted
        if entry.path[-2:] == ("conv", "kernel")
    }
