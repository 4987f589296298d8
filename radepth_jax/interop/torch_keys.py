"""Weights to and from the PyTorch state dicts of the published RA-Depth.

A checkpoint is four parts, `encoder`, `depth`, `pose_encoder` and `pose`, each a dict of key ->
NumPy array in PyTorch's layout. Values are moved, transposed and nothing else: both ways are
bit exact.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.models import Variables, build

Parts = dict[str, dict[str, np.ndarray]]

PARTS = ("encoder", "depth", "pose_encoder", "pose")

# BatchNorm's leaf -> PyTorch's name for it.
_BN_LEAVES = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}

# Entries of published checkpoints that hold no weight the network uses: the sizes it was trained
# at, and the classifier of the ResNet whose features the pose network uses.
_UNUSED = {
    "encoder": ("height", "width", "use_stereo"),
    "pose_encoder": ("encoder.fc.weight", "encoder.fc.bias"),
}


Path = tuple[str, ...]
# The layouts: path of a layer in the variables -> (part, prefix of its PyTorch keys).
Keys = dict[Path, tuple[str, str]]


class Entry(NamedTuple):
    """One leaf: its path in the variables, its PyTorch key, and its shape there (OIHW)."""

    path: Path  # ("depth", "params", "encoder", ..., "kernel")
    part: str
    key: str
    shape: tuple[int, ...]


def depth_entries(config: Mapping[str, Any]) -> list[Entry]:
    """Every leaf of the depth network that `config.model` describes, with its PyTorch key."""
    keys = {**_hrnet_keys(config["depth"]), **_decoder_keys(config["depth"])}
    return _entries("depth", keys, config, channels=3)


def pose_entries(config: Mapping[str, Any]) -> list[Entry]:
    """Every leaf of the pose network, with its PyTorch key.

    Raises:
        UserError: the configuration's pose network has no published PyTorch form.
    """
    if config["pose"]["name"] != "resnet18":
        raise UserError(
            f"model.pose.name is {config['pose']['name']!r}: PyTorch weights are laid out for "
            "'resnet18' only"
        )
    return _entries("pose", {**_resnet_keys(), **_pose_head_keys()}, config, channels=6)


def _entries(name: str, keys: Keys, config: Mapping[str, Any], *, channels: int) -> list[Entry]:
    """The leaves of network `name`, of images with `channels`, whose layers `keys` names."""
    networks = build(config)
    side = 2 * networks.depth.stride
    images = jax.ShapeDtypeStruct((1, side, side, channels), jnp.float32)
    leaves = jax.eval_shape(getattr(networks, name).init, jax.random.key(0), images)
    found = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(leaves):
        names = (name, *(step.key for step in path))
        _, _, *layer, kind = names
        part, prefix = keys[name, *layer]
        suffix = _BN_LEAVES[kind] if layer[-1] == "bn" else kind.replace("kernel", "weight")
        shape = leaf.shape
        if kind == "kernel":
            shape = (shape[3], shape[2], shape[0], shape[1])
        found.append(Entry(names, part, f"{prefix}.{suffix}", shape))
    return found


def is_unused(part: str, key: str) -> bool:
    """Whether a key of a published part holds nothing the networks use; the variables lack it."""
    return key in _UNUSED.get(part, ()) or key.endswith(".num_batches_tracked")


def variables_from_torch(
    parts: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> Variables:
    """Variables from the four parts of a PyTorch checkpoint.

    Args:
        parts: `encoder`, `depth`, `pose_encoder`, `pose`: key -> array. `num_batches_tracked`,
            the pose encoder's classifier (`encoder.fc`) and the depth encoder's plain entries
            `height`, `width`, `use_stereo` are not used and may be absent.
        config: `config.model`, such as `presets.ra_depth()`.

    Returns:
        `{"depth": {"params", "batch_stats"}, "pose": {...}}`, float32 NumPy arrays.

    Raises:
        UserError: names every key that is missing, unknown or of another shape.
    """
    expected = depth_entries(config) + pose_entries(config)
    known = {(entry.part, entry.key) for entry in expected}
    problems = [f"unknown part {part}" for part in parts if part not in PARTS]
    variables: Variables = {}
    for entry in expected:
        value = parts.get(entry.part, {}).get(entry.key)
        if value is None:
            problems.append(f"missing {entry.part}/{entry.key}")
            continue
        value = np.asarray(value)
        if value.shape != entry.shape:
            problems.append(
                f"{entry.part}/{entry.key} has shape {value.shape}, expected {entry.shape}"
            )
            continue
        if value.ndim == 4:
            value = value.transpose(2, 3, 1, 0)
        _put(variables, entry.path, np.ascontiguousarray(value, np.float32))
    for part in PARTS:
        for key in parts.get(part, {}):
            if (part, key) not in known and not is_unused(part, key):
                problems.append(f"unknown {part}/{key}")
    if problems:
        raise UserError("these PyTorch weights do not fit the model: " + "; ".join(problems))
    return variables


def torch_from_variables(variables: Variables, config: Mapping[str, Any]) -> Parts:
    """The four parts of a PyTorch checkpoint, with every key a strict load asks for.

    `num_batches_tracked` and the pose encoder's unused classifier, which the variables do not
    hold, are zero.

    Args:
        variables: as from `init_variables`.
        config: the `config.model` they belong to.

    Raises:
        UserError: names every leaf that is missing or of another shape.
    """
    parts: Parts = {part: {} for part in PARTS}
    problems = []
    for entry in depth_entries(config) + pose_entries(config):
        value = _get(variables, entry.path)
        if value is None:
            problems.append(f"missing {'/'.join(entry.path)}")
            continue
        value = np.asarray(value)
        if value.ndim == 4:
            value = value.transpose(3, 2, 0, 1)
        if value.shape != entry.shape:
            problems.append(
                f"{'/'.join(entry.path)} has shape {value.shape}, expected {entry.shape} (OIHW)"
            )
            continue
        parts[entry.part][entry.key] = np.ascontiguousarray(value)
        if entry.key.endswith(".running_var"):
            counter = entry.key.replace("running_var", "num_batches_tracked")
            parts[entry.part][counter] = np.zeros((), np.int64)
    if problems:
        raise UserError("these variables do not fit the model: " + "; ".join(problems))
    parts["pose_encoder"]["encoder.fc.weight"] = np.zeros((1000, 512), np.float32)
    parts["pose_encoder"]["encoder.fc.bias"] = np.zeros(1000, np.float32)
    return parts


def _hrnet_keys(config: Mapping[str, Any]) -> Keys:
    """HRNet as in its authors' code: conv1, layer1.N, transitionX, stageX.Y.branches..."""
    layers: Keys = {("stem1",): ("conv1", "bn1"), ("stem2",): ("conv2", "bn2")}
    for block in range(config["bottlenecks"]):
        layers.update(_block_layers((f"stage1_block{block}",), f"layer1.{block}", 3))
    layers["transition1_branch0",] = ("transition1.0.0", "transition1.0.1")
    layers["transition1_branch1",] = ("transition1.1.0.0", "transition1.1.0.1")
    for stage, modules in enumerate(config["modules"], start=2):
        if stage > 2:
            prefix = f"transition{stage - 1}.{stage - 1}.0"
            name = f"transition{stage - 1}_branch{stage - 1}"
            layers[name,] = (f"{prefix}.0", f"{prefix}.1")
        for module in range(modules):
            name, prefix = f"stage{stage}_module{module}", f"stage{stage}.{module}"
            for i in range(stage):
                for block in range(config["blocks"]):
                    path = (name, f"branch{i}_block{block}")
                    layers.update(_block_layers(path, f"{prefix}.branches.{i}.{block}", 2))
                for j in range(stage):
                    fuse = f"{prefix}.fuse_layers.{i}.{j}"
                    if j > i:
                        layers[name, f"fuse{i}_from{j}"] = (f"{fuse}.0", f"{fuse}.1")
                    for step in range(i - j):
                        path = (name, f"fuse{i}_from{j}_step{step}")
                        layers[path] = (f"{fuse}.{step}.0", f"{fuse}.{step}.1")
    return dict(_conv_norms(("depth", "encoder"), "encoder", "", layers))


