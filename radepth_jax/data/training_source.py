"""Training samples: a target frame with its sources, with random access."""

import logging
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from radepth_jax.data import schema
from radepth_jax.data.dataset import Dataset
from radepth_jax.data.pictures import pad_to_canvas
from radepth_jax.errors import UserError

FrameOffset = int | Literal["s"]

_log = logging.getLogger(__name__)


class TrainingSource:
    """Training samples: `source[i]` is the loader contract's dict for one sample.

    - `frames`, uint8 [F, H0, W0, 3], has one image for each offset, padded at its edges.
    - `size`, int32 [2], is the true (h, w).
    - `intrinsics`, float32 [3, 3], are in native pixels.
    - `skipped`, int32 [], is how many unreadable samples were passed over to get this one.
    - `stereo_T_target`, float32 [4, 4], is there if `"s"` is among the offsets. `"s"` stands for
      the opposite camera at the target's time.

    A sample that lacks the frame of one of the offsets, such as the end of a recording, is not part
    of the source.
    """

    def __init__(
        self,
        dataset: Dataset,
        split: str,
        frame_offsets: Sequence[FrameOffset],
        *,
        skip_corrupt: bool = False,
        max_corrupt: int = 100,
        cache_bytes: float = 0,
        true_poses: bool = False,
        known_camera: bool = True,
    ):
        """Find the frames of each sample. No image is read.

        Args:
            dataset: an open data set.
            split: `train`, `validation` or `test`.
            frame_offsets: such as `(0, -1, 1, "s")`. The first one is 0, the target.
            skip_corrupt: whether a sample with an unreadable frame is logged and replaced by the
                next readable one. Otherwise it is an error.
            max_corrupt: how many samples may be replaced before it is an error after all. Each
                worker process counts the samples that it met, each of them once.
            cache_bytes: the memory for decoded frames. They are then decoded once, and not once an
                epoch. If the frames of the split do not all fit, no frame is kept.
            true_poses: whether each sample gets the known motion of its cameras.
            known_camera: whether intrinsics that are not finite are an error.

        Raises:
            UserError: The offsets are bad, the split is empty, or no sample has all the frames.
        """
        offsets = tuple(frame_offsets)
        bad = [o for o in offsets if o != "s" and (isinstance(o, bool) or not isinstance(o, int))]
        if bad or not offsets or offsets[0] != 0 or len(set(offsets)) != len(offsets):
            raise UserError(
                f"frame_offsets: expected distinct whole numbers or 's', the first of them 0, "
                f"got {offsets}"
            )
        self.dataset = dataset
        self.split = split
        self.frame_offsets = offsets
        self.skip_corrupt = skip_corrupt
        self.max_corrupt = max_corrupt
        self.true_poses = true_poses
        self.known_camera = known_camera
        self._corrupt: set[int] = set()
        targets = dataset.targets(split)
        found = [self._positions(target) for target in targets]
        kept = [positions for positions in found if positions is not None]
        if not kept:
            raise UserError(
                f"data set {dataset.name}: none of the {len(targets)} samples of {split!r} has "
                f"all the frames {offsets}; use fewer frame_offsets"
            )
        if len(kept) < len(targets):
            _log.info(
                "data set %s: %d of %d samples of %r lack a frame of %s and are not used",
                *(dataset.name, len(targets) - len(kept), len(targets), split, offsets),
            )
        self._samples = np.asarray(kept, np.int64)  # [N, F] positions in `frames`
        decoded = len(np.unique(self._samples)) * 3 * math.prod(dataset.canvas)
        self._cached = decoded <= cache_bytes
        self._images: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # by position

    def _positions(self, target: int) -> list[int] | None:
        index, stereo = self.dataset.metadata.index, self.dataset.metadata.stereo
        sequence, camera, frame = index.locate(target)
        positions = []
        for offset in self.frame_offsets:
            if offset == "s":
                if (sequence, camera) not in stereo:
                    return None
                position = index.find(sequence, stereo[sequence, camera][0], frame)
            else:
                position = index.find(sequence, camera, frame + offset)
            if position is None:
                return None
            positions.append(position)
        return positions

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, i: int) -> dict[str, np.ndarray]:
        i = int(i)
        if not 0 <= i < len(self):
            raise IndexError(i)
        last = None
        for skipped in range(len(self)):
            j = (i + skipped) % len(self)
            try:
                return self._read(j) | {"skipped": np.asarray(skipped, np.int32)}
            except UserError as error:
                last = error
                self._pass_over(j, error)
        raise UserError(f"no sample of {self.split!r} can be read; the last: {last}")

    def _pass_over(self, i: int, error: UserError) -> None:
        """Log an unreadable sample. It is a UserError if no more may be passed over."""
        if not self.skip_corrupt:
            raise UserError(
                f"{error}; set config.data.skip_corrupt=True to pass over such samples"
            ) from None
        if i in self._corrupt:
            return
        self._corrupt.add(i)
        _log.warning("skipped a training sample: %s", error)
        if len(self._corrupt) > self.max_corrupt:
            raise UserError(
                f"more than {self.max_corrupt} of the {len(self)} samples of {self.split!r} cannot "
                f"be read; the last: {error}; prepare the data set again, or raise "
                "config.data.max_corrupt"
            ) from None

    def _image(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        """The same as `Dataset.image`, from memory if the frame is kept there."""
        found = self._images.get(position)
        if found is None:
            found = self.dataset.image(position)
            if self._cached:
                self._images[position] = found
        return found

    def _read(self, i: int) -> dict[str, np.ndarray]:
        positions = self._samples[i].tolist()
        images, cameras = zip(*map(self._image, positions), strict=True)
        h, w = images[0].shape[:2]
        if self.known_camera and not np.isfinite(cameras[0]).all():
            raise UserError(
                f"{self.dataset.where(positions[0])}: its intrinsics are not known or not finite; "
                "give the camera to `radepth prepare`, or set config.pose.learned_fov=60 to learn "
                "its focal length from there"
            )
        for position, image in zip(positions, images, strict=True):
            if image.shape != (h, w, 3):
                raise UserError(
                    f"{self.dataset.where(position)}: {image.shape[1]}x{image.shape[0]}, but its "
                    f"target is {w}x{h}"
                )
        sample: dict[str, np.ndarray] = {
            "frames": np.stack([pad_to_canvas(image, self.dataset.canvas) for image in images]),
            "size": np.array([h, w], np.int32),
            "intrinsics": cameras[0],
        }
        if "s" in self.frame_offsets:
            sequence, camera, _ = self.dataset.metadata.index.locate(positions[0])
            _, transform = self.dataset.metadata.stereo[sequence, camera]
            sample["stereo_T_target"] = transform.astype(np.float32)
        if self.true_poses:
            sample["source_T_target"] = self._motion(positions)
        return sample

    def _motion(self, positions: list[int]) -> np.ndarray:
        """The transforms [F - 1, 4, 4] from the first frame's camera to the others'."""
        records = [self.dataset.record(schema.FRAMES, position) for position in positions]
        target, *sources = (record["world_T_camera"] for record in records)
        source_T_target = np.stack([np.linalg.inv(source) @ target for source in sources])
        if not np.isfinite(source_T_target).all():
            raise UserError(
                f"{self.dataset.where(positions[0])}: the cameras' poses are not known, and "
                "config.pose.true_scale needs them; set it to 0"
            )
        return source_T_target.astype(np.float32)
