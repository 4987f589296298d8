"""Evaluates depth maps that another program wrote."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image

from radepth_jax.data import EvaluationSource
from radepth_jax.data.depth_png import read_depth_png
from radepth_jax.data.pictures import lies_on_its_side
from radepth_jax.errors import UserError, reason
from radepth_jax.evaluation.method import NOT_TIMED, Method, Step, check_scaling, one_by_one
from radepth_jax.files import open_npy
from radepth_jax.names import counted, examples, hidden, natural, shown
from radepth_jax.runs.protocol import Protocol

# Where an image has several files, the one whose ending comes first here is read.
SUFFIXES = (".npy", ".pfm", ".exr", ".png")
KINDS = ("depth", "disparity")
PNG_LEVELS = 256.0  # levels of a 16-bit PNG that make one unit, for KITTI and `radepth predict`


def find_predictions(folder: Path, names: Sequence[str]) -> list[Path]:
    """The file of each image.

    An image is called `SEQUENCE/CAMERA/FRAME`. A file is called by its path below the folder,
    without its ending, and `_` counts as `/`. It belongs to an image if it is called like the
    image, or `SEQUENCE/FRAME` or `FRAME` if these are as clear. It may end in `_depth` or `_disp`,
    and frames may lack zeros. If the names do not tell, and there are as many files as images, the
    files are taken in natural order.

    Args:
        folder: holds the files, perhaps in folders.
        names: the images' names, in the split's order.

    Raises:
        UserError: It cannot be told which files belong to the images.
    """
    if not folder.is_dir():
        raise UserError(f"{shown(folder)}: no such folder; expected one with a depth map an image")
    by_stem: dict[str, Path] = {}
    for suffix in SUFFIXES:
        for path in folder.rglob("*"):
            below = path.relative_to(folder)
            if path.suffix.lower() == suffix and not any(map(hidden, below.parts)):
                stem = below.with_suffix("").as_posix().removesuffix("_depth").removesuffix("_disp")
                by_stem.setdefault(stem, path)
    files = {_key(stem): path for stem, path in by_stem.items()}
    parts = [name.rsplit("/", 2) for name in names]  # sequence, camera, frame
    for wanted in ((0, 1, 2), (0, 2), (2,)):
        keys = [_key("/".join(own[i] for i in wanted)) for own in parts]
        if len(set(keys)) == len(names) and all(key in files for key in keys):
            return [files[key] for key in keys]
    if len(by_stem) == len(names):
        return [by_stem[stem] for stem in sorted(by_stem, key=natural)]
    raise UserError(
        f"{shown(folder)}: {counted(len(by_stem), 'depth map')} ({examples(sorted(by_stem), 2)}) "
        f"for {counted(len(names), 'image')}; expected a {', '.join(SUFFIXES)} file for each, such "
        f"as {names[0].replace('/', '_')}.npy, or as many in the split's order"
    )


def _key(name: str) -> tuple[str, ...]:
    """The words of a name, without the zeros that they begin with."""
    return tuple(word.lstrip("0") or "0" for word in name.replace("/", "_").split("_"))


def read_prediction(path: Path, *, png_levels: float = PNG_LEVELS) -> np.ndarray:
    """A depth map or a disparity map as float32 [h, w]. 0 means that there is no value.

    Args:
        path: an NPY file of [h, w], [h, w, 1] or [1, h, w]; a grey PFM; an EXR file that has a
            channel of depth, a single channel or equal channels; or a 16-bit PNG.
        png_levels: how many levels of a PNG make one unit.

    Raises:
        UserError: The file is none of these. The message names it.
    """
    try:
        if path.suffix.lower() == ".png":
            values = read_depth_png(path, unit=1 / png_levels)
        elif path.suffix.lower() == ".pfm":
            values = _read_pfm(path)
        elif path.suffix.lower() == ".exr":
            values = _read_exr(path)
        else:
            values = open_npy(path)
            values = values[..., 0] if values.ndim == 3 and values.shape[-1] == 1 else values
            values = values[0] if values.ndim == 3 and values.shape[0] == 1 else values
        if values.ndim != 2 or not values.size or values.dtype.kind not in "fiu":
            raise ValueError(f"{values.dtype} {list(values.shape)}, expected numbers [H, W]")
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{shown(path)}: not a depth map ({reason(error)})") from None
    values = values.astype(np.float32)
    return np.where(np.isfinite(values) & (values > 0), values, 0)


def _read_pfm(path: Path) -> np.ndarray:
    """The values of a portable float map, float32 [h, w]. The file's first row is the lowest."""
    data = path.read_bytes()
    header = re.match(rb"Pf\s+(\d+)\s+(\d+)\s+([-+.\deE]+)\s", data)
    if header is None:
        raise ValueError("not a grey PFM")
    width, height, scale = int(header[1]), int(header[2]), float(header[3])
    body = data[header.end() :]
    if width < 1 or height < 1 or len(body) < 4 * width * height:
        raise ValueError(f"{len(body)} bytes for {width}x{height} values")
    values = np.frombuffer(body, "<f4" if scale < 0 else ">f4", width * height)
    return values.reshape(height, width)[::-1]


