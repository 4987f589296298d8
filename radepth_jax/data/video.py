"""Your own footage: a data set from video files and folders of images."""

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import tensorflow_datasets as tfds

from radepth_jax.data import schema
from radepth_jax.data.builder import FrameDatasetBuilder
from radepth_jax.data.clips import Clip, crop_camera, list_clips, listed, name_clips
from radepth_jax.data.films import Picture, read_film
from radepth_jax.data.folder import list_folder, read_listing
from radepth_jax.data.lens import Lens, straightener
from radepth_jax.data.pictures import encode_image
from radepth_jax.data.selection import MIN_FRAMES, Selection, choose
from radepth_jax.data.text import read_poses, read_text
from radepth_jax.errors import UserError
from radepth_jax.names import shown
from radepth_jax.settings import check_choice

Edit = Callable[[np.ndarray], np.ndarray]  # uint8 [h, w, 3] to the same, perhaps smaller


@dataclasses.dataclass(eq=False, kw_only=True)
class VideoConfig(tfds.core.BuilderConfig):
    """What to prepare. One of `intrinsics`, `fov`, `unknown_camera` and `clips` has to be given.

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
        clips: a file in YAML or JSON that names clips and gives each of them its camera, in place
            of `source`. Its lines are such as `drive.mp4: {fov: 70}`; instead of `fov` they have
            `intrinsics` [fx, fy, cx, cy] or the file of a `camera`, and they may have `distortion`
            [k1, k2, p1, p2, k3], `fisheye: true`, a `crop` [x, y, width, height], and the file of
            the camera's `poses`, which odometry is compared with.
        stride: every `stride`-th frame is kept.
        min_change: the least change between frames that are kept. It is the mean absolute
            difference, in levels of 255, of their 64x36 grey versions. 0 keeps all frames.
        bonnet: what is done about a bonnet, a dashboard or a black bar at the bottom of a clip,
            which moves with the camera: "crop" cuts it off, "keep" keeps it. A clip whose `crop` is
            given is left as it is, and so is one of an unknown camera, whose principal point has to
            be in the middle.
        validation_share: the share of each clip's kept frames, at its end, that is held out.
        sampling: how often training sees a clip: "length" is as often as it has frames; "even" is
            all clips equally often, and repeats the samples of shorter ones.
    """

    source: str | Path | Sequence[str | Path] | None = None
    intrinsics: str | Sequence[str] | None = None
    fov: float | Sequence[float] | None = None
    unknown_camera: bool = False
    clips: str | Path | None = None
    stride: int = 1
    min_change: float = 0.5
    bonnet: Literal["crop", "keep"] = "crop"
    validation_share: float = 0.1
    sampling: Literal["length", "even"] = "length"


