"""Evaluates anyone's depth network, from an ONNX file, at the same resolutions as our own."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.data.pictures import lies_on_its_side
from radepth_jax.errors import UserError
from radepth_jax.evaluation.method import Method, Step, check_scaling, label, one_by_one
from radepth_jax.evaluation.metrics import valid_mask
from radepth_jax.geometry.camera import depth_from_disparity
from radepth_jax.inference.disparity import Resolution, disparity_at, network_input
from radepth_jax.names import shown
from radepth_jax.runs.protocol import Protocol

# What a network's output is. `disparity` is 1 / depth up to a factor. `relative` is 1 / depth up to
# a factor and a shift, which least squares find for each image (Ranftl et al., TPAMI 2022).
KINDS = ("depth", "disparity", "relative")
# (mean, deviation): RGB in [0, 1] minus the mean, divided by the deviation, is the input.
NORMALISATIONS = {
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
LEAST_SQUARES = "least squares"
OURS = "radepth-jax"


@dataclass(frozen=True)
class OnnxNetwork:
    """A network in onnxruntime, with its input's and its output's form.

    Attributes:
        path: the file.
        session: the `onnxruntime.InferenceSession`.
        channels_first: whether the input is [N, 3, H, W] and not [N, H, W, 3].
        kind: one of `KINDS`, or "ours": a disparity in (0, 1), as `radepth export` writes it.
        normalise: one of `NORMALISATIONS`.
        sides: the (height, width) that the file fixes. None means that it does not fix this side.
        depth_range: the (min, max) depth that the disparities of "ours" stand for.
    """

    path: Path
    session: Any
    channels_first: bool
    kind: str
    normalise: str
    sides: tuple[int | None, int | None]
    depth_range: tuple[float, float] = (0.1, 100.0)

    def __call__(self, image: np.ndarray) -> np.ndarray:
        """The network's output for a picture, float32 [h, w].

        Args:
            image: float32 [height, width, 3], RGB in [0, 1].

        Raises:
            UserError: The network does not take this size, or its output is not a map, or is one
                that lies on its side.
        """
        mean, deviation = (np.array(v, np.float32) for v in NORMALISATIONS[self.normalise])
        given = ((image - mean) / deviation)[None]
        given = given.transpose(0, 3, 1, 2) if self.channels_first else given
        kind = np.float16 if "float16" in self.session.get_inputs()[0].type else np.float32
        feeds = {self.session.get_inputs()[0].name: np.ascontiguousarray(given, kind)}
        try:
            values = self.session.run([self.session.get_outputs()[0].name], feeds)[0]
        except Exception as error:  # onnxruntime has a class for each of its statuses
            raise UserError(
                f"{shown(self.path)}: cannot run on {image.shape[1]}x{image.shape[0]} "
                f"({_in_one_line(error)})"
            ) from None
        axes = [length for length in np.shape(values) if length != 1]
        if len(axes) != 2:
            raise UserError(
                f"{shown(self.path)}: its first output is {list(np.shape(values))} for one image; "
                "expected a map, [1, h, w] with or without an axis of 1"
            )
        if lies_on_its_side((axes[0], axes[1]), image.shape[:2]):
            raise UserError(
                f"{shown(self.path)}: its output is {axes[1]}x{axes[0]} for an image of "
                f"{image.shape[1]}x{image.shape[0]}: it lies on its side; expected [1, h, w], rows "
                "first"
            )
        return np.asarray(values, np.float32).reshape(axes)


def load_onnx(path: str | Path, *, kind: str = "auto", normalise: str = "none") -> OnnxNetwork:
    """Open a file with onnxruntime (the extra `onnx`).

    Args:
        path: the file.
        kind: one of `KINDS`, or "auto" for a file that `radepth export` wrote.
        normalise: one of `NORMALISATIONS`.

    Raises:
        UserError: It is no ONNX file, it has no input for a picture, or `kind` is "auto" and
            another program wrote it.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise UserError(f"{shown(path)}: no such file; expected an ONNX file")
    try:
        import onnxruntime
    except ImportError:
        raise UserError(
            f"{shown(path)}: running ONNX needs onnxruntime: pip install 'radepth-jax[onnx]'"
        ) from None
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UserError(
            f"{shown(path)}: not an ONNX file that can be run ({_in_one_line(error)})"
        ) from None
    inputs = session.get_inputs()
    shape = inputs[0].shape if len(inputs) == 1 else []
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise UserError(
            f"{shown(path)}: has inputs {', '.join(f'{i.name} {i.shape}' for i in inputs)}; "
            "expected one, [N, 3, H, W] or [N, H, W, 3]"
        )
    if isinstance(shape[0], int) and shape[0] != 1:
        raise UserError(
            f"{shown(path)}: takes batches of {shape[0]} images alone, and is given one at a time; "
            "export it with an open batch, or with batches of 1"
        )
    about = session.get_modelmeta().custom_metadata_map
    ours = about.get("producer", "").startswith(OURS)
    if kind == "auto" and not ours:
        raise UserError(
            f"{shown(path)}: say what it gives with --onnx_gives: {', '.join(KINDS)} (relative: "
            "inverse depth up to a factor and a shift, as MiDaS and Depth Anything)"
        )
    channels_first = shape[3] != 3
    sides = shape[2:] if channels_first else shape[1:3]
    fixed = [side if isinstance(side, int) else None for side in sides]
    return OnnxNetwork(
        path=path,
        session=session,
        channels_first=channels_first,
        kind="ours" if kind == "auto" else kind,
        normalise=normalise,
        sides=(fixed[0], fixed[1]),
        depth_range=(float(about["min_depth"]), float(about["max_depth"])) if ours else (0.1, 100),
    )