def _read_exr(path: Path) -> np.ndarray:
    """The values [h, w] of the channel `Z`, `depth`, `disparity` or `Y`, or of the only channel."""
    try:
        import OpenEXR
    except ImportError:
        raise UserError(
            f"{shown(path)}: reading EXR needs OpenEXR: pip install 'radepth-jax[exr]'"
        ) from None
    try:
        with OpenEXR.File(str(path)) as file:
            channels = {name: np.array(c.pixels) for name, c in file.channels().items()}
    except RuntimeError as error:
        raise ValueError(reason(error)) from None
    by_name = {name.rsplit(".", 1)[-1].lower(): name for name in channels}
    wanted = [by_name[n] for n in ("z", "depth", "disparity", "y", "v", "r") if n in by_name]
    if not wanted and len(channels) > 1:
        raise ValueError(f"channels {', '.join(channels)}, none of them depth (Z)")
    values = channels[wanted[0] if wanted else next(iter(channels))]
    if values.ndim == 3 and (values == values[..., :1]).all():  # grey, as RGB
        values = values[..., 0]
    return values


def folder_method(
    folder: str | Path,
    source: EvaluationSource,
    *,
    protocol: Protocol,
    kind: str = "depth",
    factor: float = 1.0,
    png_levels: float = PNG_LEVELS,
    model: str = "predictions",
) -> Method:
    """The depth maps of a folder. Each is resized to the size of its ground truth.

    Args:
        folder: where `find_predictions` finds them.
        source: the images that they belong to.
        protocol: how predictions are compared with the ground truth. Its scaling is "median" or
            "none".
        kind: "depth", or "disparity", which is 1 / depth.
        factor: metres per unit of depth, for the scaling "none".
        png_levels: how many levels of a PNG make one unit.
        model: the name in the table.

    Raises:
        UserError: Files are missing. While the method is evaluated: a file cannot be read, or it
            has no value at a pixel with ground truth.
    """
    if kind not in KINDS:
        raise UserError(f"predictions are {' or '.join(KINDS)}, not {kind!r}")
    check_scaling("--predictions", protocol)
    names = [source.name(i) for i in range(len(source))]
    paths = find_predictions(Path(folder).expanduser(), names)

    def depth_of(image: int, sample: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
        path = paths[image]
        values = read_prediction(path, png_levels=png_levels)
        return _on_canvas(path, values, sample, protocol, kind), NOT_TIMED

    run = one_by_one(depth_of, protocol=protocol, scalings=protocol.scalings, factor=factor)
    return Method(model, protocol.scalings, lambda: [Step("as given", run)])


def _on_canvas(
    path: Path, values: np.ndarray, sample: dict[str, np.ndarray], protocol: Protocol, kind: str
) -> np.ndarray:
    """Depth on the canvas of the ground truth. Pixels that do not count and have no value are 1."""
    h, w = (int(side) for side in sample["depth_size"])
    image_h, image_w = (int(side) for side in sample["size"])
    if lies_on_its_side((values.shape[0], values.shape[1]), (image_h, image_w)):
        raise UserError(
            f"{shown(path)}: {values.shape[1]}x{values.shape[0]}, but its image is "
            f"{image_w}x{image_h}: the map lies on its side; write it [h, w], rows first"
        )
    depth = _resized(values, (h, w))
    with np.errstate(divide="ignore"):
        depth = depth if kind == "depth" else np.where(depth > 0, 1 / depth, 0)
    truth = sample["depth"]
    known = (truth > protocol.min_depth) & (truth < protocol.max_depth)
    silent = int((known[:h, :w] & (depth == 0)).sum())
    if silent:
        raise UserError(
            f"{shown(path)}: no value at {silent} of the {int(known.sum())} pixels with ground "
            "truth; fill them first"
        )
    on_canvas = np.ones(truth.shape, np.float32)
    on_canvas[:h, :w] = np.where(depth > 0, depth, 1)
    return on_canvas


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The map [h, w] at another size, interpolated bilinearly if every pixel has a value."""
    if values.shape == size:
        return values
    way = PIL.Image.Resampling.BILINEAR if values.all() else PIL.Image.Resampling.NEAREST
    return np.asarray(PIL.Image.fromarray(values).resize(size[::-1], way))
