"""Convert weights to and from the PyTorch state dicts of the published systems.

A checkpoint has four parts, `encoder`, `depth`, `pose_encoder` and `pose`. Each is a dict of NumPy
arrays in PyTorch's layout, by key. Values are moved and transposed, and nothing else, so both ways
are exact to the bit. `torch_layouts` says which keys each layer has.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from flax.traverse_util import flatten_dict

from radepth_jax.errors import UserError
from radepth_jax.interop import torch_layouts
from radepth_jax.interop.torch_layouts import Keys, Path
from radepth_jax.models import Variables, build, network_shapes

Parts = dict[str, dict[str, np.ndarray]]

PARTS = ("encoder", "depth", "pose_encoder", "pose")

# PyTorch's names for the leaves of a BatchNorm.
_BN_LEAVES = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}

# Our axes in PyTorch's order, by the number of axes: linear layers have 2, and convolutions 4.
_AXES = {2: (1, 0), 4: (3, 2, 0, 1)}

# Entries that a depth encoder's file may hold besides weights.
PLAIN = ("height", "width", "use_stereo")


class Entry(NamedTuple):
    """One leaf: its path in the variables, its PyTorch keys, and its shape in PyTorch (OIHW)."""

    path: Path  # ("depth", "params", "encoder", ..., "kernel")
    part: str
    key: str  # the key whose value is read
    copies: tuple[str, ...]  # keys under which the file lists the same tensor again
    shape: tuple[int, ...]


def depth_entries(config: Mapping[str, Any]) -> list[Entry]:
    """Every leaf of the depth network that `config.model` describes, with its PyTorch keys.

    Raises:
        UserError: Its encoder or decoder has no published PyTorch form.
    """
    return _entries("depth", torch_layouts.depth_keys(config["depth"]), config)


def pose_entries(config: Mapping[str, Any]) -> list[Entry]:
    """Every leaf of the pose network, with its PyTorch key.

    Raises:
        UserError: The pose network of the configuration has no published PyTorch form.
    """
    return _entries("pose", torch_layouts.pose_keys(config["pose"]), config)


def encoder_entries(config: Mapping[str, Any], network: str) -> list[Entry]:
    """Every leaf of the encoder of a network ("depth" or "pose"), whatever the rest of it is.

    Raises:
        UserError: That encoder has no published PyTorch form.
    """
    if network == "depth":
        keys = torch_layouts.encoder_keys(config["depth"]["encoder"])
    else:
        keys = torch_layouts.pose_keys(config["pose"])
    return _entries(network, keys, config, within="encoder")


def _entries(name: str, keys: Keys, config: Mapping[str, Any], within: str = "") -> list[Entry]:
    """The leaves of network `name`, or of one part of it. `keys` has its layers."""
    networks = build(config)
    side = 2 * networks.depth.stride
    leaves = flatten_dict(network_shapes(networks, name, (side, side)))
    found = []
    for path, leaf in leaves.items():
        names = (name, *path)
        _, _, *layer, kind = names
        if within and layer[0] != within:
            continue
        part, *prefixes = keys[name, *layer]
        suffix = _BN_LEAVES[kind] if layer[-1] == "bn" else kind.replace("kernel", "weight")
        key, *copies = (f"{prefix}.{suffix}" for prefix in prefixes)
        shape = tuple(leaf.shape[axis] for axis in _AXES.get(len(leaf.shape), (0,)))
        found.append(Entry(names, part, key, tuple(copies), shape))
    return found


def is_unused(part: str, key: str, config: Mapping[str, Any]) -> bool:
    """Whether no network uses a key of a published part. The variables then lack it."""
    if key.endswith(".num_batches_tracked") or (part == "encoder" and key in PLAIN):
        return True
    return (part, key) in torch_layouts.unused_shapes(config)


def variables_from_torch(
    parts: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> Variables:
    """Make variables of the four parts of a PyTorch checkpoint.

    Args:
        parts: `encoder`, `depth`, `pose_encoder` and `pose`, each a dict of arrays by key. Some
            entries are not used and may be absent: `num_batches_tracked`, a ResNet's classifier
            (`encoder.fc`), HR-Depth's unused convolutions, second listings of a tensor, and the
            depth encoder's plain entries `height`, `width` and `use_stereo`.
        config: `config.model`, such as `presets.ra_depth()`.

    Returns:
        `{"depth": {"params", "batch_stats"}, "pose": {...}}`, float32 NumPy arrays.

    Raises:
        UserError: Keys are missing, unknown or of another shape. The message counts them and names
            some.
    """
    expected = depth_entries(config) + pose_entries(config)
    known = {(entry.part, key) for entry in expected for key in (entry.key, *entry.copies)}
    missing, misshapen = [], []
    unknown = [f"unknown part {part}" for part in parts if part not in PARTS]
    variables: Variables = {}
    for entry in expected:
        value = parts.get(entry.part, {}).get(entry.key)
        if value is None:
            missing.append(f"missing {entry.part}/{entry.key}")
            continue
        value = np.asarray(value)
        if value.shape != entry.shape:
            misshapen.append(
                f"{entry.part}/{entry.key} has shape {value.shape}, expected {entry.shape}"
            )
            continue
        if value.ndim in _AXES:
            value = value.transpose(np.argsort(_AXES[value.ndim]))
        _put(variables, entry.path, np.ascontiguousarray(value, np.float32))
    for part in PARTS:
        for key in parts.get(part, {}):
            if (part, key) not in known and not is_unused(part, key, config):
                unknown.append(f"unknown {part}/{key}")
    if missing or unknown or misshapen:
        raise UserError(
            "these PyTorch weights do not fit the model: " + _summary(missing, unknown, misshapen)
        )
    return variables


def _summary(missing: list[str], unknown: list[str], misshapen: list[str]) -> str:
    """One line with all problems if they are few, otherwise with counts and examples."""
    problems = [problem[:120] for problem in (*missing, *unknown, *misshapen)]
    if len(problems) <= 4 and sum(map(len, problems)) < 400:
        return "; ".join(problems)
    kinds = (("missing", missing), ("unknown", unknown), ("of another shape", misshapen))
    counts = ", ".join(f"{len(found)} {kind}" for kind, found in kinds if found)
    # One problem of each kind comes first, then more of them.
    shown = [found[i] for i in range(3) for _, found in kinds if i < len(found)][:3]
    return f"{counts} keys, such as {'; '.join(problem[:120] for problem in shown)}"


def without_prefixes(
    parts: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """The parts without a wrapper's prefix of all keys (`module.`, `_orig_mod.`, `model.`).

    A prefix is taken off only if that turns unknown keys into keys of the model.

    Args:
        parts: see `variables_from_torch`.
        config: `config.model`.
    """
    return _without_prefixes(parts, depth_entries(config) + pose_entries(config))


def _without_prefixes(
    parts: Mapping[str, Mapping[str, Any]], entries: list[Entry]
) -> dict[str, dict[str, Any]]:
    known: dict[str, set[str]] = {}
    for entry in entries:
        known.setdefault(entry.part, set()).update((entry.key, *entry.copies))
    bare = {}
    for part, values in parts.items():
        keys = [key for key in values if key not in PLAIN]
        prefix = ""
        while keys and not any(key.removeprefix(prefix) in known.get(part, ()) for key in keys):
            first, dot, _ = keys[0].removeprefix(prefix).partition(".")
            prefix += first + dot
            if not dot or not all(key.startswith(prefix) for key in keys):
                prefix = ""
                break
        bare[part] = {key.removeprefix(prefix): value for key, value in values.items()}
    return bare


def fit(parts: Mapping[str, Mapping[str, Any]], config: Mapping[str, Any]) -> float:
    """How well a depth network fits, 0 to 1: the share of keys and shapes that agree.

    Models share encoders, which have most of the keys. So encoder and decoder are compared apart,
    and the part that fits worse counts.
    """
    entries = depth_entries(config)
    parts = _without_prefixes(parts, entries)
    shares = []
    for part in PARTS[:2]:
        expected = [entry for entry in entries if entry.part == part]
        values = parts.get(part, {})
        same = sum(np.shape(values.get(entry.key, 0)) == entry.shape for entry in expected)
        copies = sum(key in values for entry in expected for key in entry.copies)
        given = sum(not is_unused(part, key, config) for key in values) - copies
        shares.append(same / max(len(expected), given))
    return min(shares)


def torch_from_variables(variables: Variables, config: Mapping[str, Any]) -> Parts:
    """Make the four parts of a PyTorch checkpoint, with every key that a strict load asks for.

    The variables hold neither `num_batches_tracked` nor the weights that no network uses (a
    ResNet's classifier and some of HR-Depth's convolutions). These become zero.

    Args:
        variables: variables as from `init_variables`.
        config: the `config.model` that they belong to.

    Raises:
        UserError: Leaves are missing or of another shape. The message names all of them.
    """
    parts: Parts = {part: {} for part in PARTS}
    problems = []
    for entry in depth_entries(config) + pose_entries(config):
        value = _get(variables, entry.path)
        if value is None:
            problems.append(f"missing {'/'.join(entry.path)}")
            continue
        value = np.asarray(value)
        if value.ndim in _AXES:
            value = value.transpose(_AXES[value.ndim])
        if value.shape != entry.shape:
            problems.append(
                f"{'/'.join(entry.path)} has shape {value.shape}, expected {entry.shape} (OIHW)"
            )
            continue
        for key in (entry.key, *entry.copies):
            parts[entry.part][key] = np.ascontiguousarray(value)
        if entry.key.endswith(".running_var"):
            counter = entry.key.replace("running_var", "num_batches_tracked")
            parts[entry.part][counter] = np.zeros((), np.int64)
    if problems:
        raise UserError("these variables do not fit the model: " + "; ".join(problems))
    for (part, key), shape in torch_layouts.unused_shapes(config).items():
        parts[part][key] = np.zeros(shape, np.float32)
    return parts


def _put(tree: dict[str, Any], path: Path, value: np.ndarray) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
    tree[path[-1]] = value


def _get(tree: Any, path: Path) -> Any:
    """The leaf at `path`, or None if there is none."""
    for name in path:
        if not isinstance(tree, Mapping) or name not in tree:
            return None
        tree = tree[name]
    return tree