def _in_one_line(error: Exception) -> str:
    """All of onnxruntime's message. What it got and expected is on the lines after the first."""
    return " ".join(str(error).split()) or type(error).__name__


def onnx_method(
    network: OnnxNetwork,
    resolutions: Sequence[Resolution | None],
    *,
    protocol: Protocol,
    factor: float = 1.0,
    model: str = "onnx",
) -> Method:
    """A network at each resolution, with the same resizing as for our own networks.

    For `relative` outputs the scaling is "least squares" instead of "median".

    Args:
        network: what `load_onnx` returned.
        resolutions: the (width, height) of the input. None stands for the images' own.
        protocol: how predictions are compared with the ground truth. Its scaling is "median" or
            "none".
        factor: metres per unit of depth, for the scaling "none".
        model: the name in the table.

    Raises:
        UserError: The file does not take a resolution, or the scaling is another one.
    """
    check_scaling("--onnx", protocol)
    for resolution in resolutions:
        check_size(network, resolution)
    scaling = protocol.scaling
    if network.kind == "relative" and scaling == "median":
        scaling, factor = LEAST_SQUARES, 1.0  # the fit has made metres of it

    def depth_of(
        resolution: Resolution | None, image: int, sample: dict[str, np.ndarray]
    ) -> tuple[jax.Array, float]:
        del image
        given = _input(sample, resolution)
        start = time.perf_counter()
        values = network(given)
        seconds = time.perf_counter() - start
        return _depth(network, values, sample, protocol), seconds

    steps = []
    for resolution in resolutions:
        run = one_by_one(
            partial(depth_of, resolution), protocol=protocol, scalings=(scaling,), factor=factor
        )
        steps.append(Step(label(resolution), run, own_size=resolution is None))
    return Method(model, (scaling,), lambda: steps)


def check_size(network: OnnxNetwork, resolution: Resolution | None) -> None:
    """Raise a `UserError` unless the file takes images of (width, height)."""
    height, width = network.sides
    asked = (None, None) if resolution is None else resolution[::-1]
    if any(fixed not in (None, side) for fixed, side in zip((height, width), asked, strict=True)):
        raise UserError(
            f"{shown(network.path)}: takes images of {width or 'any'}x{height or 'any'} alone; "
            f"asked for {'native' if resolution is None else '{}x{}'.format(*resolution)}. Export "
            "it with open sizes, or name that size with --resolutions"
        )


def _input(sample: dict[str, Any], resolution: Resolution | None) -> np.ndarray:
    """What the network sees, float32 [height, width, 3] in [0, 1]."""
    if resolution is None:
        h, w = sample["size"]
        return np.asarray(sample["image"][:h, :w], np.float32) / 255
    return np.asarray(_resize_input(sample["image"], sample["size"], resolution=resolution))


_resize_input = jax.jit(network_input, static_argnames="resolution")
_resize_output = jax.jit(disparity_at, static_argnames="canvas")


def _depth(
    network: OnnxNetwork, values: np.ndarray, sample: dict[str, Any], protocol: Protocol
) -> jax.Array:
    """Depth on the canvas of the ground truth."""
    truth = sample["depth"]
    given = _resize_output(values[..., None], canvas=truth.shape, size=sample["depth_size"])
    if network.kind == "ours":
        nearest, farthest = network.depth_range
        return depth_from_disparity(given, min_depth=nearest, max_depth=farthest)
    if network.kind == "depth":
        return given
    if network.kind == "relative":
        known = np.asarray(valid_mask(truth, sample["depth_size"], protocol))
        given = fit(np.asarray(given), truth, known, nearest=1 / protocol.max_depth)
    # Values that no depth can have stay as they are, and `depth_metrics` counts them.
    return jnp.where(jnp.isfinite(given) & (given > 0), 1 / given, given)


def fit(values: np.ndarray, truth: np.ndarray, known: np.ndarray, *, nearest: float) -> np.ndarray:
    """Fit values to the truth's inverse depth with a scale and a shift, by least squares.

    Args:
        values: [H, W].
        truth: [H, W] in metres.
        known: bool [H, W], the pixels of the truth that count.
        nearest: the smallest inverse depth that the result may have. It keeps far points in front
            of the camera.

    Returns:
        Inverse depth, float32 [H, W]. All of it is 1 if fewer than two pixels are known, and NaN if
        the value of a known pixel is not finite.
    """
    if known.sum() < 2:
        return np.ones_like(values)
    if not np.isfinite(values[known]).all():
        return np.full_like(values, np.nan)
    columns = np.stack([values[known], np.ones(known.sum())], 1).astype(np.float64)
    (scale, shift), *_ = np.linalg.lstsq(columns, 1 / truth[known].astype(np.float64), rcond=None)
    return np.maximum(scale * values + shift, nearest).astype(np.float32)
