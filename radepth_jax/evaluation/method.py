"""What is evaluated: anything that gives depth for images, behind one interface.

A checkpoint under `pmap`, an ONNX network, a folder of depth maps and a prior differ in how they
get depth. What is done with the depth is the same for all of them (`evaluation.loop`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.evaluation.compare import compare
from radepth_jax.inference.disparity import Resolution
from radepth_jax.runs.protocol import Protocol

# Only a checkpoint has a stored factor, and only its depth is searched for the ground.
WITHOUT_CHECKPOINT = ("median", "none")
NOT_TIMED = float("nan")


class Compared(NamedTuple):
    """A method's depth for a batch of B images, compared with the ground truth.

    Attributes:
        metrics: for each of the method's scalings, what `compare` returns of it, [B] on the host.
        depth: a function of a position in the batch. It returns the image's predicted depth
            [Hd, Wd] before scaling, on the canvas of the ground truth.
        seconds: how long the prediction took, or `NOT_TIMED` if nothing is predicted.
    """

    metrics: dict[str, dict[str, np.ndarray]]
    depth: Callable[[int], np.ndarray]
    seconds: float


class Step(NamedTuple):
    """How a method gets a batch's depth at one resolution.

    Attributes:
        resolution: the table's name of it: "WxH" of the input, "native" or "as given".
        run: a function of the positions of the batch's images in the split, and of what
            `Method.place` made of the batch. The last batch may be filled up with repeated images,
            which have no positions.
        own_size: whether the input has the images' own size.
    """

    resolution: str
    run: Callable[[Sequence[int], Any], Compared]
    own_size: bool = False


def label(resolution: Resolution | None) -> str:
    """What the table calls a network's resolution (width, height)."""
    return "native" if resolution is None else "{}x{}".format(*resolution)


@dataclass(frozen=True)
class Method:
    """What is evaluated. It makes a row of the table for each of its steps and scalings.

    Attributes:
        name: the name in the table.
        scalings: how the depth becomes metres, in the order of the rows. The first one decides
            which images are the worst.
        steps: makes the steps. Only then is anything placed on the devices, and it is freed with
            the steps. So two methods never share the devices' memory.
        batch_size: the images of a step. It is rounded up to a multiple of `devices`.
        devices: how many devices share a batch.
        place: gets a batch of arrays [B, ...] and returns what `Step.run` takes. It is called in
            the thread that reads.
        pictured: whether pictures of its depth are made.
    """

    name: str
    scalings: tuple[str, ...]
    steps: Callable[[], Sequence[Step]]
    batch_size: int = 1
    devices: int = 1
    place: Callable[[dict[str, np.ndarray]], Any] = dict
    pictured: bool = True


_compare = jax.jit(compare, static_argnames=("protocol", "scalings"))


def one_by_one(
    depth_of: Callable[[int, dict[str, np.ndarray]], tuple[Any, float]],
    *,
    protocol: Protocol,
    scalings: tuple[str, ...],
    factor: float = 1.0,
) -> Callable[[Sequence[int], dict[str, np.ndarray]], Compared]:
    """The `Step.run` of a method that gets depth on the host, for batches of one image.

    Args:
        depth_of: a function of an image's position in the split and its sample. It returns the
            depth [Hd, Wd] on the canvas of the ground truth, and the seconds that it took.
        protocol: how predictions are compared with the ground truth.
        scalings: the method's scalings.
        factor: the factor of `compare`.
    """

    def run(images: Sequence[int], batch: dict[str, np.ndarray]) -> Compared:
        (image,) = images
        depth, seconds = depth_of(image, {name: values[0] for name, values in batch.items()})
        depths = np.asarray(depth)[None]
        compared = {name: values for name, values in batch.items() if name != "image"}
        metrics = _compare(depths, compared, factor, protocol=protocol, scalings=scalings)
        return Compared(jax.device_get(metrics), lambda position: depths[position], seconds)

    return run


def check_scaling(option: str, protocol: Protocol) -> None:
    """Raise a `UserError` if the protocol's scaling works with checkpoints only.

    Args:
        option: the command's option, for the message.
        protocol: how predictions are compared with the ground truth.
    """
    if protocol.scaling not in WITHOUT_CHECKPOINT:
        raise UserError(
            f"{option} goes with --scaling {' or '.join(WITHOUT_CHECKPOINT)}, "
            f"not {protocol.scaling}"
        )
