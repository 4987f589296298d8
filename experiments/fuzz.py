"""Throw damaged files at everything that is parsed, for some minutes.

    python experiments/fuzz.py --minutes 10 --output runs/fuzz

Each input is a valid small file with random damage. Bytes are changed, cut out, doubled or
inserted, and so are words that people's files have (`nan`, a byte-order mark, a huge number). A
reader may read it, or say in one line what is wrong. Anything else is a fault, and its file is
kept. The exit code is 1 if there is a fault.
"""

import argparse
import io
import json
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from radepth_jax.data.depth_png import read_depth_png
from radepth_jax.data.intrinsics import parse_intrinsics
from radepth_jax.data.kitti_splits import read_list
from radepth_jax.data.kitti_velodyne import read_projections, read_scan
from radepth_jax.data.make3d import read_grid
from radepth_jax.data.rgbd import read_intrinsics, read_pose
from radepth_jax.errors import UserError
from radepth_jax.evaluation.predictions import read_prediction
from radepth_jax.evaluation.trajectory_files import read_trajectory
from radepth_jax.models import presets
from radepth_jax.predict.inputs import read_image
from radepth_jax.runs.config import default_config, parse_resolution, to_json
from radepth_jax.runs.packed_model import CONFIG, WEIGHTS, read_packed

SIZE = (480, 640)
WORDS = (
    *(b"nan", b"inf", b"-1", b"1e999", b"0", b"99999999999999999999", b"-0.0", b"1e-320"),
    *(
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\0",
        b"\r",
        b"\n\n",
        b"#",
        b",",
        b" ",
        b"{",
        b"}",
        b"[",
        b"]",
    ),
    *(b'"', b":", b"\x80", "é".encode(), b"null", b"true", b"\x1a", b"!!python/object:os.system"),
)