class Video(FrameDatasetBuilder):
    """Videos and folders of images, one camera (0) each, without depth.

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
    REQUIRED: ClassVar[dict[str, str]] = {}

    def prepared_from(self) -> dict[str, Any]:
        """The source and all options. A list of one value counts as that value."""
        options = super().prepared_from()
        if options["clips"] is not None:  # what it says, because a file may change
            options["clips"] = read_text(Path(options["clips"]))
        return {k: v[0] if isinstance(v, list) and len(v) == 1 else v for k, v in options.items()}

    def contents(self, dl_manager: tfds.download.DownloadManager) -> schema.Contents:
        """Goes through the footage once to choose frames. It is read again to store them."""
        del dl_manager
        config = self.builder_config
        _check_options(config)
        problems: list[str] = []
        given = list_clips(config.source, config.intrinsics, config.fov, config.clips, problems)
        clips = [
            self._clip(clip, name, problems)
            for clip, name in zip(given, name_clips(given), strict=True)
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

    def _clip(self, clip: Clip, name: str, problems: list[str]) -> "_Footage":
        config = self.builder_config
        read = _reader(clip.path, problems)
        selection = choose(
            clip.path,
            read(),
            stride=config.stride,
            min_change=config.min_change,
            problems=problems,
            progress=lambda count: self._progress("choosing", count, None),
        )
        if config.bonnet == "crop" and clip.crop is None and not config.unknown_camera:
            clip = _without_bonnet(clip, selection, problems)
        numbers = list(selection.chosen.values())
        held_out = min(round(config.validation_share * len(numbers)), len(numbers) - MIN_FRAMES)
        K, edit = _camera(clip, selection, config.unknown_camera, problems)
        poses = None
        if clip.poses is not None:
            poses = read_poses(clip.poses, hint="it should hold the poses of a clip")
        if poses is not None and len(poses) <= max(selection.chosen):
            raise UserError(
                f"{shown(clip.poses)}: {len(poses)} poses, but {shown(clip.path)} has "
                f"{max(selection.chosen) + 1} frames or more; expected a line for each frame"
            )
        return _Footage(
            name=name,
            read=read,
            chosen=selection.chosen,
            first_held_out=numbers[-held_out] if held_out else numbers[-1] + 1,
            intrinsics=K,
            edit=edit,
            world_T_camera=poses,
        )


def _without_bonnet(clip: Clip, selection: Selection, problems: list[str]) -> Clip:
    share = selection.static_edges.bonnet()
    if share is None:
        return clip
    h, w = selection.size
    kept = int(share * h)
    problems.append(
        f"{clip.path}: the {h - kept} lowest of {h} rows are cut off, because they move with the "
        "camera, as a bonnet does; `radepth prepare video --bonnet keep` keeps them"
    )
    return dataclasses.replace(clip, crop=(0, 0, w, kept))


def _camera(
    clip: Clip, selection: Selection, unknown: bool, problems: list[str]
) -> tuple[np.ndarray, Edit | None]:
    """The intrinsics [3, 3] of a clip's stored frames, and how a frame becomes a stored one."""
    K, lens = np.full((3, 3), np.nan), Lens()
    if not unknown:
        K, lens = clip.camera(selection.size, selection.aspect)
    straighten: Edit | None = None
    if lens.bends:
        straighten, K = straightener(K, lens, selection.size)
        problems.append(f"{shown(clip.path)}: straightened, because its lens bends the image")
    if clip.crop is None:
        return K, straighten
    K, kept = crop_camera(clip, K, selection.size)
    if straighten is None:
        return K, lambda picture: picture[kept]
    return K, lambda picture: straighten(picture)[kept]


@dataclasses.dataclass(frozen=True)
class _Footage:
    """One source's frames.

    Attributes:
        name: what its sequences' names begin with. Empty if there is only one clip.
        read: reads all of its footage.
        chosen: maps a frame's number in the footage to its number in the data set, ascending.
        first_held_out: the number in the data set of the first frame that is held out.
        intrinsics: [3, 3]. NaN means unknown.
        edit: undoes the lens in a picture and crops it. None if pictures are stored as they are.
        world_T_camera: float64 [N, 4, 4], of each frame of the footage. None means unknown.
    """

    name: str
    read: Callable[[], Iterator[Picture]]
    chosen: dict[int, int]
    first_held_out: int
    intrinsics: np.ndarray
    edit: Edit | None = None
    world_T_camera: np.ndarray | None = None  # noqa: N815

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
        poses = self.world_T_camera
        for picture in self.read():
            if picture.number in self.chosen:
                number = self.chosen[picture.number]
                image: bytes | Path | None = picture.file
                if image is None or self.edit:
                    pixels = picture.decode()
                    image = encode_image(self.edit(pixels) if self.edit else pixels, "JPEG")
                yield schema.Frame(
                    image=image,
                    sequence=self.sequence(number),
                    camera=0,
                    frame=number,
                    intrinsics=self.intrinsics,
                    world_T_camera=poses[picture.number] if poses is not None else None,
                    origin=picture.origin,
                    time=None if picture.time is None else float(picture.time),
                )


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
    if bool(listed(config.source)) == bool(config.clips):
        raise UserError(
            "video: give either --source, a video file or a folder of images, or --clips, a file "
            "that names clips with a camera each"
        )
    given = (listed(config.intrinsics), listed(config.fov), config.unknown_camera, config.clips)
    if sum(map(bool, given)) != 1:
        raise UserError(
            "video: give either the intrinsics 'fx,fy,cx,cy' in pixels, or the horizontal field of "
            "view (fov) in degrees, or unknown_camera to have the focal length learned; a file of "
            "clips has their cameras itself"
        )
    if isinstance(config.stride, bool) or not isinstance(config.stride, int) or config.stride < 1:
        raise UserError(f"video: stride {config.stride!r}: expected a whole number from 1")
    if not config.min_change >= 0:
        raise UserError(f"video: min_change {config.min_change!r}: expected a number from 0")
    if not 0 <= config.validation_share < 1:
        raise UserError(
            f"video: validation_share {config.validation_share!r}: expected 0 to less than 1"
        )
    check_choice("video: bonnet", config.bonnet, ("crop", "keep"))
    check_choice("video: sampling", config.sampling, ("length", "even"))
