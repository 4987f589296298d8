"""A run's figures at Weights & Biases, beside those on disk (the extra `wandb`)."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np

from radepth_jax.errors import UserError, reason
from radepth_jax.files import atomic_write

ID_FILE = "wandb_id.txt"


class WandbLog:
    """A run there, which goes on when training goes on. WANDB_MODE=offline keeps it on disk.

    Args:
        project: at Weights & Biases.
        workdir: the run's folder, which keeps its id.
        settings: what it was trained with, for the page.

    Raises:
        UserError: wandb is not installed, or the run cannot be opened there.
    """

    def __init__(self, project: str, workdir: Path, settings: dict[str, Any]) -> None:
        try:
            import wandb
        except ImportError:
            raise UserError(
                "config.train.wandb needs wandb: pip install 'radepth-jax[wandb]'"
            ) from None
        path = workdir / ID_FILE
        if not path.exists():
            with atomic_write(path) as part:
                part.write_text(uuid.uuid4().hex[:8] + "\n")
        try:
            self._run = wandb.init(
                project=project,
                name=workdir.resolve().name,
                id=path.read_text().strip(),
                dir=str(workdir),
                resume="allow",
                config=settings,
                settings=wandb.Settings(silent=True),
            )
        except (wandb.Error, OSError) as error:
            raise UserError(
                f"config.train.wandb: cannot open a run of {project!r} ({reason(error)}); "
                "`wandb login` first, or set WANDB_MODE=offline in the environment"
            ) from None
        # By the run's own steps: a resumed one takes some again.
        self._run.define_metric("*", step_metric="step")
        self._picture = wandb.Image

    def scalars(self, step: int, record: dict[str, float]) -> None:
        """Figures by their whole name."""
        self._run.log({"step": step} | record)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """An RGB uint8 [H, W, 3] picture."""
        self._run.log({"step": step, name: self._picture(image)})

    def close(self) -> None:
        """Send what is left."""
        self._run.finish()