class Reader(NamedTuple):
    """A reader that is fuzzed.

    Attributes:
        name: the name of the files that it reads, with their ending.
        seeds: valid contents.
        read: a function of the file's path.
        allowed: the errors that it may raise.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[Path], object]
    allowed: tuple[type[Exception], ...] = (UserError,)


def readers() -> list[Reader]:
    """All readers, with valid files that are made here."""
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 80, (6, 8)).astype(np.float32)
    levels = (depth * 256).astype(np.uint16)
    colours = rng.integers(0, 255, (6, 8, 3), np.uint8)
    pose = b"1 0 0 0.5\n0 1 0 0\n0 0 1 2\n0 0 0 1\n"
    kitti = b"1 0 0 0 0 1 0 0 0 0 1 0\n1 0 0 0.1 0 1 0 0 0 0 1 1.5\n"
    tum = b"# time x y z\n0.0 0 0 0 0 0 0 1\n0.1 0 0 1 0 0 0 1\n"
    row = b"7.2e2 0 6e2 0 0 7.2e2 1.7e2 0 0 0 1 0"
    projections = b"".join(b"P%d: %s\n" % (i, row) for i in range(4))
    config = default_config()
    config.model = presets.tiny()
    packed = json.dumps({"step": 3, "config": to_json(config)}).encode()
    transforms = {"fl_x": 525, "fl_y": 530, "cx": 320, "cy": 240, "w": 640, "h": 480}
    info = b"height: 480\nwidth: 640\nK: [525.0, 0, 319.5, 0, 530.0, 239.5, 0, 0, 1]\nD: [0.0]\n"
    files = (UserError, ValueError, OSError)

    def camera(path: Path) -> object:
        return parse_intrinsics(str(path), None, SIZE)

    def packed_model(path: Path) -> object:
        (path.parent / WEIGHTS).write_bytes(_SAFETENSORS)
        return read_packed(path.parent)

    return [
        Reader("text.txt", (b"720,720,320,240", b"1,2,3"), _as_text),
        Reader("cameras.txt", (b"# c\n1 PINHOLE 640 480 525 530 320 240\n",), camera),
        Reader("transforms.json", (json.dumps(transforms).encode(),), camera),
        Reader("info.yaml", (info,), camera),
        Reader("list.txt", (b"2011_09_26/2011_09_26_drive_0002_sync 0000000069 l\n",), read_list),
        Reader("calib.txt", (projections,), read_projections),
        Reader(
            "intrinsics.txt",
            (b"585 0 320\n0 585 240\n0 0 1\n",),
            partial(read_intrinsics, size=SIZE),
        ),
        Reader("pose.txt", (pose,), read_pose, files),
        Reader("poses.txt", (kitti, tum), read_trajectory),
        Reader("scan.bin", (depth.tobytes(),), read_scan, files),
        Reader("grid.mat", (b"MATLAB 5.0 MAT-file" + bytes(200),), read_grid, files),
        Reader("depth.png", (_png(levels),), lambda p: read_depth_png(p, unit=0.001), files),
        Reader("map.npy", (_npy(depth),), read_prediction),
        Reader("map.pfm", (b"Pf\n8 6\n-1.0\n" + depth.tobytes(),), read_prediction),
        Reader("map.png", (_png(levels),), read_prediction),
        Reader("picture.npy", (_npy(colours),), read_image, files),
        Reader("picture.png", (_png(colours),), read_image, files),
        Reader("picture.jpg", (_png(colours, "JPEG"),), read_image, files),
        Reader(CONFIG, (packed,), packed_model),
    ]


_SAFETENSORS = (2).to_bytes(8, "little") + b"{}"


def _as_text(path: Path) -> object:
    text = path.read_bytes().decode("latin-1")
    for parse in (
        lambda: parse_intrinsics(text, None, SIZE),
        lambda: parse_resolution("resolution", text),
    ):
        try:
            parse()
        except UserError:
            continue
    return None


def _png(image: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def damage(seed: bytes, rng: np.random.Generator) -> bytes:
    """The seed with one to four random changes."""
    data = bytearray(seed)
    for _ in range(rng.integers(1, 5)):
        at = int(rng.integers(0, len(data) + 1))
        length = int(rng.integers(1, 9))
        kind = rng.integers(0, 6)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] = int(rng.integers(0, 256))
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + 4 * length]
        elif kind == 3:
            data[at : at + length] = WORDS[int(rng.integers(len(WORDS)))]
        elif kind == 4:
            data[at:at] = WORDS[int(rng.integers(len(WORDS)))]
        else:
            del data[at:]
    return bytes(data)


def attempt(reader: Reader, data: bytes, folder: Path) -> str | None:
    """Read one input. Returns None, or the traceback of a fault."""
    path = folder / reader.name
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except reader.allowed as error:
        if isinstance(error, UserError) and "\n" in str(error):
            return f"more than one line: {error}"
    except Exception:
        return traceback.format_exc()
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("runs/fuzz"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    rng, found = np.random.default_rng(options.seed), readers()
    end = time.perf_counter() + 60 * options.minutes
    tried, faults = dict.fromkeys([r.name for r in found], 0), {}
    with tempfile.TemporaryDirectory() as folder:
        while time.perf_counter() < end:
            reader = found[int(rng.integers(len(found)))]
            data = damage(reader.seeds[int(rng.integers(len(reader.seeds)))], rng)
            fault = attempt(reader, data, Path(folder))
            tried[reader.name] += 1
            last = fault.strip().splitlines()[-1] if fault else ""
            if fault and (reader.name, last) not in faults:
                faults[reader.name, last] = fault
                (options.output / f"{len(faults):03d}_{reader.name}").write_bytes(data)
                print(f"{reader.name}: {last}", flush=True)
    print(f"{sum(tried.values())} inputs, {len(faults)} kinds of fault")
    for name, number in tried.items():
        print(f"  {name:18} {number}")
    (options.output / "faults.txt").write_text("\n\n".join(faults.values()))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
