"""Checks that networks from outside the package do what training and prediction rely on.

Otherwise an error in such a network would show in the middle of a step, or only at the first
prediction.
"""

import inspect
from functools import partial
from typing import Any

import flax.linen as nn
import jax
from flax.errors import FlaxError

from radepth_jax.errors import UserError
from radepth_jax.models.build import Networks
from radepth_jax.models.variables import network_inputs, network_shapes


def check_own_networks(networks: Networks, resolution: tuple[int, int]) -> None:
    """Trace each network that has a module from outside the package, without compiling it.

    Args:
        networks: from `build`.
        resolution: (width, height) of images that fit the depth network.

    Raises:
        UserError: A module's call or its results are not those that docs/architecture.md asks for.
    """
    depth, pose = networks
    if _is_own(depth.encoder):
        _check_call(depth.encoder)
        _check_features(networks, resolution)
    if _is_own(depth.encoder) or _is_own(depth.decoder):
        module = depth.decoder if _is_own(depth.decoder) else depth.encoder
        _check_disparities(module, _results(module, networks, "depth", resolution), resolution)
    if _is_own(pose):
        _check_call(pose)
        result = _results(pose, networks, "pose", resolution)
        if _shapes(result) != [(1, 3), (1, 3)]:
            raise _unexpected(pose, result, "(axisangle [1, 3], translation [1, 3])")


def _is_own(module: nn.Module) -> bool:
    return type(module).__module__.partition(".")[0] != "radepth_jax"


def _check_call(module: nn.Module) -> None:
    taken = inspect.signature(type(module).__call__).parameters
    if not {"train", "groups"} <= set(taken):
        raise UserError(
            f"{type(module).__name__}.__call__ has the arguments {', '.join(list(taken)[1:])}: "
            "expected train=False and groups=1 besides the images"
        )


def _results(
    module: nn.Module,
    networks: Networks,
    name: str,
    resolution: tuple[int, int],
    method: str = "__call__",
) -> Any:
    """Shapes and types of a network's results for one image, or one pair, outside of training."""
    network = getattr(networks, name)
    call = partial(network.apply, train=False, method=method)
    variables = network_shapes(networks, name, resolution)
    try:
        return jax.eval_shape(call, variables, network_inputs(networks, resolution)[name])
    except FlaxError as error:
        raise UserError(
            f"{type(module).__name__} fails outside of training: {str(error).splitlines()[0]} "
            "With train=False a network may neither draw random numbers nor change its statistics"
        ) from error


def _check_features(networks: Networks, resolution: tuple[int, int]) -> None:
    encoder = networks.depth.encoder
    features = _results(encoder, networks, "depth", resolution, "encode")
    width, height = resolution
    sizes = []
    factor = 2
    while factor <= encoder.stride:
        sizes.append((height // factor, width // factor))
        factor *= 2
    # The attention decoder takes a list of features for each size.
    found = [jax.tree.leaves(of_size)[0].shape[1:3] for of_size in features]
    if found != sizes:
        raise _unexpected(
            encoder, features, f"features of {len(sizes)} sizes, (h, w) {sizes}, by its stride"
        )


def _check_disparities(module: nn.Module, result: Any, resolution: tuple[int, int]) -> None:
    width, height = resolution
    expected = [(1, height // 2**i, width // 2**i, 1) for i in range(len(result))]
    if not isinstance(result, tuple) or not result or _shapes(result) != expected:
        raise _unexpected(
            module, result, f"a tuple of disparities, {[1, height, width, 1]} and each next half"
        )


def _shapes(result: Any) -> list[tuple[int, ...]]:
    return [leaf.shape for leaf in jax.tree.leaves(result)]


def _unexpected(module: nn.Module, result: Any, expected: str) -> UserError:
    return UserError(
        f"{type(module).__name__} gives arrays of shape {', '.join(map(str, _shapes(result)))} in "
        f"a {type(result).__name__}: expected {expected}, for an image"
    )
