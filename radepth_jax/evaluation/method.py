"""What is evaluated: anything that gives depth for images, behind one interface.

A checkpoint under `pmap`, an ONNX network, a folder of depth maps and a prior differ in how they
get depth. What is done with it is the same for all of them (`evaluate.loop`).
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

# What is no checkpoint has no stored factor, and its ground is not looked for.
WITHOUT_CHECKPOINT = ("median", "none")
NOT_TIMED = float("nan")


class Compared(NamedTuple):
    """A method's depth for a batch of B images, compared with the ground truth.

    Attributes:
        metrics: for each of the method's scalings, the `depth_metrics` by name, [B] on the host.
        depth: gives the predicted depth [Hd, Wd] before scaling, on the canvas of the ground truth,
            of the image at a position in the batch.
        seconds: how long the prediction took; `NOT_TIMED` where nothing is predicted.
    """

    metrics: dict[str, dict[str, np.ndarray]]
    depth: Callable[[int], np.ndarray]
    seconds: float


class Step(NamedTuple):
    """How a method gets a batch's depth at one resolution.

    Attributes:
        resolution: as the table names it: "WxH" of the input, "native", "as given".
        run: a function of the batch's positions in the split and of the batch, as `Method.place`
            returned it. The positions leave out the repeats that fill the last batch up.
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
    """What makes a table's rows: one for each of its steps and scalings.

    Attributes:
        name: for the table.
        scalings: how its depth becomes metres, in the order of the rows; the first one says which
            images are the worst.
        steps: makes the steps. What they need on the devices is placed there then, and is freed
            with them, so that no two methods lie there together.
        batch_size: the images of a step. It is rounded up to a multiple of `devices`.
        devices: how many devices share a batch.
        place: gets a batch of arrays [B, ...] and returns what `Step.run` takes. It is called in
            the thread that reads.
        pictured: whether its depth is worth a picture.
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
        scalings: those of the method.
        factor: as of `compare`.
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
    """Raise a `UserError` unless the protocol's scaling is one for what is no checkpoint.

    Args:
        option: of the command, which the error names.
        protocol: how predictions are to be compared.
    """
    if protocol.scaling not in WITHOUT_CHECKPOINT:
        raise UserError(
            f"{option} goes with --scaling {' or '.join(WITHOUT_CHECKPOINT)}, "
            f"not {protocol.scaling}"
        )
