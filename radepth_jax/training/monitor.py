"""Reads the steps' figures as they come: averages for the log, errors, and warnings."""

import time
from collections.abc import Callable

import jax
import numpy as np

from radepth_jax import platforms
from radepth_jax.errors import UserError
from radepth_jax.training.health import CollapseDetector, fresh_memory, lost_camera

MAX_NONFINITE_STREAK = 10
USUAL_STEPS = 10  # how many steps the count of page faults is averaged over
# An average of these over the steps of an interval would mean nothing.
LATEST = ("learning_rate", "nonfinite", "nonfinite_streak")


class Monitor:
    """Collects metrics between two log entries.

    Args:
        batch_size: the number of samples of a step, over all devices.
        say: prints a line.

    Attributes:
        skipped_samples: how many unreadable samples were replaced so far. The caller counts them.
    """

    def __init__(self, batch_size: int, say: Callable[[str], None]):
        self.skipped_samples = 0
        self._batch_size = batch_size
        self._say = say
        self._health = CollapseDetector()
        self._collapsed = self._lost = self._fresh = False
        self._values: list[dict[str, float]] = []
        self._faults: list[int] = [platforms.page_faults()]
        self._logged = False
        self._since = time.perf_counter()
        self._waited = 0.0

    def read(self, step: int, metrics: dict[str, jax.Array], kept: int | None) -> dict[str, float]:
        """Take one step's metrics to the host, and look at them.

        Args:
            step: the step's number.
            metrics: the training step's metrics, scalars.
            kept: the step of the newest checkpoint, for the message.

        Returns:
            The metrics as floats.

        Raises:
            UserError: The loss or its gradient was not finite ten times in a row.
        """
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        self._faults.append(platforms.page_faults())
        if values["nonfinite_streak"] >= MAX_NONFINITE_STREAK:
            raise UserError(
                f"step {step}: the loss or its gradient was not finite in {MAX_NONFINITE_STREAK} "
                f"steps in a row; the checkpoint of step {kept} is kept. Lower "
                "config.optimizer.learning_rate or check the data"
            )
        if values["nonfinite_streak"]:
            self._say(f"step {step}: loss or gradient not finite; step skipped")
        else:
            self._values.append(values)
        message = self._health.update(
            values["disparity_std_middle"] / values["disparity_mean_middle"], values["automasked"]
        )
        if message and not self._collapsed:
            self._say(f"step {step}: {message}")
        self._collapsed = message is not None
        lost = lost_camera(values["focal"]) if "focal" in values else None
        if lost and not self._lost:
            self._say(f"step {step}: {lost}")
        self._lost = lost is not None
        return values

    def summary(self, seconds_waited: float) -> dict[str, float]:
        """Averages since the last summary, with speed and the share of time spent waiting.

        Args:
            seconds_waited: how long the run has waited for the loader since it began.
        """
        now = time.perf_counter()
        seconds, steps = now - self._since, max(len(self._values), 1)
        last = self._values[-1] if self._values else {}
        figures = {
            name: last[name]
            if name in LATEST
            else float(np.mean([v[name] for v in self._values if name in v]))
            for name in last
        }
        # The median ignores the few steps between which the run compiles or validates.
        faults = float(np.median(np.diff(self._faults))) if len(self._faults) > 1 else 0.0
        # The first steps do not count, because the heap still grows in them.
        usual = self._logged and steps >= USUAL_STEPS and jax.default_backend() == "cpu"
        message = fresh_memory(faults) if usual else None
        if message and not self._fresh:
            self._say(message)
        self._fresh = self._fresh or message is not None
        self._logged = True
        figures |= {
            "page_faults": faults,
            "seconds_per_step": seconds / steps,
            "samples_per_second": steps * self._batch_size / seconds,
            "loader_wait": (seconds_waited - self._waited) / seconds,
            "skipped_samples": self.skipped_samples,
            "collapsed": float(self._collapsed),
        }
        self._values, self._since, self._waited = [], now, seconds_waited
        self._faults = self._faults[-1:]
        return figures
