"""Writes a run's figures to JSON lines, TensorBoard, and Weights & Biases if asked for."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from tensorboardX import summary
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog

from radepth_jax.files import atomic_write
from radepth_jax.training.wandb_log import WandbLog


class MetricLog:
    """Write scalars to `metrics.jsonl` and TensorBoard, pictures to TensorBoard and PNG files.

    It is a context manager. A resumed run drops what was logged after the step that it resumes
    from, so each step appears once.

    Args:
        workdir: the run's folder.
        start_step: the step that the run starts or resumes from.
        write: whether to write. Only one process of a run does.
        wandb: gets everything, too.
    """

    def __init__(
        self,
        workdir: str | Path,
        start_step: int,
        *,
        write: bool = True,
        wandb: WandbLog | None = None,
    ):
        self._workdir = Path(workdir)
        self._write, self._wandb = write, wandb
        if not write:
            return
        path = self._workdir / "metrics.jsonl"
        if path.exists():
            kept = [line for line in path.read_text().splitlines() if _step_of(line) <= start_step]
            with atomic_write(path) as part:
                part.write_text("".join(line + "\n" for line in kept))
        self._lines = path.open("a")
        board = self._workdir / "tensorboard"
        board.mkdir(exist_ok=True)
        # tensorboardX's SummaryWriter is not used: a full disk kills its thread, and the run hangs.
        self._events = EventsWriter(str(board / "events"))
        if start_step:  # later steps in earlier files are hidden
            session = SessionLog(status=SessionLog.START)
            self._events.write_event(Event(step=start_step + 1, session_log=session))

    def __enter__(self) -> "MetricLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self._write:
            self._lines.close()
            self._events.close()
        if self._wandb is not None:
            self._wandb.close()

    def scalars(self, step: int, values: dict[str, Any], prefix: str = "train") -> None:
        """Write figures by name under `prefix/`."""
        if not self._write:
            return
        record = {f"{prefix}/{name}": float(value) for name, value in values.items()}
        self._lines.write(json.dumps({"step": step} | record) + "\n")
        self._lines.flush()
        for name, value in record.items():
            self._show(step, summary.scalar(name, value))
        self._events.flush()
        if self._wandb is not None:
            self._wandb.scalars(step, record)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Write an RGB uint8 [H, W, 3] picture."""
        from PIL import Image

        with atomic_write(self._workdir / "pictures" / f"{name}_{step:07d}.png") as part:
            Image.fromarray(image).save(part, "PNG")
        self._show(step, summary.image(name, image, dataformats="HWC"))
        self._events.flush()
        if self._wandb is not None:
            self._wandb.picture(step, name, image)

    def _show(self, step: int, content: Any) -> None:
        self._events.write_event(Event(step=step, wall_time=time.time(), summary=content))


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
    except (ValueError, KeyError):  # a killed process left an incomplete line
        return 2**62
