"""Images with depth, to evaluate on, with random access."""

from typing import Any

import numpy as np

from radepth_jax.data import schema
from radepth_jax.data.dataset import Dataset
from radepth_jax.data.pictures import pad_to_canvas
from radepth_jax.errors import UserError


class EvaluationSource:
    """Images with depth: `source[i]` is a dict of one image.

    - `image`, uint8 [H0, W0, 3], is padded at its edges.
    - `size`, int32 [2], is the true (h, w) of the image.
    - `intrinsics`, float32 [3, 3], are in native pixels.
    - `depth`, float32 [Hd, Wd], is in metres, on the canvas of depth maps. 0 means no value, and
      without ground truth all of it is 0.
    - `depth_size`, int32 [2], is the true (h, w) of the depth map.
    - `name`, str, names the image.
    """

    def __init__(self, dataset: Dataset, split: str):
        """Open a split. Raises a UserError if it is empty."""
        self.dataset = dataset
        self.split = split
        self._targets = dataset.targets(split)

    def __len__(self) -> int:
        return len(self._targets)

    def __getitem__(self, i: int) -> dict[str, Any]:
        """Read an image. Corrupt images or depth are a UserError, which names the frame."""
        i = int(i)
        if not 0 <= i < len(self):
            raise IndexError(i)
        position = self._targets[i]
        image, intrinsics = self.dataset.image(position)
        canvas = self.dataset.metadata.depth_canvas
        depth = np.zeros(canvas, np.float32)
        depth_size = np.minimum(image.shape[:2], canvas)
        encoded = self.dataset.record(self.split, i)["depth"]
        if encoded:
            try:
                values = schema.decode_depth(encoded)
                if (np.asarray(values.shape) > canvas).any():
                    raise ValueError(f"size {values.shape}, larger than the canvas {canvas}")
            except ValueError as error:
                where = self.dataset.where(position)
                raise UserError(f"{where}: corrupt depth ({error})") from None
            depth[: values.shape[0], : values.shape[1]] = values
            depth_size = np.asarray(values.shape)
        return {
            "image": pad_to_canvas(image, self.dataset.canvas),
            "size": np.asarray(image.shape[:2], np.int32),
            "intrinsics": intrinsics,
            "depth": depth,
            "depth_size": depth_size.astype(np.int32),
            "name": self.name(i),
        }

    def name(self, i: int) -> str:
        """What an image is called: `SEQUENCE/CAMERA/FRAME`."""
        sequence, camera, frame = self.dataset.metadata.index.locate(self._targets[i])
        return f"{sequence}/{camera}/{frame:010d}"
