"""A run's figures at Weights & Biases, beside those on disk (the extra `wandb`)."""

import uuid
from pathlib import Path
from typing import Any

import numpy as np

from radepth_jax.errors import UserError, reason
from radepth_jax.files import atomic_write

ID_FILE = "wandb_id.txt"


class WandbLog:
    """A run at Weights & Biases, which goes on when training resumes.

    WANDB_MODE=offline keeps it on disk.

    Args:
        project: the project at Weights & Biases.
        workdir: the run's folder, in which its id is kept.
        settings: the run's settings, for its page.

    Raises:
        UserError: wandb is not installed, or the run cannot be opened at Weights & Biases.
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
        # Figures are plotted over the run's own steps, because a resumed run repeats some.
        self._run.define_metric("*", step_metric="step")
        self._picture = wandb.Image

    def scalars(self, step: int, record: dict[str, float]) -> None:
        """Log figures, given by their whole names."""
        self._run.log({"step": step} | record)

    def picture(self, step: int, name: str, image: np.ndarray) -> None:
        """Log an RGB picture, uint8 [H, W, 3]."""
        self._run.log({"step": step, name: self._picture(image)})

    def close(self) -> None:
        """Send what has not been sent yet."""
        self._run.finish()
