"""ImageNet weights for both encoders, from a safetensors file or the Hugging Face hub.

The published results start from ImageNet classifiers. timm names their weights as the authors of
HRNet and ResNet did, so the PyTorch keys of `torch_keys` serve here too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.errors
import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from radepth_jax.errors import UserError
from radepth_jax.interop.torch_keys import Entry, depth_entries, pose_entries
from radepth_jax.models import Variables

# What a classifier has after its features; none of it is in our encoders.
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.", "fc.")


def load_imagenet(
    variables: Variables,
    config: Mapping[str, Any],
    *,
    depth_encoder: str = "",
    pose_encoder: str = "",
) -> Variables:
    """Replace encoder weights and BatchNorm statistics by those of ImageNet classifiers.

    Args:
        variables: as from `init_variables`.
        config: the `config.model` they belong to.
        depth_encoder: an HRNet: a path to a .safetensors file, or `hf:` and the name of a
            repository on the Hugging Face hub that has a `model.safetensors`, such as
            `hf:timm/hrnet_w18.ms_in1k`. Empty leaves the encoder as it is.
        pose_encoder: a ResNet-18, given likewise, such as `hf:timm/resnet18.tv_in1k`. The three
            input channels of its first convolution are repeated for the second frame and halved.

    Returns:
        New variables; the decoders are the given ones.

    Raises:
        UserError: a file cannot be found, fetched or read, or does not fit the encoder.
    """
    for source, entries in ((depth_encoder, depth_entries), (pose_encoder, pose_entries)):
        if source:
            wanted = [entry for entry in entries(config) if "encoder" in entry.part]
            variables = _replace(variables, wanted, _read(source), source)
    return variables


def _replace(
    variables: Variables, wanted: list[Entry], weights: dict[str, np.ndarray], source: str
) -> Variables:
    """`variables` with the leaves of `wanted` from `weights`."""
    values = {}
    problems = []
    for entry in wanted:
        key = entry.key.removeprefix("encoder.")
        value = weights.get(key)
        if value is None:
            problems.append(f"missing {key}")
            continue
        if value.ndim == 4:
            if entry.part == "pose_encoder" and key == "conv1.weight":
                # Two equal frames then excite the first layer as one image did.
                value = np.concatenate([value, value], axis=1) / 2
            if value.shape == entry.shape:
                values[entry.path] = value.transpose(2, 3, 1, 0)
        elif value.shape == entry.shape:
            values[entry.path] = value
        if entry.path not in values:
            problems.append(f"{key} has shape {value.shape}, expected {entry.shape}")
    known = {entry.key.removeprefix("encoder.") for entry in wanted}
    for key in weights:
        unused = key.startswith(_CLASSIFIER) or key.endswith(".num_batches_tracked")
        if key not in known and not unused:
            problems.append(f"unknown {key}")
    if problems:
        raise UserError(f"{source} does not fit the {wanted[0].part}: {'; '.join(problems)}")

    def replace(path, leaf):
        value = values.get(tuple(part.key for part in path))
        return leaf if value is None else np.ascontiguousarray(value, np.float32)

    return jax.tree_util.tree_map_with_path(replace, variables)


def _read(source: str) -> dict[str, np.ndarray]:
    """Key -> array, from a file or from the hub."""
    if source.startswith("hf:"):
        path = _download(source)
    else:
        path = Path(source)
        if not path.is_file():
            raise UserError(
                f"no ImageNet weights at {source}: give a .safetensors file, or a repository as "
                "hf:timm/hrnet_w18.ms_in1k"
            )
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{source} is not a readable safetensors file: {error}") from error


def _download(source: str) -> Path:
    repository = source.removeprefix("hf:")
    try:
        return Path(huggingface_hub.hf_hub_download(repository, "model.safetensors"))
    except huggingface_hub.errors.HFValidationError as error:
        raise UserError(f"{source} names no repository: expected hf:owner/name") from error
    except (
        huggingface_hub.errors.RepositoryNotFoundError,
        huggingface_hub.errors.RemoteEntryNotFoundError,
    ) as error:
        raise UserError(
            f"{source}: the hub has no such repository, or it has no model.safetensors"
        ) from error
    except (huggingface_hub.errors.HfHubHTTPError, OSError) as error:
        reason = str(error).strip().splitlines()
        raise UserError(
            f"{source} could not be downloaded ({reason[0] if reason else type(error).__name__}); "
            "without a network, give the path of a downloaded model.safetensors instead"
        ) from error
