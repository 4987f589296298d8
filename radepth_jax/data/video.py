"""Your own footage: a data set from video files and folders of images."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.films import Picture, encode_jpeg, is_film, read_film
from radepth_jax.data.folder import list_folder, read_listing
from radepth_jax.data.intrinsics import parse_camera
from radepth_jax.data.lens import Lens, straightener
from radepth_jax.data.pictures import IMAGE_SUFFIXES, is_picture
from radepth_jax.data.selection import MIN_FRAMES, choose
from radepth_jax.errors import UserError
from radepth_jax.names import counted, examples, shown, visible

SAMPLINGS = ("length", "even")


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """What to prepare. `intrinsics`, `fov` or `unknown_camera` is given.

    There is one camera for all clips, or one for each.

    Attributes:
        source: a video file, or a folder of images whose names sort in time (`2.png` before
            `10.png`); or several of them, the clips. A folder without images stands for the films
            and folders in it.
        intrinsics: `fx,fy,cx,cy` in pixels of the footage, integer coordinates are pixel centres;
            or a camera's file: COLMAP's cameras.txt, a transforms.json, ROS's camera_info in YAML.
            Where such a file says that the lens bends the image, the frames are straightened.
        fov: horizontal field of view in degrees; principal point in the middle, pixels square
            unless a video says otherwise.
        unknown_camera: nobody knows the camera; training learns its focal length, with
            config.pose.learned_fov=60. It is one camera for all clips.
        stride: keep every n-th frame.
        min_change: a frame is skipped while its 64x36 grey version differs by less than this from
            that of the last frame kept (mean absolute difference, of 255); 0 keeps all.
        validation_share: of the kept frames of each clip, the part at the end that is held out.
        sampling: how often training sees a clip: by its "length", or all clips "even"ly often, for
            which the samples of shorter ones are repeated.
    """

    source: str | Path | Sequence[str | Path] | None = None
    intrinsics: str | Sequence[str] | None = None
    fov: float | Sequence[float] | None = None
    unknown_camera: bool = False
    stride: int = 1
    min_change: float = 0.5
    validation_share: float = 0.1
    sampling: Literal["length", "even"] = "length"


class Video(FrameDatasetBuilder):
    """Videos and folders of images, one camera (0) each, without depth or poses.

    Frames of a video are stored as JPEG of quality 95, turned upright if the file says so; files of
    a folder are stored as they are, and turned when they are read. Straightened ones are JPEG.
    Frames that cannot be decoded, or are of another size than most, are left out and listed in
    `problems.txt`; so is the number of near-static frames. The training and the held-out frames are
    two sequences, `train` and `validation`, so no neighbour crosses over; a gap of unreadable
    frames, or in a folder's frame numbers, also parts neighbours, and so does a cut between scenes.
    Of several clips these are `CLIP-train` and `CLIP-validation`.
    """

    CONFIG_CLASS = VideoConfig

    def prepared_from(self) -> dict[str, Any]:
        """The source and all options."""
        config = self.builder_config
        sources = [str(Path(one).expanduser().resolve()) for one in listed(config.source)]
        later: dict[str, Any] = {}  # options that came later, where they are used
        if config.sampling != "length":
            later["sampling"] = config.sampling
        if config.unknown_camera:
            later["unknown_camera"] = True
        return {
            "source": _one_or_all(sources),
            "intrinsics": _one_or_all(listed(config.intrinsics)),
            "fov": _one_or_all(listed(config.fov)),
            "stride": config.stride,
            "min_change": config.min_change,
            "validation_share": config.validation_share,
            **later,
        }

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Goes through the footage once to choose frames; it is read again to store them."""
        del dl_manager
        config = self.builder_config
        _check_options(config)
        problems: list[str] = []
        sources = find_clips([Path(one).expanduser() for one in listed(config.source)], problems)
        names = _names(sources)
        clips = [
            self._clip(source, name, intrinsics, fov, problems)
            for source, name, intrinsics, fov in zip(
                sources,
                names,
                _for_each(config.intrinsics, len(sources), "intrinsics"),
                _for_each(config.fov, len(sources), "fov"),
                strict=True,
            )
        ]
        samples = {
            split: [
                schema.Sample(clip.sequence(n), 0, n) for clip in clips for n in clip.split(split)
            ]
            for split in ("train", "validation")
        }
        if config.sampling == "even":
            longest = max(len(clip.split("train")) for clip in clips)
            samples["train"] = [
                schema.Sample(clip.sequence(n), 0, n)
                for clip in clips
                for n in itertools.islice(itertools.cycle(clip.split("train")), longest)
            ]
        return schema.Contents(
            frames=(frame for clip in clips for frame in clip.frames()),
            samples=samples,
            total_frames=sum(len(clip.chosen) for clip in clips),
            problems=problems,
        )

    def _clip(
        self, source: Path, name: str, intrinsics: Any, fov: Any, problems: list[str]
    ) -> "_Clip":
        config = self.builder_config
        read = _reader(source, problems)
        selection = choose(
            source,
            read(),
            stride=config.stride,
            min_change=config.min_change,
            problems=problems,
            progress=lambda count: self._progress("choosing", count, None),
        )
        numbers = list(selection.chosen.values())
        K, lens = np.full((3, 3), np.nan), Lens()
        if not config.unknown_camera:
            K, lens = parse_camera(intrinsics, fov, selection.size, selection.aspect)
        straighten = None
        if lens.bends:
            straighten, K = straightener(K, lens, selection.size)
            problems.append(f"{shown(source)}: straightened, its lens bends the image")
        held_out = min(round(config.validation_share * len(numbers)), len(numbers) - MIN_FRAMES)
        return _Clip(
            name=name,
            read=read,
            chosen=selection.chosen,
            first_held_out=numbers[-held_out] if held_out else numbers[-1] + 1,
            intrinsics=K,
            straighten=straighten,
        )


