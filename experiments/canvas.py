"""Does the curve over resolutions measure the picture's detail or the network's input?

    python experiments/canvas.py --checkpoint runs/street --input 304x96
    python experiments/canvas.py --checkpoint default --input 320x96 --dataset kitti_raw

A sweep gives the network inputs of each resolution. Here only the pictures have that resolution.
They are enlarged or reduced to one input resolution, `--input`. The AbsRel of both is printed, side
by side.
"""

import argparse
from pathlib import Path
from typing import Any

import jax
import numpy as np
from variants import RESOLUTIONS

from radepth_jax.data import EvaluationSource, open_dataset
from radepth_jax.evaluation.evaluator import evaluate
from radepth_jax.inference.disparity import Resolution, network_input
from radepth_jax.names import shown
from radepth_jax.runs.config import parse_resolution
from radepth_jax.runs.protocol import protocol_of
from radepth_jax.runs.saved_model import Model, load_model
from radepth_jax.startup import start_program


class Reduced:
    """An evaluation's images as pictures of another resolution. The ground truth is the same.

    Args:
        source: the source of the images.
        resolution: (width, height) of the pictures.
    """

    def __init__(self, source: EvaluationSource, resolution: Resolution):
        self._source, self._resolution = source, resolution
        self._reduce = jax.jit(lambda image, size: network_input(image, size, resolution))

    def __len__(self) -> int:
        return len(self._source)

    def __getitem__(self, index: int) -> dict[str, Any]:
        sample = dict(self._source[index])
        reduced = np.asarray(self._reduce(sample["image"], sample["size"]))
        sample["image"] = np.rint(255 * reduced).astype(np.uint8)
        sample["size"] = np.array(self._resolution[::-1], np.int32)
        return sample


def compare(
    model: Model, source: EvaluationSource, resolutions: list[Resolution], used: Resolution
) -> tuple[list[float], list[float]]:
    """AbsRel with inputs of each resolution, and with pictures of it in inputs of `used`."""
    protocol = protocol_of(model.config)
    rows = evaluate(model, source, resolutions, protocol=protocol)
    for resolution in resolutions:
        pictures: Any = Reduced(source, resolution)
        rows += evaluate(model, pictures, [used], protocol=protocol)
    errors = [float(row.metrics["abs_rel"]) for row in rows]
    return errors[: len(resolutions)], errors[len(resolutions) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--input", required=True, help="WxH of the network's input")
    parser.add_argument("--dataset", default="street/full")
    parser.add_argument("--data_dir", type=Path, default=Path("runs/street/data"))
    parser.add_argument(
        "--resolutions", default=",".join(f"{w}x{h}" for w, h in RESOLUTIONS["small"])
    )
    options = parser.parse_args()
    start_program()
    resolutions = [parse_resolution("--resolutions", r) for r in options.resolutions.split(",")]
    source = EvaluationSource(open_dataset(options.dataset, str(options.data_dir)), "test")
    used = parse_resolution("--input", options.input)
    own, fixed = compare(load_model(options.checkpoint), source, resolutions, used)
    print(f"{shown(options.checkpoint)}, {len(source)} images, AbsRel")
    for name, errors in (("as inputs", own), (f"as pictures, inputs {options.input}", fixed)):
        figures = " ".join(f"{error:.3f}" for error in errors)
        print(f"{name}: {figures}  worst / best {max(errors) / min(errors):.2f}")


if __name__ == "__main__":
    main()
