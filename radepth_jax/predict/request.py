"""What `predict_files` is asked to do, and its summary of what it did."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from radepth_jax.data.intrinsics import check_fov
from radepth_jax.errors import UserError
from radepth_jax.pictures import color_names
from radepth_jax.predict import outputs

SAVE = ("color", "png", "npy")
COLORS = ("magma", "inferno", "viridis", "turbo", "Spectral_r", "grey")  # the best known


@dataclass(frozen=True)
class Request:
    """What to write.

    Attributes:
        output: the folder to write to.
        save: some of `outputs.SUFFIXES`.
        intrinsics: "fx,fy,cx,cy" in pixels of every picture, or a camera's file. The kinds in
            `IN_SPACE` need it, or `fov`.
        fov: the horizontal field of view in degrees.
        frames: whether the files of every video frame are written, too.
        colors: the colour map that depth is shown in, one of `pictures.color_names`.
        steady: whether the depth of films is filtered along the camera's motion. It needs
            `intrinsics` or `fov`.
    """

    output: Path
    save: Sequence[str] = SAVE
    intrinsics: str | None = None
    fov: float | None = None
    frames: bool = False
    colors: str = "magma"
    steady: bool = False

    def __post_init__(self) -> None:
        unknown = [kind for kind in self.save if kind not in outputs.SUFFIXES]
        if unknown:
            choices = ", ".join(outputs.SUFFIXES)
            raise UserError(f"--save: expected some of {choices}, got {', '.join(unknown)!r}")
        if self.colors not in color_names():
            near = ", ".join(difflib.get_close_matches(self.colors, color_names()) or COLORS)
            raise UserError(f"--colors {self.colors!r}: no such colour map; there are {near}, ...")
        if self.intrinsics is not None and self.fov is not None:
            raise UserError("give either --intrinsics or --fov, not both")
        if self.fov is not None:
            check_fov(self.fov)
        in_space = [kind for kind in self.save if kind in outputs.IN_SPACE]
        if in_space and self.intrinsics is None and self.fov is None:
            raise UserError(
                f"--save {in_space[0]}: points in space need --intrinsics fx,fy,cx,cy or --fov"
            )
        if self.steady and self.intrinsics is None and self.fov is None:
            raise UserError(
                "--steady: the camera's motion needs --intrinsics fx,fy,cx,cy or --fov DEGREES, "
                "horizontally; most dash-cams have 60 to 120"
            )


@dataclass
class Summary:
    """What was done.

    Attributes:
        images: how many image files were predicted.
        videos: how many video files were written.
        frames: how many frames these videos have.
        notes: lines on what a user should know about the inputs.
        failures: "file: reason" for each file or frame that was not predicted.
        pixels: how many pixels the 16-bit PNGs have.
        clipped: how many of these were too far for the format.
        seconds: from the end of the first batch, which compiles, to the end of the last.
        timed: how many pictures were predicted and written in that time.
        finished: the names of the inputs whose outputs are all written.
        flicker: (before, after) of the films' frames, if they were steadied.
    """

    images: int = 0
    videos: int = 0
    frames: int = 0
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    pixels: int = 0
    clipped: float = 0.0
    seconds: float = 0.0
    timed: int = 0
    finished: list[str] = field(default_factory=list)
    flicker: list[tuple[float, float]] = field(default_factory=list)
