"""What a data set looks like on disk. It is the same for every builder.

It is a TFDS data set in ArrayRecord files, which are written and read without TensorFlow. It has
these splits:

- `frames` has every frame once, in order: the encoded image, untouched, and its camera.
- `train`, `validation` and `test` have one small row for each sample. It names the target frame,
  and holds a compressed depth map if there is one. Its `image` is empty, and its matrices and time
  are NaN, because those are in `frames`.

The metadata (`metadata.json`) holds what a reader needs before it opens a record: the canvases of
images and of depth maps, where each frame is (as runs of consecutive frames), the targets of each
split, the stereo transforms, and the protocol that the field evaluates with. A sample's neighbours
are looked up when it is read, so any `frame_offsets` work.
"""

import bisect
import dataclasses
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

SCHEMA_VERSION = 1
FRAMES = "frames"
SAMPLE_SPLITS = ("train", "validation", "test")
PROBLEMS_FILE = "problems.txt"

_DEPTH_HEADER = struct.Struct("<4sII")
_DEPTH_MAGIC = b"DPT1"


@dataclasses.dataclass(frozen=True)
class Frame:
    """One image of one camera.

    Attributes:
        image: the encoded bytes (PNG or JPEG), which are stored untouched; or the path of a file
            that holds them, which is read when the frame is stored.
        sequence: the name of the recording.
        camera: the number of the camera in the recording.
        frame: the number of the frame. `frame + 1` is the next one of the same camera.
        intrinsics: [3, 3] in native pixels, where integer coordinates are pixel centres. NaN means
            unknown. Frames without intrinsics serve evaluation only.
        world_T_camera: [4, 4], for evaluation only. None means unknown.
        size: the (h, w) that the intrinsics hold for. An image of another size is not stored. None
            means that they hold for the image as it is.
        origin: where the image came from, for messages. A path need not be repeated here.
        time: seconds on the recording's clock. None means unknown.
    """

    image: bytes | Path
    sequence: str
    camera: int
    frame: int
    intrinsics: np.ndarray
    world_T_camera: np.ndarray | None = None  # noqa: N815
    size: tuple[int, int] | None = None
    origin: str = ""
    time: float | None = None


@dataclasses.dataclass(frozen=True)
class Sample:
    """A target frame of a split.

    Attributes:
        sequence: the name of the recording.
        camera: the number of the camera in the recording.
        frame: the number of the frame.
        depth: what `encode_depth` returned, or empty; or a function that reads the map, float32
            [h, w] in metres, when the sample is stored. If it raises an OSError or a ValueError,
            the sample has no depth. The map shows what the image shows, at any size.
        origin: where the depth map comes from, for messages.
    """

    sequence: str
    camera: int
    frame: int
    depth: bytes | Callable[[], np.ndarray] = b""
    origin: str = ""


@dataclasses.dataclass(frozen=True)
class StereoPair:
    """`opposite_T_camera` [4, 4] maps points of `camera` to its stereo partner `opposite`."""

    sequence: str
    camera: int
    opposite: int
    opposite_T_camera: np.ndarray  # noqa: N815


@dataclasses.dataclass
class Contents:
    """Everything that a builder writes. The iterables are consumed once, `frames` first.

    Attributes:
        frames: the frames, grouped by sequence and camera, ascending.
        samples: the samples of each split, in the order in which they are to be stored.
        stereo: both directions of every stereo pair.
        total_frames: how many frames there are, for the progress display. `frames` may have a
            length instead.
        problems: one line for each item of the source that could not be used. Lines may still be
            added while the iterables are consumed.
    """

    frames: Iterable[Frame]
    samples: Mapping[str, Iterable[Sample]]
    stereo: Sequence[StereoPair] = ()
    total_frames: int | None = None
    problems: list[str] = dataclasses.field(default_factory=list)


def features() -> tfds.features.FeaturesDict:
    """The features of every split. TFDS has one set of them for the whole data set."""
    return tfds.features.FeaturesDict(
        {
            "image": tfds.features.Tensor(shape=(), dtype=np.object_),
            "sequence": tfds.features.Text(),
            "camera": tfds.features.Scalar(np.int64),
            "frame": tfds.features.Scalar(np.int64),
            "intrinsics": tfds.features.Tensor(shape=(3, 3), dtype=np.float32),
            # These are bytes because tf.Example's numbers are float32.
            "world_T_camera": tfds.features.Tensor(
                shape=(4, 4), dtype=np.float64, encoding=tfds.features.Encoding.BYTES
            ),
            "time": tfds.features.Tensor(
                shape=(), dtype=np.float64, encoding=tfds.features.Encoding.BYTES
            ),
            "depth": tfds.features.Tensor(shape=(), dtype=np.object_),
        }
    )


def encode_depth(depth: np.ndarray) -> bytes:
    """Compress float32 [h, w] metres (0 = no value) without loss.

    The result is a header of 12 bytes (magic, h, w) and then the zlib stream of the values' bytes.
    All first bytes come first, then all second bytes, and so on: the exponents of neighbouring
    pixels agree, so they compress well once they are apart from the mantissas.
    """
    depth = np.ascontiguousarray(depth, "<f4")
    if depth.ndim != 2:
        raise ValueError(f"a depth map is [h, w], not {depth.shape}")
    planes = depth.view(np.uint8).reshape(-1, 4).T.tobytes()
    return _DEPTH_HEADER.pack(_DEPTH_MAGIC, *depth.shape) + zlib.compress(planes, 6)


