"""Depth maps that other people store as 16-bit PNG files."""

from collections.abc import Collection
from pathlib import Path

import numpy as np
import PIL.Image

from radepth_jax.data.pictures import image_size
from radepth_jax.errors import reason

_KITTI_METRES = 1 / 256


def read_depth_png(path: Path, *, unit: float, invalid: Collection[int] = (0,)) -> np.ndarray:
    """Reads a 16-bit grey PNG as depth.

    Args:
        path: the file.
        unit: metres in one step: 0.001 for millimetres, 1 / 256 for KITTI's annotated depth.
        invalid: stored values that mean "no value".

    Returns:
        float32 [h, w] metres. 0 means no value.

    Raises:
        ValueError: The file is damaged, or does not have 16 bits.
        OSError: The file cannot be opened.
    """
    try:
        with PIL.Image.open(path) as image:
            mode = image.mode
            values = np.asarray(image)
    except PIL.UnidentifiedImageError:
        raise ValueError("not an image") from None
    except FileNotFoundError:
        raise
    except Exception as error:  # damaged data makes the decoder raise almost anything
        raise ValueError(reason(error)) from None
    # An 8-bit picture of the depth would read as a few hundred millimetres everywhere.
    if values.ndim != 2 or not (mode == "I" or mode.startswith("I;16")):
        raise ValueError(f"mode {mode}, expected a 16-bit grey PNG")
    return np.where(np.isin(values, list(invalid)), 0, values * unit).astype(np.float32)


def read_kitti_depth(path: Path, image: Path) -> np.ndarray:
    """Reads a depth map of KITTI's, which has the size of its image.

    Args:
        path: the depth map.
        image: the file of its image.

    Returns:
        float32 [h, w] metres. 0 means no value.

    Raises:
        ValueError: The depth map is damaged, or has another size than its image.
        OSError: One of the files cannot be opened.
    """
    depth = read_depth_png(path, unit=_KITTI_METRES)
    h, w = image_size(image.read_bytes())
    if depth.shape != (h, w):
        raise ValueError(f"{depth.shape[1]}x{depth.shape[0]}, but its image is {w}x{h}")
    return depth
