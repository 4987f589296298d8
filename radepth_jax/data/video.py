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
from radepth_jax.data.films import Picture, is_film, read_film
from radepth_jax.data.folder import list_folder, read_listing
from radepth_jax.data.intrinsics import parse_camera
from radepth_jax.data.lens import Lens, straightener
from radepth_jax.data.pictures import IMAGE_SUFFIXES, encode_image, is_picture
from radepth_jax.data.selection import MIN_FRAMES, choose
from radepth_jax.errors import UserError
from radepth_jax.names import counted, examples, shown, visible
from radepth_jax.settings import check_choice


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """What to prepare. One of `intrinsics`, `fov` and `unknown_camera` has to be given.

    There is one camera for all clips, or one for each.

    Attributes:
        source: a video file, or a folder of images whose names sort in time (`2.png` before
            `10.png`). Several of them are the clips. A folder without images stands for the films
            and folders in it.
        intrinsics: `fx,fy,cx,cy` in pixels of the footage, where integer coordinates are pixel
            centres. Or it is a camera's file: COLMAP's cameras.txt, a transforms.json, or ROS's
            camera_info in YAML. If the file says that the lens bends the image, the frames are
            straightened.
        fov: the horizontal field of view in degrees. The principal point is then in the middle, and
            pixels are square unless a video says otherwise.
        unknown_camera: whether the camera is not known. Training learns its focal length then, with
            config.pose.learned_fov=60. All clips share one camera.
        stride: every `stride`-th frame is kept.
        min_change: the least change between frames that are kept. It is the mean absolute
            difference, in levels of 255, of their 64x36 grey versions. 0 keeps all frames.
        validation_share: the share of each clip's kept frames, at its end, that is held out.
        sampling: how often training sees a clip: "length" is as often as it has frames; "even" is
            all clips equally often, and repeats the samples of shorter ones.
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

    A video's frames are stored as JPEG of quality 95, turned upright if the file says so. A
    folder's files are stored as they are, and turned when they are read. Straightened frames are
    stored as JPEG. Frames that cannot be decoded, or that have another size than most, are left out
    and listed in `problems.txt`, together with the number of near-static frames.

    The training and the held-out frames are two sequences, `train` and `validation`, so no sample
    has a neighbour in the other split. Several clips have `CLIP-train` and `CLIP-validation`
    each. Frames are no neighbours across a gap of unreadable frames, a gap in a folder's frame
    numbers, or a cut between scenes.
    """

    CONFIG_CLASS = VideoConfig

    def prepared_from(self) -> dict[str, Any]:
        """The source and all options. A list of one value counts as that value."""
        options = super().prepared_from().items()
        return {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in options}

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Goes through the footage once to choose frames. It is read again to store them."""
        del dl_manager
        config = self.builder_config
        _check_options(config)
        problems: list[str] = []
        sources = find_clips([Path(one).expanduser() for one in listed(config.source)], problems)
        cameras = zip(
            _for_each(config.intrinsics, len(sources), "intrinsics"),
            _for_each(config.fov, len(sources), "fov"),
            strict=True,
        )
        clips = [
            self._clip(source, name, *camera, problems)
            for source, name, camera in zip(sources, _names(sources), cameras, strict=True)
        ]
        longest = max(len(clip.split("train")) for clip in clips)
        count = longest if config.sampling == "even" else None
        return schema.Contents(
            frames=(frame for clip in clips for frame in clip.frames()),
            samples={
                "train": [sample for clip in clips for sample in clip.samples("train", count)],
                "validation": [sample for clip in clips for sample in clip.samples("validation")],
            },
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
            problems.append(f"{shown(source)}: straightened, because its lens bends the image")
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
        name: what its sequences' names begin with. Empty if there is only one clip.
        read: reads all of its footage.
        chosen: maps a frame's number in the footage to its number in the data set, ascending.
        first_held_out: the number in the data set of the first frame that is held out.
        intrinsics: [3, 3]. NaN means unknown.
        straighten: undoes the lens in a picture. None if the lens does not bend the image.
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

    def samples(self, split: str, count: int | None = None) -> list[schema.Sample]:
        """The samples of a split. They are repeated if there are fewer than `count`."""
        numbers = self.split(split)
        repeated = itertools.islice(itertools.cycle(numbers), count or len(numbers))
        return [schema.Sample(self.sequence(number), 0, number) for number in repeated]

    def frames(self) -> Iterator[schema.Frame]:
        for picture in self.read():
            if picture.number in self.chosen:
                number = self.chosen[picture.number]
                image: bytes | Path | None = picture.file
                if image is None or self.straighten:
                    pixels = picture.decode()
                    straight = self.straighten(pixels) if self.straighten else pixels
                    image = encode_image(straight, "JPEG")
                yield schema.Frame(
                    image=image,
                    sequence=self.sequence(number),
                    camera=0,
                    frame=number,
                    intrinsics=self.intrinsics,
                    origin=picture.origin,
                    time=None if picture.time is None else float(picture.time),
                )


def listed(value: Any) -> list[Any]:
    """No value, one value or several values, as a list."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def find_clips(sources: list[Path], problems: list[str]) -> list[Path]:
    """The clips that sources stand for. A source that is not there is a UserError.

    Args:
        sources: films, folders of pictures, and folders that hold films or such folders.
        problems: gets a line about the files of a folder of clips that are passed over.
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
            names = examples(others)
            problems.append(f"{source}: passed over {files} without a film: {names}")
    return clips


def _names(sources: list[Path]) -> list[str]:
    """What each clip is called. The only clip has an empty name."""
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
    """Reads the footage, as often as it is called. Notes go to `problems`."""
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
    check_choice("video: sampling", config.sampling, ("length", "even"))