def decode_depth(data: bytes) -> np.ndarray:
    """The inverse of `encode_depth`: float32 [h, w]. Other bytes are a ValueError."""
    if len(data) < _DEPTH_HEADER.size or data[:4] != _DEPTH_MAGIC:
        raise ValueError("not a depth map")
    _, h, w = _DEPTH_HEADER.unpack_from(data)
    try:
        planes = np.frombuffer(zlib.decompress(data[_DEPTH_HEADER.size :]), np.uint8)
    except zlib.error as error:
        raise ValueError(f"damaged depth map ({error})") from None
    if planes.size != 4 * h * w:
        raise ValueError(f"damaged depth map ({planes.size} bytes for {h} x {w} pixels)")
    return np.ascontiguousarray(planes.reshape(4, -1).T).view("<f4").reshape(h, w)


def depth_size(data: bytes) -> tuple[int, int]:
    """The (h, w) of a depth map that `encode_depth` made, from its header."""
    _, h, w = _DEPTH_HEADER.unpack_from(data)
    return h, w


class Run(NamedTuple):
    """Consecutive frames of one camera that are stored one after the other."""

    sequence: str
    camera: int
    first: int
    length: int
    position: int


class FrameIndex:
    """Maps (sequence, camera, frame) to its position in `frames` and back. It is kept as runs."""

    def __init__(self, runs: Iterable[Sequence[Any]] = ()):
        """The positions of `runs` ascend. A frame that occurs twice is a ValueError."""
        self.runs = [Run(*run) for run in runs]
        self._by_camera: dict[tuple[str, int], list[Run]] = {}
        for run in sorted(self.runs, key=lambda run: run.first):
            before = self._by_camera.setdefault((run.sequence, run.camera), [])
            if before and run.first < before[-1].first + before[-1].length:
                raise ValueError(f"frame {frame_name(*run[:3])} occurs twice")
            before.append(run)

    @classmethod
    def of(cls, frames: Iterable[tuple[str, int, int]]) -> "FrameIndex":
        """The index of frames in the order in which they are stored."""
        runs: list[Run] = []
        for position, (sequence, camera, frame) in enumerate(frames):
            last = runs[-1] if runs else None
            if last and (last[:2], last.first + last.length) == ((sequence, camera), frame):
                runs[-1] = last._replace(length=last.length + 1)
            else:
                runs.append(Run(sequence, camera, frame, 1, position))
        return cls(runs)

    def __len__(self) -> int:
        return self.runs[-1].position + self.runs[-1].length if self.runs else 0

    def find(self, sequence: str, camera: int, frame: int) -> int | None:
        """The position of a frame, or None."""
        runs = self._by_camera.get((sequence, camera), [])
        after = bisect.bisect_right(runs, frame, key=lambda run: run.first)
        if after == 0 or frame >= runs[after - 1].first + runs[after - 1].length:
            return None
        return runs[after - 1].position + frame - runs[after - 1].first

    def locate(self, position: int) -> tuple[str, int, int]:
        """The (sequence, camera, frame) at a position."""
        if not 0 <= position < len(self):
            raise IndexError(position)
        run = self.runs[bisect.bisect_right(self.runs, position, key=lambda run: run.position) - 1]
        return run.sequence, run.camera, run.first + position - run.position


def frame_name(sequence: str, camera: int, frame: int) -> str:
    """The name of a frame in messages and reports."""
    return f"{sequence} camera {camera} frame {frame}"


@dataclasses.dataclass
class Metadata:
    """The data set's metadata.

    Attributes:
        canvas: the largest height and the largest width of all frames, as (h, w).
        index: where each frame is.
        targets: for each split, the position in `frames` of each row's target.
        with_depth: for each split, how many of its rows have a depth map.
        stereo: maps (sequence, camera) to (opposite camera, opposite_T_camera [4, 4]).
        prepared_from: the source and the options.
        depth_canvas: (h, w). It is `canvas` if every depth map has its image's size. Otherwise it
            is the largest height and the largest width of all depth maps.
        protocol: those of `crop`, `min_depth` and `max_depth` that the field's evaluation fixes.
    """

    canvas: tuple[int, int]
    index: FrameIndex
    targets: dict[str, list[int]]
    with_depth: dict[str, int]
    stereo: dict[tuple[str, int], tuple[int, np.ndarray]]
    prepared_from: dict[str, Any]
    depth_canvas: tuple[int, int]
    protocol: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The metadata as plain JSON values."""
        return {
            "schema": SCHEMA_VERSION,
            "canvas": list(self.canvas),
            "runs": self.index.runs,
            "targets": self.targets,
            "with_depth": self.with_depth,
            "stereo": [
                [sequence, camera, opposite, np.asarray(transform, float).ravel().tolist()]
                for (sequence, camera), (opposite, transform) in self.stereo.items()
            ],
            "prepared_from": self.prepared_from,
            "depth_canvas": list(self.depth_canvas),
            "protocol": self.protocol,
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Metadata":
        """The inverse of `to_json`. Another schema is a ValueError."""
        if values.get("schema") != SCHEMA_VERSION:
            raise ValueError(f"schema {values.get('schema')}, expected {SCHEMA_VERSION}")
        height, width = values["canvas"]
        # Older data sets have neither field. Their depth maps have their images' sizes.
        depth_height, depth_width = values.get("depth_canvas", values["canvas"])
        return cls(
            canvas=(height, width),
            index=FrameIndex(values["runs"]),
            targets={split: list(targets) for split, targets in values["targets"].items()},
            with_depth=dict(values["with_depth"]),
            stereo={
                (sequence, camera): (opposite, np.asarray(transform, float).reshape(4, 4))
                for sequence, camera, opposite, transform in values["stereo"]
            },
            prepared_from=dict(values["prepared_from"]),
            depth_canvas=(depth_height, depth_width),
            protocol=dict(values.get("protocol", {})),
        )