def _resnet_keys() -> Keys:
    """ResNet-18 as in torchvision, held as `encoder` by the pose encoder."""
    layers: Keys = {("stem",): ("conv1", "bn1")}
    for stage in (1, 2, 3, 4):
        for block in (0, 1):
            path = (f"stage{stage}_block{block}",)
            layers.update(_block_layers(path, f"layer{stage}.{block}", 2))
    return dict(_conv_norms(("pose", "encoder"), "pose_encoder", "encoder.", layers))


def _decoder_keys(config: Mapping[str, Any]) -> Keys:
    """The HR decoder: one flat list of blocks, in the order they are made."""
    names = []
    for level, branches in enumerate(range(config["branches"], 1, -1)):
        names += [f"level{level}_branch{i}" for i in range(branches)]
        # By sending branch, the nearest receiver first.
        names += [
            f"level{level}_fuse{i}_from{j}" for j in range(branches) for i in reversed(range(j))
        ]
    names += ["stem", "last_branch", "stem_from0", "head1", "head2"]
    keys: Keys = {
        ("depth", "decoder", name, "conv", "conv"): ("depth", f"decoder.{index}.conv.conv")
        for index, name in enumerate(names)
    }
    keys["depth", "decoder", "disparity", "conv"] = ("depth", f"decoder.{len(names)}.conv")
    return keys


def _pose_head_keys() -> Keys:
    return {
        ("pose", "head", name, "conv"): ("pose", f"net.{index}")
        for index, name in enumerate(("squeeze", "layer1", "layer2", "motion"))
    }


def _block_layers(path: Path, prefix: str, layers: int) -> Iterator[tuple[Path, tuple[str, str]]]:
    """A residual block of `layers` convolutions, and the shortcut that some blocks have."""
    for n in range(1, layers + 1):
        yield (*path, f"layer{n}"), (f"{prefix}.conv{n}", f"{prefix}.bn{n}")
    yield (*path, "shortcut"), (f"{prefix}.downsample.0", f"{prefix}.downsample.1")


def _conv_norms(
    root: Path,
    part: str,
    prefix: str,
    layers: Keys,
) -> Iterator[tuple[Path, tuple[str, str]]]:
    for path, (conv, norm) in layers.items():
        yield (*root, *path, "conv"), (part, prefix + conv)
        yield (*root, *path, "bn"), (part, prefix + norm)


def _put(tree: dict[str, Any], path: Path, value: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _get(tree: Any, path: Path) -> Any:
    """The leaf at `path`, or None."""
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree
