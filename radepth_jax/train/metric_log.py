"""Where a run's figures go: JSON lines, TensorBoard, and the terminal."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import SummaryWriter


class MetricLog:
    """Write scalars to `metrics.jsonl` and TensorBoard, pictures to TensorBoard and PNG files.

    A context manager. A resumed run drops what was logged after the step it resumes from, so a
    step appears once.

    Args:
        workdir: the run's folder.
        start_step: the step the run (re)starts from.
    """

    def __init__(self, workdir: str | Path, start_step: int):
        self._workdir = Path(workdir)
        path = self._workdir / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= start_step]
            path.write_text("".join(line + "\n" for line in kept))
        self._lines = path.open("a")
        self._board = SummaryWriter(
            str(self._workdir / "tensorboard"), purge_step=start_step + 1 if start_step else None
        )

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()
        self._board.close()

    def scalars(self, step: int, values: dict[str, Any], prefix: str = "train") -> None:
        """Write figures by name under `prefix/`."""
        record = {f"{prefix}/{name}": float(value) for name, value in values.items()}
        self._lines.write(json.dumps({"step": step} | record) + "\n")
        self._lines.flush()
        for name, value in record.items():
            self._board.add_scalar(name, value, step)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Write an RGB uint8 [H, W, 3] picture."""
        from PIL import Image

        folder = self._workdir / "pictures"
        folder.mkdir(exist_ok=True)
        Image.fromarray(image).save(folder / f"{name}_{step:07d}.png")
        self._board.add_image(name, image, step, dataformats="HWC")


def read_metrics(workdir: str | Path, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(steps, values) of one figure from a run's `metrics.jsonl`, e.g. `train/total`."""
    lines = (Path(workdir) / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    pairs = [(r["step"], r[name]) for r in records if name in r]
    steps, values = zip(*pairs, strict=True) if pairs else ((), ())
    return np.asarray(steps), np.asarray(values)


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError):  # a line cut off by a kill
        return 2**62