@dataclasses.dataclass(frozen=True)
class _Clip:
    """One source's frames.

    Attributes:
        name: what its sequences' names begin with; empty for the only clip.
        read: all of its footage.
        chosen: number in the footage -> number in the data set, ascending.
        first_held_out: number in the data set from which on frames are validated on.
        intrinsics: [3, 3]; NaN where nobody knows them.
        straighten: undoes the lens in a picture; None where it does not bend.
    """

    name: str
    read: Callable[[], Iterator[Picture]]
    chosen: dict[int, int]
    first_held_out: int
    intrinsics: np.ndarray
    straighten: Callable[[np.ndarray], np.ndarray] | None = None

    def sequence(self, number: int) -> str:
        split = "validation" if number >= self.first_held_out else "train"
        return f"{self.name}-{split}" if self.name else split

    def split(self, split: str) -> list[int]:
        held_out = split == "validation"
        return [n for n in self.chosen.values() if (n >= self.first_held_out) == held_out]

    def frames(self) -> Iterator[schema.Frame]:
        for picture in self.read():
            if picture.number in self.chosen:
                number = self.chosen[picture.number]
                yield schema.Frame(
                    image=picture.encode()
                    if self.straighten is None
                    else encode_jpeg(self.straighten(picture.decode())),
                    sequence=self.sequence(number),
                    camera=0,
                    frame=number,
                    intrinsics=self.intrinsics,
                    origin=picture.origin,
                    time=None if picture.time is None else float(picture.time),
                )


def listed(value: Any) -> list[Any]:
    """One value, several or none, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _one_or_all(values: list[Any]) -> Any:
    return values if len(values) > 1 else values[0] if values else None


def find_clips(sources: list[Path], problems: list[str]) -> list[Path]:
    """The clips that sources stand for. Raises UserError for a source that is not there.

    Args:
        sources: films, folders of pictures, and folders that hold films or such folders.
        problems: gets a line about the files that are passed over in a folder of clips.
    """
    clips = []
    for source in sources:
        if not source.exists():
            raise UserError(f"{shown(source)}: no such file or folder")
        inside = visible(source) if source.is_dir() else []
        holds_pictures = any(path.suffix.lower() in IMAGE_SUFFIXES for path in inside) or any(
            path.is_file() and is_picture(path) for path in inside
        )
        found = [
            path
            for path in (() if holds_pictures else inside)
            if (path.is_dir() and any(is_picture(p) for p in visible(path) if p.is_file()))
            or (path.is_file() and is_film(path))
        ]
        clips += found or [source]
        others = [path.name for path in inside if path.is_file() and path not in found]
        if found and others:
            files = counted(len(others), "file")
            problems.append(f"{source}: {files} passed over, no films: {examples(others)}")
    return clips


def _names(sources: list[Path]) -> list[str]:
    """What each clip is called: nothing if it is the only one."""
    if len(sources) == 1:
        return [""]
    names = [shown(source.resolve().stem) for source in sources]
    return [
        name if names.count(name) == 1 else f"{name}_{number}"
        for number, name in enumerate(names, 1)
    ]


def _for_each(given: Any, clips: int, option: str) -> list[Any]:
    values = listed(given) or [None]
    if len(values) not in (1, clips):
        raise UserError(
            f"video: {len(values)} values of {option} for {clips} clips; give one for all, or one "
            "for each in their order"
        )
    return values * clips if len(values) == 1 else values


def _reader(source: Path, problems: list[str]) -> Callable[[], Iterator[Picture]]:
    """Reads the footage as often as it is called; notes go to `problems`."""
    if not source.is_dir():

        def note(text: str) -> None:
            line = f"{source}: {text}"
            if line not in problems:
                problems.append(line)

        return functools.partial(read_film, source, note)
    listing = list_folder(source)
    problems += listing.notes
    return functools.partial(read_listing, listing)


def _check_options(config: VideoConfig) -> None:
    if config.source is None or not listed(config.source):
        raise UserError("video: --source is missing, a video file or a folder of images")
    given = (listed(config.intrinsics), listed(config.fov), config.unknown_camera)
    if sum(map(bool, given)) != 1:
        raise UserError(
            "video: give either the intrinsics 'fx,fy,cx,cy' in pixels, or the horizontal field of "
            "view (fov) in degrees, or unknown_camera to have the focal length learned"
        )
    if isinstance(config.stride, bool) or not isinstance(config.stride, int) or config.stride < 1:
        raise UserError(f"video: stride {config.stride!r}: expected a whole number from 1")
    if not config.min_change >= 0:
        raise UserError(f"video: min_change {config.min_change!r}: expected a number from 0")
    if not 0 <= config.validation_share < 1:
        raise UserError(
            f"video: validation_share {config.validation_share!r}: expected 0 to less than 1"
        )
    if config.sampling not in SAMPLINGS:
        raise UserError(
            f"video: sampling {config.sampling!r}: expected one of {', '.join(SAMPLINGS)}"
        )
