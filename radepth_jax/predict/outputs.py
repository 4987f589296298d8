"""Depth as files: colours, 16-bit PNG, NPY, point clouds. Each is written whole or not at all."""

import io
from pathlib import Path

import numpy as np
import PIL.Image

from radepth_jax.errors import UserError
from radepth_jax.files import atomic_write
from radepth_jax.pictures import colorize, to_uint8

SUFFIXES = {
    "color": "_color.png",
    "png": "_depth.png",
    "npy": "_depth.npy",
    "ply": "_points.ply",
    "glb": "_surface.glb",
    "rrd": ".rrd",
}
IN_SPACE = ("ply", "glb", "rrd")
"""The kinds that need a camera."""
INSTALL = "pip install 'radepth-jax[viewers]'"
PNG_LEVELS = 256  # per metre (or unit) in the 16-bit PNG, as in KITTI's depth maps
PNG_LARGEST = 65535 / PNG_LEVELS
_SURFACE_POINTS = 60_000
_JUMP = 1.15  # if a triangle's farthest corner is this much farther than its nearest, it is cut


def write_color(
    path: Path,
    depth: np.ndarray,
    limits: tuple[float, float] | None = None,
    colors: str = "magma",
) -> None:
    """Inverse depth in colours, near bright in magma.

    Args:
        path: the PNG's path.
        depth: [H, W].
        limits: the inverse depths that become the darkest and the brightest colour. By default they
            are the least and the 95th percentile of this map.
        colors: one of `pictures.color_names`.
    """
    with atomic_write(path) as part:
        PIL.Image.fromarray(colorize(1 / depth, limits=limits, colors=colors)).save(part, "PNG")


def write_png(path: Path, depth: np.ndarray) -> float:
    """Depth times 256 as a 16-bit PNG, in which 0 is reserved for "no value".

    Args:
        path: the PNG's path.
        depth: [H, W] > 0. The PNG can hold 1/256 to 255.996.

    Returns:
        The share of pixels that were farther, and were cut to 255.996.
    """
    levels = np.clip(np.round(depth.astype(np.float64) * PNG_LEVELS), 1, 65535).astype(np.uint16)
    with atomic_write(path) as part:
        PIL.Image.fromarray(levels).save(part, "PNG")
    return float((depth > PNG_LARGEST).mean())


def write_npy(path: Path, depth: np.ndarray) -> None:
    """Depth [H, W] as float32."""
    content = io.BytesIO()  # if NumPy wrote the file itself, it would not report a full disk
    np.save(content, depth.astype(np.float32))
    with atomic_write(path) as part:
        part.write_bytes(content.getbuffer())


def write_ply(path: Path, depth: np.ndarray, image: np.ndarray, intrinsics: np.ndarray) -> None:
    """A coloured point cloud, with one point for each pixel (binary, little endian).

    Args:
        path: the PLY's path.
        depth: [H, W]. The points have its unit, with x right, y down, z forward.
        image: [H, W, 3], uint8 or floats in [0, 1].
        intrinsics: [3, 3] in the image's pixels.
    """
    fields = [(axis, "<f4") for axis in "xyz"] + [(c, "u1") for c in ("red", "green", "blue")]
    vertices = np.empty(depth.size, fields)
    points = points_of(depth, intrinsics).reshape(-1, 3)
    colours = to_uint8(image).reshape(-1, 3)
    for i in range(3):
        vertices[fields[i][0]] = points[:, i]
        vertices[fields[3 + i][0]] = colours[:, i]
    header = "\n".join(
        ["ply", "format binary_little_endian 1.0", f"element vertex {depth.size}"]
        + [f"property {'float' if kind == '<f4' else 'uchar'} {name}" for name, kind in fields]
        + ["end_header\n"]
    )
    with atomic_write(path) as part, part.open("wb") as file:
        file.write(header.encode())
        file.write(vertices.tobytes())


def write_glb(path: Path, depth: np.ndarray, image: np.ndarray, intrinsics: np.ndarray) -> None:
    """A coloured surface as glTF binary, which browsers and most 3D programs show.

    Args:
        path: the GLB's path.
        depth: [H, W]. Larger maps are thinned to about `_SURFACE_POINTS`. There is no surface
            across a jump of depth.
        image: [H, W, 3], uint8 or floats in [0, 1].
        intrinsics: [3, 3] in the image's pixels.

    Raises:
        UserError: trimesh is not installed.
    """
    try:
        import trimesh
    except ImportError:
        raise UserError(f"--save glb needs trimesh: {INSTALL}") from None
    every = int(np.ceil(np.sqrt(depth.size / _SURFACE_POINTS)))
    # glTF has y up and looks along -z.
    points = points_of(depth, intrinsics)[::every, ::every] * np.array([1, -1, -1])
    colours = to_uint8(image)[::every, ::every]
    height, width = points.shape[:2]
    index = np.arange(height * width).reshape(height, width)
    a, b, c, d = (
        index[rows, columns].ravel()
        for rows in (slice(None, -1), slice(1, None))
        for columns in (slice(None, -1), slice(1, None))
    )
    faces = np.concatenate([np.stack([a, c, b], 1), np.stack([b, c, d], 1)])
    distance = -points[..., 2].ravel()[faces]
    whole = faces[distance.max(1) < _JUMP * distance.min(1)]
    surface = trimesh.Trimesh(
        points.reshape(-1, 3), whole, vertex_colors=colours.reshape(-1, 3), process=False
    )
    with atomic_write(path) as part:
        part.write_bytes(surface.export(file_type="glb"))


def points_of(depth: np.ndarray, intrinsics: np.ndarray) -> np.ndarray:
    """`geometry.camera.back_project` in NumPy, because JAX would compile it for each image size.

    Args:
        depth: [H, W].
        intrinsics: [3, 3], without skew. Integer coordinates are pixel centres.

    Returns:
        [H, W, 3] points in camera coordinates.
    """
    height, width = depth.shape
    x = (np.arange(width) - intrinsics[0, 2]) / intrinsics[0, 0] * depth
    y = (np.arange(height)[:, None] - intrinsics[1, 2]) / intrinsics[1, 1] * depth
    return np.stack([x, y, depth], axis=-1)
