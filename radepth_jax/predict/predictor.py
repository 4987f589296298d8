"""A trained model as a function from pictures to depth."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import jax
import jax.numpy as jnp
import numpy as np

from radepth_jax.errors import UserError
from radepth_jax.inference.depth import depth_of_batch
from radepth_jax.inference.disparity import Resolution
from radepth_jax.models.depth import check_resolution
from radepth_jax.models.fold import fold_norms
from radepth_jax.platforms import place_weights
from radepth_jax.predict.canvases import Size, rounded_up, share_canvases
from radepth_jax.predict.inputs import as_picture, read_image
from radepth_jax.runs.config import parse_resolution
from radepth_jax.runs.saved_model import Model, load_model

Tag = TypeVar("Tag")
# A picture or an array of pictures: its values, or the path of its file.
Picture = np.ndarray | jax.Array | str | os.PathLike[str]
Pictures = list[Any] | tuple[Any, ...]

NATIVE = "native"
# Pixels of a batch's canvases, which bound its memory. Each canvas takes a few float images if it
# is resized to the network's resolution, and all of the network's features if it is not.
RESIZED_PIXELS, NATIVE_PIXELS = 2**25, 2**22
# The largest input of a network. A pixel takes a hundred bytes of features in a small network, and
# thousands in a large one. Resizing features takes a matrix of a side's length squared.
MOST_PIXELS, LONGEST_SIDE = 2**25, 2**15
_AT_MOST = f"{MOST_PIXELS:,} pixels, and {LONGEST_SIDE:,} a side, at most"


@dataclass(frozen=True)
class Predictor:
    """`depth = predictor(picture)`: see `__call__`.

    Attributes:
        model: the model that predicts. Its depth network has its norms folded.
        resolution: (width, height) of the network's input. None means each picture's own size,
            which is edge-padded to multiples of the network's stride. The depth is cropped back.
        flip: whether to average with the mirrored picture's depth. It takes twice the time.
        metres_per_unit: the factor from the network's depth to metres. With None, depth is up to an
            unknown scale.
        batch_size: the largest number of pictures that are predicted at once.
    """

    model: Model
    resolution: Resolution | None
    flip: bool = False
    metres_per_unit: float | None = None
    batch_size: int = 8

    @overload
    def __call__(self, pictures: Picture, *, as_jax: Literal[False] = False) -> np.ndarray: ...

    @overload
    def __call__(
        self, pictures: Pictures, *, as_jax: Literal[False] = False
    ) -> list[np.ndarray]: ...

    @overload
    def __call__(self, pictures: Picture, *, as_jax: Literal[True]) -> jax.Array: ...

    @overload
    def __call__(self, pictures: Pictures, *, as_jax: Literal[True]) -> list[jax.Array]: ...

    def __call__(self, pictures: Picture | Pictures, *, as_jax: bool = False) -> Any:
        """Depth of one picture, or of many.

        The first call at a resolution compiles, which takes half a minute for the full network on a
        CPU. Later calls reuse the program for pictures of about the same size. Give many pictures
        of different sizes in one call: it compiles once, or a few times if one canvas for all would
        be much too large for most. At native resolution it compiles once for each padded size.

        Args:
            pictures: one picture, which is uint8 [H, W, 3] or floats [H, W, 3] in [0, 1], RGB; an
                array [B, H, W, 3] of pictures; the path of an image file or of such an array
                (`.npy`); or a list of any of these.
            as_jax: whether depth stays on the device, as arrays of JAX. Otherwise it is copied into
                arrays of NumPy.

        Returns:
            float32 [H, W] for one picture, [B, H, W] for an array of them, and a list of [H, W] for
            a list. Depth is the distance along the optical axis at every pixel. It is in metres if
            `metres_per_unit` is known, and up to one unknown scale otherwise.

        Raises:
            UserError: `pictures` is something else, or a file cannot be read.
        """
        if isinstance(pictures, str | os.PathLike):
            return self._predict([_as_picture(pictures)], as_jax)[0]
        if isinstance(pictures, list | tuple):
            return self._predict([_as_picture(picture) for picture in pictures], as_jax)
        array = np.asarray(pictures)
        if array.ndim == 4:
            stack = jnp.stack if as_jax else np.stack
            return stack(self._predict([_as_picture(picture) for picture in array], as_jax))
        return self._predict([_as_picture(array)], as_jax)[0]

    def _predict(self, pictures: Sequence[np.ndarray], as_jax: bool) -> list[Any]:
        if not pictures:
            raise UserError("no pictures given; expected at least one")
        for picture in pictures:
            try:
                self.check_size(picture.shape[:2])
            except ValueError as error:
                raise UserError(str(error)) from None
        results: list[Any] = [None] * len(pictures)
        for canvas, members in self.group([picture.shape[:2] for picture in pictures]).items():
            items = [(index, pictures[index]) for index in members]
            batch_size = self.batch_for(canvas, len(items))
            for batch in self.stream(items, canvas, batch_size, as_jax=as_jax):
                for index, _, depth in batch:
                    results[index] = depth
        return results

    def check_size(self, size: Size) -> None:
        """Raises a ValueError if a picture (h, w) is too large for the network at its own size."""
        stride = self.model.networks.depth.stride
        height, width = rounded_up(size, stride, least=2 * stride)
        if self.resolution is None and _too_large(width, height):
            raise ValueError(
                f"{size[1]}x{size[0]}: at native resolution the network would see {width}x{height}"
                f", and it takes {_AT_MOST}; give a resolution, such as 640x192"
            )

    def group(self, sizes: Sequence[Size]) -> dict[Size, list[int]]:
        """Which pictures share a program: maps each canvas (H0, W0) to their indices.

        At a fixed resolution `share_canvases` decides. At native resolution the network sees the
        canvas itself, so there is one canvas for each padded size.

        Args:
            sizes: the (h, w) of each picture.
        """
        if self.resolution is not None:
            return share_canvases(sizes)
        groups: dict[Size, list[int]] = {}
        stride = self.model.networks.depth.stride
        for index, size in enumerate(sizes):
            groups.setdefault(rounded_up(size, stride, least=2 * stride), []).append(index)
        return groups

    def batch_for(self, canvas: Size, number: int | None = None) -> int:
        """How many pictures on this canvas are predicted at once.

        Args:
            canvas: (H0, W0).
            number: how many pictures there are in all, if that is known.
        """
        limit = NATIVE_PIXELS if self.resolution is None else RESIZED_PIXELS
        fitting = max(1, limit // (canvas[0] * canvas[1]))
        return min(self.batch_size, fitting, number or self.batch_size)

    def stream(
        self,
        items: Iterable[tuple[Tag, np.ndarray]],
        canvas: Size,
        batch_size: int,
        *,
        as_jax: bool = False,
    ) -> Iterator[list[tuple[Tag, np.ndarray, Any]]]:
        """Predict pictures as they come. The next batch runs while the caller uses the last one.

        Args:
            items: pairs of anything and a picture, which is uint8 [h, w, 3] or float32 [h, w, 3]
                in [0, 1], and no larger than the canvas. If a batch has a float picture, all of it
                becomes floats, which takes one more program.
            canvas: (H0, W0), from `group`.
            batch_size: from `batch_for`. A smaller last batch is filled up instead of compiled.
            as_jax: whether depth stays on the device.

        Yields:
            Batches of triples: the item's first part, the picture, and its depth, float32 [h, w].
        """
        waiting = None
        for batch in _in_batches(items, batch_size):
            ahead = (batch, self._start([picture for _, picture in batch], canvas, batch_size))
            if waiting is not None:
                yield _finish(*waiting, as_jax)
            waiting = ahead
        if waiting is not None:
            yield _finish(*waiting, as_jax)

    def _start(self, pictures: list[np.ndarray], canvas: Size, batch_size: int) -> jax.Array:
        filled = pictures + [pictures[-1]] * (batch_size - len(pictures))
        dtype = np.result_type(*{picture.dtype for picture in filled})
        return depth_of_batch(
            {"depth": self.model.variables["depth"]},
            np.stack([_padded(picture, canvas, dtype) for picture in filled]),
            np.array([picture.shape[:2] for picture in filled], np.int32),
            np.float32(1 if self.metres_per_unit is None else self.metres_per_unit),
            networks=self.model.networks,
            resolution=self.resolution,
            flip=self.flip,
            depth_range=self.model.depth_range,
        )


def load(
    workdir: str | Path = "default",
    *,
    resolution: str | Resolution | None = None,
    flip: bool = False,
    scale: float | None = None,
    batch_size: int = 8,
    allow_plugins: bool = False,
) -> Predictor:
    """The newest checkpoint of a run as a function from pictures to depth.

    Example:
        from radepth_jax.predict import load
        model = load()  # or load("runs/street")
        depth = model(image)  # uint8 [H, W, 3], or floats in [0, 1] -> float32 [H, W]

    Args:
        workdir: the `--workdir` of a training run, or a converted model's folder. By default it is
            the bundled model, a small one for road scenes.
        resolution: the network's input as (width, height) or "WIDTHxHEIGHT", or "native" for each
            picture's own size. By default it is the training resolution.
        flip: whether to average with the mirrored picture's depth.
        scale: metres per unit of depth. By default it is the checkpoint's, if it has one.
        batch_size: the largest number of pictures that are predicted at once.
        allow_plugins: whether to import the modules that a downloaded model names as its plugins.

    Raises:
        UserError: There is no checkpoint, or an option cannot be used.
    """
    if batch_size < 1:
        raise UserError(f"batch_size {batch_size}: expected a whole number from 1")
    if scale is not None and not 0 < scale < float("inf"):
        raise UserError(f"scale {scale}: expected a positive number of metres per unit of depth")
    model = load_model(workdir, allow_plugins=allow_plugins)
    size: Resolution | None = None
    if resolution != NATIVE:
        chosen = model.config.views.resolution if resolution is None else resolution
        if isinstance(chosen, str):
            chosen = parse_resolution("resolution", chosen)
        size = (int(chosen[0]), int(chosen[1]))
        check_resolution(size, model.networks.depth.stride)
        if _too_large(*size):
            raise UserError(f"resolution {size[0]}x{size[1]}: the network takes {_AT_MOST}")
    depth, variables = fold_norms(model.networks.depth, model.variables["depth"])
    placed = place_weights(model.variables | {"depth": variables}, jax.local_devices()[0])
    return Predictor(
        model=replace(model, networks=model.networks._replace(depth=depth), variables=placed),
        resolution=size,
        flip=flip,
        metres_per_unit=model.metric_scale if scale is None else scale,
        batch_size=batch_size,
    )


def _as_picture(given: Any) -> np.ndarray:
    if isinstance(given, str | os.PathLike):
        try:
            return read_image(Path(given))
        except ValueError as error:
            raise UserError(f"{given}: {error}") from None
    try:
        return as_picture(np.asarray(given))
    except ValueError as error:
        raise UserError(f"a picture of {error}") from None


def _too_large(width: int, height: int) -> bool:
    return width * height > MOST_PIXELS or max(width, height) > LONGEST_SIDE


def _padded(picture: np.ndarray, canvas: Size, dtype: np.dtype) -> np.ndarray:
    """The picture with its last row and column repeated: [H0, W0, 3], uint8 or float32."""
    h, w = picture.shape[:2]
    if picture.dtype != dtype:  # uint8 levels in a batch of floats
        picture = picture / np.float32(255)
    filled = np.empty((*canvas, 3), dtype)
    filled[:h, :w] = picture
    filled[h:, :w] = picture[-1]
    filled[:, w:] = filled[:, w - 1 : w]
    return filled


def _in_batches(items: Iterable[Tag], batch_size: int) -> Iterator[list[Tag]]:
    batch: list[Tag] = []
    for item in items:
        batch.append(item)
        if len(batch) == batch_size:
            yield batch
            batch = []
    if batch:
        yield batch


def _finish(
    batch: list[tuple[Tag, np.ndarray]], depth: jax.Array, as_jax: bool
) -> list[tuple[Tag, np.ndarray, Any]]:
    maps = depth if as_jax else np.asarray(depth)
    return [
        (tag, picture, maps[i, : picture.shape[0], : picture.shape[1]])
        for i, (tag, picture) in enumerate(batch)
    ]
