"""A network's parameters, statistics or moments as one vector.

RA-Depth has two thousand arrays of each kind, and most have only a few numbers. A GPU starts a
kernel for each array, several times a step, and starting one takes longer than running it. On a
CPU, XLA compiles code for each array. So a training step holds vectors, and only the networks see
trees. Convolution kernels are stored with the output channels first, as cuDNN takes them.
"""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.models.norm import average
from radepth_jax.runs.state import TrainState

# Optimisers that treat every number by itself. For them a vector is as good as a tree.
ELEMENTWISE = ("adam", "adamw", "amsgrad", "lion", "nadam", "nadamw", "rmsprop", "sgd")


@dataclass(frozen=True)
class Layout:
    """Where the leaves of a tree lie in its vector.

    Attributes:
        structure: the tree's structure.
        shapes: the leaves' shapes in the vector, in order.
        kernels: which leaves are kernels of convolutions.
    """

    structure: Any
    shapes: tuple[tuple[int, ...], ...]
    kernels: tuple[bool, ...]


@flax.struct.dataclass
class Flat:
    """A tree of float32 arrays as one vector.

    Attributes:
        vector: float32 [numbers].
        layout: where the leaves are.
    """

    vector: jax.Array
    layout: Layout = flax.struct.field(pytree_node=False)

    def tree(self) -> Any:
        """The tree. If the vector is NumPy's, its arrays are NumPy's, too, and views of it."""
        leaves, start = [], 0
        for shape, kernel in zip(self.layout.shapes, self.layout.kernels, strict=True):
            end = start + math.prod(shape)
            leaf = self.vector[start:end].reshape(shape)
            leaves.append(leaf.transpose(1, 2, 3, 0) if kernel else leaf)
            start = end
        return jax.tree.unflatten(self.layout.structure, leaves)


def flatten(tree: Any) -> Flat:
    """The inverse of `Flat.tree`. NumPy's arrays give a NumPy vector, and nothing is compiled."""
    paths, structure = jax.tree_util.tree_flatten_with_path(tree)
    kernels = tuple(leaf.ndim == 4 and path[-1].key == "kernel" for path, leaf in paths)
    leaves = [
        leaf.transpose(3, 0, 1, 2) if kernel else leaf
        for (_, leaf), kernel in zip(paths, kernels, strict=True)
    ]
    of = np if all(isinstance(leaf, np.ndarray) for leaf in leaves) else jnp
    vector = of.concatenate([leaf.reshape(-1) for leaf in leaves])
    return Flat(vector, Layout(structure, tuple(leaf.shape for leaf in leaves), kernels))


def _is_flat(value: Any) -> bool:
    return isinstance(value, Flat)


def to_trees(values: Any) -> Any:
    """The state with trees in place of all its vectors."""
    return jax.tree.map(lambda v: v.tree() if _is_flat(v) else v, values, is_leaf=_is_flat)


def flatten_like(trees: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Each network's tree, or a vector if `other` has one."""
    return {name: flatten(tree) if _is_flat(other[name]) else tree for name, tree in trees.items()}


def average_statistics(running: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The networks' running statistics after a batch.

    Args:
        running: each network's statistics, as a tree or a vector.
        new: each network's tree of new statistics. None if the network was not used. BatchNorm of
            `models.norm` gives those of each group, [groups, C] (see `Policy.averages`), which are
            averaged with the running ones. Any other module, such as Linen's own BatchNorm, gives
            statistics of the same shape that replace the running ones.
    """

    def leaf(old: Any, found: Any) -> Any:
        return found.astype(old.dtype) if found.ndim == old.ndim else average(old, found)

    def update(old: Any, found: Any) -> Any:
        if not jax.tree.leaves(found):
            return old
        if not _is_flat(old):
            return jax.tree.map(leaf, old, found)
        pairs = zip(old.layout.shapes, jax.tree.leaves(found), strict=True)
        if any(len(shape) == statistic.ndim for shape, statistic in pairs):
            return flatten(jax.tree.map(leaf, old.tree(), found))
        parts, start = [], 0
        # A network may call some norms on more groups than others.
        for _, leaves in itertools.groupby(jax.tree.leaves(found), key=len):
            rows = jnp.concatenate(list(leaves), axis=1)
            end = start + rows.shape[1]
            parts.append(average(old.vector[start:end], rows))
            start = end
        return replace(old, vector=jnp.concatenate(parts))

    return {name: update(old, new[name]) for name, old in running.items()}


def flat_state(state: TrainState) -> TrainState:
    """The state with one vector for each network's parameters, statistics and moments.

    `to_trees` is its inverse. The optimiser must be an `ELEMENTWISE` one.
    """
    networks = {jax.tree.structure(tree) for tree in state.params.values()}

    def is_network(value: Any) -> bool:
        return isinstance(value, dict) and jax.tree.structure(value) in networks

    def flatten_networks(values: Any) -> Any:
        return jax.tree.map(
            lambda v: flatten(v) if is_network(v) else v, values, is_leaf=is_network
        )

    return replace(
        state,
        params=flatten_networks(state.params),
        batch_stats={
            name: flatten(tree) if jax.tree.leaves(tree) else tree
            for name, tree in state.batch_stats.items()
        },
        opt_state=flatten_networks(state.opt_state),
    )
