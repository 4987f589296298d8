"""ImageNet weights for both encoders, from a file or the Hugging Face hub.

The published results start from ImageNet classifiers. timm names their weights as the authors of
HRNet and ResNet did, so the PyTorch keys of `torch_keys` serve here too. Files of ResNets may have
BatchNorm folded into the convolutions (`folded`).
"""

import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.errors
import jax
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from radepth_jax.errors import UserError
from radepth_jax.interop.folded import for_our_input, is_folded, without_norms
from radepth_jax.interop.torch_keys import Entry, encoder_entries
from radepth_jax.interop.torch_layouts import Path as LeafPath
from radepth_jax.models import Variables, build
from radepth_jax.models.recalibrate import recalibrate

# The layers of a classifier after its features. Our encoders do not have them.
_CLASSIFIER = ("incre_modules.", "downsamp_modules.", "final_layer.", "classifier.", "fc.")
_UNREADABLE = (SafetensorError, OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error)
_COUNTER = ".num_batches_tracked"
# A ResNet of three stages does not have this one.
_FOURTH_STAGE = "layer4."


def published_source(config: Mapping[str, Any], network: str) -> str | None:
    """The source of an encoder's ImageNet weights in the published results.

    Args:
        config: `config.model`.
        network: "depth" or "pose", the network of the encoder.

    Returns:
        A source for `load_imagenet`. None if no published weights are known for the encoder's name.
    """
    if network == "pose":
        return "hf:timm/resnet18.tv_in1k" if config["pose"]["name"] == "resnet18" else None
    encoder = config["depth"]["encoder"]
    if encoder["name"] == "hrnet":
        return "hf:timm/hrnet_w18.ms_in1k"
    if encoder["name"] == "resnet":
        return f"hf:timm/resnet{encoder['layers']}.tv_in1k"
    return None


def load_imagenet(
    variables: Variables,
    config: Mapping[str, Any],
    *,
    depth_encoder: str = "",
    pose_encoder: str = "",
    images: Callable[[], Mapping[str, jax.Array]] | None = None,
) -> Variables:
    """Replace the encoders' weights and BatchNorm statistics by those of ImageNet classifiers.

    Args:
        variables: variables as from `init_variables`.
        config: the `config.model` that they belong to.
        depth_encoder: the source of an HRNet or a ResNet. It is a path to a .safetensors or .npz
            file, or `hf:` and the name of a repository on the Hugging Face hub that has a
            `model.safetensors`, such as `hf:timm/hrnet_w18.ms_in1k`. Empty leaves the encoder as it
            is. A ResNet of three stages does not use the fourth stage's weights, which may be
            absent.
        pose_encoder: the source of a ResNet-18, such as `hf:timm/resnet18.tv_in1k`. The three
            input channels of its first convolution are repeated for the second frame and halved.
        images: gives each network's inputs for `recalibrate`, "depth" [N, H, W, 3] and "pose"
            [N, H, W, 6] in [0, 1]. It is called if a file turns out to be folded. With None, the
            norms of such a file stay, and training cannot use them.

    Returns:
        New variables. The decoders are the given ones.

    Raises:
        UserError: A file cannot be found, fetched or read, or does not fit the encoder, or no such
            file fits the encoder.
    """
    inputs: Mapping[str, jax.Array] = {}
    for name, source in (("depth", depth_encoder), ("pose", pose_encoder)):
        if not source:
            continue
        try:
            entries = encoder_entries(config, name)
        except UserError as error:
            raise UserError(
                f"config.pretrained.{name}_encoder is {source}, but config.{error}; set "
                f'config.pretrained.{name}_encoder to "" to start from random weights'
            ) from None
        wanted = [entry._replace(key=entry.key.removeprefix("encoder.")) for entry in entries]
        weights = _read(source)
        fixed: dict[tuple[str, ...], np.ndarray] = {}
        folded = _is_resnet(wanted) and is_folded(weights, wanted)
        if folded:
            wanted, fixed = without_norms(wanted)
            weights = for_our_input(weights)
        variables = _replace(variables, wanted, weights, fixed, source)
        if folded and images:
            inputs = inputs or images()
            network = getattr(build({**config, "dtype": "float32"}), name)
            variables = variables | {name: recalibrate(network, variables[name], inputs[name])}
    return variables


def _is_resnet(wanted: list[Entry]) -> bool:
    return any(entry.key.startswith("layer2.") for entry in wanted)


def _replace(
    variables: Variables,
    wanted: list[Entry],
    weights: Mapping[str, np.ndarray],
    fixed: Mapping[LeafPath, np.ndarray],
    source: str,
) -> Variables:
    """`variables` with the leaves of `wanted` from `weights`, and with those of `fixed`."""
    values = dict(fixed)
    problems = []
    for entry in wanted:
        value = weights.get(entry.key)
        if value is None:
            problems.append(f"missing {entry.key}")
            continue
        if value.ndim == 4:
            if entry.part == "pose_encoder" and entry.key == "conv1.weight":
                # Two equal frames then excite the first layer as much as one image did.
                value = np.concatenate([value, value], axis=1) / 2
            if value.shape == entry.shape:
                values[entry.path] = value.transpose(2, 3, 1, 0)
        elif value.shape == entry.shape:
            values[entry.path] = value
        if entry.path not in values:
            problems.append(f"{entry.key} has shape {value.shape}, expected {entry.shape}")
    known = {entry.key for entry in wanted}
    unused: tuple[str, ...] = _CLASSIFIER
    if _is_resnet(wanted) and not any(key.startswith(_FOURTH_STAGE) for key in known):
        unused += (_FOURTH_STAGE,)
    for key in weights:
        if key not in known and not key.startswith(unused) and not key.endswith(_COUNTER):
            problems.append(f"unknown {key}")
    if problems and all(problem.startswith(f"missing {_FOURTH_STAGE}") for problem in problems):
        field = "depth.encoder" if wanted[0].part == "encoder" else "pose"
        problems.append(f"config.model.{field}.stages=3 does without layer4")
    if problems:
        raise UserError(f"{source} does not fit the {wanted[0].part}: {'; '.join(problems)}")

    def replace(path, leaf):
        value = values.get(tuple(part.key for part in path))
        return leaf if value is None else np.ascontiguousarray(value, np.float32)

    return jax.tree_util.tree_map_with_path(replace, variables)


def _read(source: str) -> dict[str, np.ndarray]:
    """The arrays by key, from a file or from the hub."""
    if source.startswith("hf:"):
        path = _download(source)
    else:
        path = Path(source)
        if not path.is_file():
            raise UserError(
                f"no ImageNet weights at {source}: give a .safetensors or .npz file, or a "
                "repository as hf:timm/hrnet_w18.ms_in1k"
            )
    try:
        return _read_npz(path) if path.suffix == ".npz" else load_file(path)
    except _UNREADABLE as error:
        kind = ".npz" if path.suffix == ".npz" else "safetensors"
        raise UserError(f"{source} is not a readable {kind} file: {error}") from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    # NumPy would leave a damaged archive open if it opened the file itself.
    with path.open("rb") as file:
        archive = np.load(file)
        if isinstance(archive, np.ndarray):
            raise ValueError("it holds a single array without a name")
        return dict(archive)


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
