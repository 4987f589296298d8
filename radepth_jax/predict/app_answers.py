"""What the app shows, as functions from pictures to pictures and files. They need no browser."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.errors import UserError
from radepth_jax.pictures import colorize
from radepth_jax.predict import Predictor, load, outputs
from radepth_jax.predict.inputs import find_inputs, read_image
from radepth_jax.predict.request import Request
from radepth_jax.predict.run import FILM_SUFFIX, predict_files

NARROWEST, WIDEST = 128, 1024
"""The least and the largest width on the slider, in pixels."""
HIGHEST = 2 * WIDEST
"""The largest height in pixels. A picture that would need more is squeezed for the network."""
STEP = 32
"""The sides of every resolution are multiples of this, which suits every network."""
FOV = 70.0
"""The horizontal field of view in degrees that the 3D view assumes unless another one is given."""


@dataclass(frozen=True)
class Answer:
    """Depth of one picture by one network.

    Attributes:
        depth: float32 [H, W].
        colours: uint8 [H, W, 3].
        caption: the network, the resolution that it saw, and the depth's range.
    """

    depth: np.ndarray
    colours: np.ndarray
    caption: str


@dataclass
class OfferedNetworks:
    """The networks that the app offers, loaded when they are first asked for.

    Attributes:
        checkpoints: maps the name that is shown to what `load` takes.
        folder: the folder in which each answer gets a new folder.
        allow_plugins: whether the modules that downloaded ones name as plugins may be imported.
    """

    checkpoints: Mapping[str, str]
    folder: Path
    allow_plugins: bool = False
    loaded: dict[str, Predictor] = field(default_factory=dict)

    def predictor(self, name: str, width: int, size: tuple[int, int]) -> Predictor:
        """The network of a name, for pictures of (h, w) `size`, at a resolution of that width."""
        if name not in self.checkpoints:
            known = ", ".join(self.checkpoints)
            raise UserError(f"{name}: no such network; expected one of {known}")
        if name not in self.loaded:
            self.loaded[name] = load(self.checkpoints[name], allow_plugins=self.allow_plugins)
        return replace(self.loaded[name], resolution=resolution_of(width, size))

    def answer(self, name: str, image: np.ndarray, width: int) -> Answer:
        """Depth of a picture.

        Args:
            name: the network's name.
            image: [H, W, 3], uint8 or float32 in [0, 1].
            width: the width of the resolution that the network sees.
        """
        predictor = self.predictor(name, width, image.shape[:2])
        depth = predictor(image)
        unit = "units" if predictor.metres_per_unit is None else "m"
        seen = "x".join(str(side) for side in predictor.resolution or ())
        caption = (
            f"{name} at {seen}: {depth.min():.2f} to {np.percentile(depth, 95):.2f} {unit} "
            "(95 % of the pixels)"
        )
        return Answer(depth, colorize(1 / depth), caption)

    def read(self, path: Path) -> np.ndarray:
        """A picture file as every command reads it: uint8, or float32 in [0, 1], [H, W, 3].

        Raises:
            UserError: The file is not a picture.
        """
        try:
            return read_image(path)
        except ValueError as error:
            raise UserError(f"{path.name}: {error}") from None

    def sweep(self, name: str, image: np.ndarray, widths: Sequence[int]) -> list[Answer]:
        """The same picture at several resolutions."""
        return [self.answer(name, image, width) for width in widths]

    def files(self, depth: np.ndarray, image: np.ndarray, fov: float) -> dict[str, Path]:
        """What `radepth predict` writes of a picture, and a surface for the 3D view (`glb`)."""
        folder = self.new_folder()
        intrinsics = parse_intrinsics(None, fov, depth.shape)
        kinds = ("color", "png", "npy", "ply", "glb")
        paths = {kind: folder / f"depth{outputs.SUFFIXES[kind]}" for kind in kinds}
        outputs.write_color(paths["color"], depth)
        outputs.write_png(paths["png"], depth)
        outputs.write_npy(paths["npy"], depth)
        outputs.write_ply(paths["ply"], depth, image, intrinsics)
        outputs.write_glb(paths["glb"], depth, image, intrinsics)
        return paths

    def film(self, name: str, video: Path, width: int) -> Path:
        """A video beside its depth.

        Raises:
            UserError: The file is not a video, or none of its frames can be read.
        """
        folder = self.new_folder()
        found = find_inputs([video], folder)
        # The resolution is fixed once for all films, so the height is that of a usual one, 16:9.
        predictor = self.predictor(name, width, (9, 16))
        summary = predict_files(predictor, found.inputs, Request(folder, save=("npy",)))
        if summary.failures or not summary.videos:
            raise UserError((summary.failures or [f"{video.name}: not a video"])[0])
        return next(folder.glob(f"*{FILM_SUFFIX}"))

    def new_folder(self) -> Path:
        """A new folder for one answer."""
        return Path(tempfile.mkdtemp(dir=self.folder))


def resolution_of(width: int, size: tuple[int, int]) -> tuple[int, int]:
    """A resolution (width, height) of about that width, in the shape of (h, w) `size`.

    Both sides are multiples of `STEP`. The height is 2 `STEP` to `HIGHEST`, whatever the shape is.
    """
    h, w = size
    wide = min(max(round(width / STEP) * STEP, NARROWEST), WIDEST)
    return wide, min(max(round(wide * h / w / STEP) * STEP, 2 * STEP), HIGHEST)


def depth_at(depth: np.ndarray, column: int, row: int) -> str:
    """The depth of one pixel, and the share of the picture that is nearer."""
    value = depth[row, column]
    return f"({column}, {row}): depth {value:.3f}, farther than {np.mean(depth < value):.0%}"
