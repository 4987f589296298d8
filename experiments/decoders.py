"""Frames a second that one core decodes, by decoder: `python experiments/decoders.py KITTI_RAW`.

Every decoder returns uint8 RGB. Times are medians of this process's CPU time, taken in turns.
"""

import argparse
import io
import statistics
import time
from pathlib import Path

import numpy as np
from PIL import Image

from radepth_jax.data.pictures import decode_image


def pillow(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def opencv(data: bytes) -> np.ndarray:
    import cv2

    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def pyav(data: bytes) -> np.ndarray:
    import av

    with av.open(io.BytesIO(data)) as container:
        return next(container.decode(video=0)).to_ndarray(format="rgb24")


def ours(data: bytes) -> np.ndarray:
    return decode_image(data)


DECODERS = {"ours": ours, "Pillow": pillow, "OpenCV": opencv, "PyAV": pyav}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="a folder with .jpg and .png files")
    parser.add_argument("--files", type=int, default=10, help="how many files of each kind")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    try:
        import cv2

        cv2.setNumThreads(1)
    except ImportError:
        del DECODERS["OpenCV"]
    for kind in ("jpg", "png"):
        files = sorted(options.folder.rglob(f"*.{kind}"))[: options.files]
        if not files:
            continue
        encoded = [path.read_bytes() for path in files]
        first = {name: decode(encoded[0]) for name, decode in DECODERS.items()}
        took: dict[str, list[float]] = {name: [] for name in DECODERS}
        for _ in range(options.rounds):
            for name, decode in DECODERS.items():
                start = time.process_time()
                for data in encoded:
                    decode(data)
                took[name].append((time.process_time() - start) / len(encoded))
        for name, times in took.items():
            seconds = statistics.median(times)
            difference = np.abs(first[name].astype(int) - first["Pillow"]).max()
            print(
                f"{kind} {first[name].shape[1]}x{first[name].shape[0]} {name}: "
                f"{1000 * seconds:.2f} ms, {1 / seconds:.0f} frames/s, "
                f"{1 / seconds / 3:.0f} samples of 3 frames/s; differs from Pillow by {difference}"
            )


if __name__ == "__main__":
    main()
